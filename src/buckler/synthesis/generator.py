"""The seam for generators: they write drafts of synthetic examples for combinations of a template.

A generator is one class under ``@GENERATORS.add`` in the package `generators`, or in a module that
another package names under the entry point group ``buckler.generators``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.labels import Annotator
from buckler.registry import Registry
from buckler.synthesis.template import Combination, Template


@dataclass(frozen=True)
class Draft:
    """A text for a combination, before any filter.

    Attributes
    ----------
    text
        The text; a row of features as JSON.
    combination
        Combination that it was written for.
    seeds
        Rows of the real events that it derives from.
    """

    text: str
    combination: Combination
    seeds: tuple[int, ...] = ()


def draft_rng(seed: int, combination: Combination, number: int) -> np.random.Generator:
    """Return the random generator of one draft, independent of the drafts before it."""
    state = sha256(f"{seed} {combination.name} {number}".encode()).digest()
    return np.random.default_rng(np.frombuffer(state, np.uint32))


class Generator(ABC):
    """A writer of drafts.

    Parameters
    ----------
    template
        Template with the combinations.
    real
        Labeled real events: seeds, and the data that synthetic examples must fit.
    seed
        Random seed.

    Attributes
    ----------
    kind
        Name in the registry.
    annotator
        Name and version, kept with every synthetic example.
    seed_rows
        Rows of the real events that examples may derive from; None for all. The closed loop names
        those that the student gets wrong.

    Raises
    ------
    SettingsError
        If the generator cannot serve this template.
    """

    kind: ClassVar[str]
    annotator: Annotator

    def __init__(self, template: Template, real: Dataset, seed: int = 0) -> None:
        self.template, self.real, self.seed = template, real, seed
        self.seed_rows: npt.NDArray[np.intp] | None = None

    def rows_of(self, label: int) -> npt.NDArray[np.intp]:
        """Return the rows of a class that examples may derive from."""
        rows = np.flatnonzero(self.real.labels == label)
        return rows if self.seed_rows is None else np.intersect1d(rows, self.seed_rows)

    @abstractmethod
    def drafts(self, counts: Sequence[tuple[Combination, int]]) -> Iterator[Draft]:
        """Write this many drafts for each combination; fewer where it has no more variants."""


GENERATORS: Registry[type[Generator]] = Registry(
    "generator", ("buckler.synthesis.generators",), "buckler.generators", lambda kind: kind.kind
)


def get_generator(kind: str, template: Template, real: Dataset, seed: int) -> Generator:
    """Return a generator of this kind.

    Raises
    ------
    SettingsError
        If there is no such kind, or it cannot serve this template.
    """
    return GENERATORS.get(kind)(template, real, seed)
