"""A generator for rows of features: it puts parts of one real row into another of its class.

The attributes of a combination name the features to take from the other row (``take``), to set
(``set``) and to multiply (``scale``); a transform is an attack on rows.
"""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.labels import Annotator
from buckler.synthesis.generator import GENERATORS, Draft, Generator, draft_rng
from buckler.synthesis.template import Combination, Template, apply_transforms

VERSION = "1"
Row = npt.NDArray[np.float32]


@GENERATORS.add
class Crossover(Generator):
    """Crosses real rows of a class."""

    kind = "crossover"

    def __init__(self, template: Template, real: Dataset, seed: int = 0) -> None:
        super().__init__(template, real, seed)
        if template.task.features is None:
            raise SettingsError(
                f"{template.task.name}: crossover is for rows of features; texts are written by "
                "grammar",
                field="generator",
            )
        self.annotator = Annotator(self.kind, VERSION, "rule")
        self._schema = template.task.features
        self._values = real.features.values
        self._rows = {
            name: np.flatnonzero(real.labels == index)
            for index, name in enumerate(template.task.class_names)
        }
        for label in sorted({c.label for c in template.combinations}):
            if len(self._rows[label]) < 2:
                raise SettingsError(f"crossover needs two real rows of class {label!r}")

    def drafts(self, counts: Sequence[tuple[Combination, int]]) -> Iterator[Draft]:
        """Cross rows of each combination's class."""
        for combination, number in counts:
            rows, taken = self._rows[combination.label], self._columns(combination.take)
            for k in range(number):
                rng = draft_rng(self.seed, combination, k)
                first, second = (int(row) for row in rng.choice(rows, 2, replace=False))
                row = self._values[first].copy()
                row[taken] = self._values[second][taken]
                text = self._change(row, combination, rng)
                seeds = (first, second) if len(taken) else (first,)
                yield Draft(text, combination, seeds)

    def _columns(self, globs: Sequence[str]) -> npt.NDArray[np.intp]:
        names = enumerate(self._schema.names)
        matching = [i for i, name in names if any(fnmatchcase(name, g) for g in globs)]
        return np.array(matching, np.intp)

    def _change(self, row: Row, combination: Combination, rng: np.random.Generator) -> str:
        for glob, values in combination.set.items():
            row[self._columns([glob])] = np.float32(values[int(rng.integers(len(values)))])
        for glob, (low, high) in combination.scale.items():
            row[self._columns([glob])] *= np.float32(rng.uniform(low, high))
        text = self._schema.to_json(row)
        return apply_transforms(text, combination, self.template.task, rng)
