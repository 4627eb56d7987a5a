"""The seam for generators: who writes drafts of synthetic examples for the cells of a plan.

To add one: a module with one class under ``@generator``, listed in `_BUILT_IN`, or an entry point
in the group ``buckler.generators``. Every teacher that asks a language model is one too (`writer`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import entry_points
from typing import ClassVar

import numpy as np

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.labels import Annotator
from buckler.synthesis.plan import Cell, Plan

_BUILT_IN = ("grammar", "mutation", "crossing")


@dataclass(frozen=True)
class Draft:
    """A text for a cell, before any gate.

    Attributes
    ----------
    seeds
        Rows of the real events that it was made from.
    """

    text: str
    cell: Cell
    seeds: tuple[int, ...] = ()


def draft_rng(seed: int, cell: Cell, number: int) -> np.random.Generator:
    """Return a random state of a draft's own: it does not depend on the drafts before it."""
    state = sha256(f"{seed} {cell.name} {number}".encode()).digest()
    return np.random.default_rng(np.frombuffer(state, np.uint32))


class Generator(ABC):
    """Writes drafts.

    Attributes
    ----------
    kind
        Its name on the command line.
    annotator
        Its name and version, kept with every synthetic example.
    """

    kind: ClassVar[str]
    annotator: Annotator

    def __init__(self, plan: Plan, real: Dataset, seed: int) -> None:
        self.plan, self.real, self.seed = plan, real, seed

    @abstractmethod
    def drafts(self, orders: Sequence[tuple[Cell, int]]) -> Iterator[Draft]:
        """Write so many drafts for each cell; fewer where it has no more to say."""


_GENERATORS: dict[str, type[Generator]] = {}


def generator(kind: type[Generator]) -> type[Generator]:
    """Register a generator class under its kind."""
    _GENERATORS[kind.kind] = kind
    return kind


@cache
def _generators() -> dict[str, type[Generator]]:
    for module in _BUILT_IN:
        import_module(f"buckler.synthesis.{module}")
    for entry in entry_points(group="buckler.generators"):
        generator(entry.load())
    return _GENERATORS


def list_generators() -> list[str]:
    """Return the kinds that are installed, those of language models aside."""
    return sorted(_generators())


def get_generator(kind: str, plan: Plan, real: Dataset, seed: int) -> Generator:
    """Return a generator of this kind.

    Raises
    ------
    SettingsError
        If there is no such kind, or it cannot serve this plan.
    """
    known = _generators()
    if kind not in known:
        raise SettingsError(f"unknown generator {kind!r}: known are {', '.join(sorted(known))}")
    return known[kind](plan, real, seed)
