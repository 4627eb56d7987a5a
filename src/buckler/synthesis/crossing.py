"""A generator for rows of features: parts of one real row put into another of the same class.

An attribute of the plan says which features are taken from the other row (``take``, as globs),
which get a value (``put``), and which are multiplied (``scale``); a transform is an attack on rows.
"""

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt

from buckler.attacks import Attacker
from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.labels import Annotator
from buckler.normalize.feature_schema import MARK, matrix
from buckler.synthesis.generator import Draft, Generator, draft_rng, generator
from buckler.synthesis.plan import Cell, Plan
from buckler.synthesis.transforms import get_transform

VERSION = "1"
Row = npt.NDArray[np.float32]


@generator
class Crossing(Generator):
    """Crosses real rows of a class."""

    kind = "crossing"

    def __init__(self, plan: Plan, real: Dataset, seed: int) -> None:
        super().__init__(plan, real, seed)
        if not plan.task.features:
            raise SettingsError(
                f"{plan.task.name}: crossing is for rows of features; texts are written by grammar"
            )
        self.annotator = Annotator(self.kind, VERSION, "rule")
        self._names = plan.task.features.names
        self._values = matrix(real.texts.data, len(real), len(self._names))
        self._rows = {
            name: np.flatnonzero(real.labels == index)
            for index, name in enumerate(plan.task.class_names)
        }
        for label in sorted({cell.label for cell in plan.cells}):
            if len(self._rows[label]) < 2:
                raise SettingsError(f"crossing needs two real rows of class {label!r}")

    def drafts(self, orders: Sequence[tuple[Cell, int]]) -> Iterator[Draft]:
        """Cross rows of each cell's class."""
        for cell, number in orders:
            rows, taken = self._rows[cell.label], self._matching(cell.take)
            for k in range(number):
                rng = draft_rng(self.seed, cell, k)
                first, second = (int(row) for row in rng.choice(rows, 2, replace=False))
                made = self._values[first].copy()
                made[taken] = self._values[second][taken]
                made = self._changed(made, cell, rng)
                seeds = (first, second) if len(taken) else (first,)
                yield Draft(self._text(made), cell, seeds)

    def _matching(self, globs: Sequence[str]) -> npt.NDArray[np.intp]:
        found = [
            i for i, name in enumerate(self._names) if any(fnmatchcase(name, g) for g in globs)
        ]
        return np.array(found, np.intp)

    def _changed(self, row: Row, cell: Cell, rng: np.random.Generator) -> Row:
        for glob, values in cell.put.items():
            row[self._matching([glob])] = np.float32(values[int(rng.integers(len(values)))])
        for glob, (low, high) in cell.scale.items():
            row[self._matching([glob])] *= np.float32(rng.uniform(low, high))
        features = self.plan.task.features
        text = (MARK + row.astype("<f4").tobytes()).decode("utf-8", "surrogateescape")
        for name in cell.transforms.values():
            text = get_transform(name, self.plan.task.medium)(text, Attacker(rng, (), features))
        packed = text.encode("utf-8", "surrogateescape")[len(MARK) :]
        return np.frombuffer(packed, "<f4").astype(np.float32)

    def _text(self, row: Row) -> str:
        """Return the row as JSON; a category by its number, since its name is not known."""
        categories = set(self.plan.task.categories)
        values: dict[str, object] = {}
        for name, value in zip(self._names, row.tolist(), strict=True):
            if np.isfinite(value):
                values[name] = f"#{value:g}" if name in categories else value
        return json.dumps(values)
