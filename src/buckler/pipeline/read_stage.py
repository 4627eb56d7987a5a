"""First stage of a run: files to datasets, and the rows that a recipe chooses among them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.errors import InputError
from buckler.pipeline.recipe import Recipe
from buckler.pipeline.stages import Stage, Summary
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import find_inputs
from buckler.tasks import Task


@dataclass(frozen=True)
class Sources:
    """Events as their files give them; None where the recipe names no files.

    Attributes
    ----------
    train, test
        Labeled events.
    pool
        Unlabeled events that help to train.
    upper_bound
        Further labeled events, to compare with.
    own_negatives
        Negatives from the place where the bundle will work.
    """

    train: Dataset | None = None
    test: Dataset | None = None
    pool: Dataset | None = None
    upper_bound: Dataset | None = None
    own_negatives: Dataset | None = None

    def require(self, name: str) -> Dataset:
        """Return one of the datasets.

        Raises
        ------
        InputError
            If the recipe names no files for it.
        """
        found = vars(self)[name]
        if not isinstance(found, Dataset):
            raise InputError(f"the recipe names no files for {name}")
        return found

    def save(self, folder: Path) -> None:
        """Write the datasets into a folder."""
        for name, events in vars(self).items():
            if events is not None:
                events.save(folder / f"{name}.arrow")

    @classmethod
    def load(cls, folder: Path, task: Task) -> "Sources":
        """Read what `save` wrote."""
        return cls(**{path.stem: Dataset.load(path, task) for path in folder.glob("*.arrow")})


@dataclass(frozen=True)
class ReadSources(Stage[Sources], name="read", version=5):
    """Reads all files; rows that cannot be used are set aside and counted."""

    task: Task
    files: Mapping[str, Sequence[Path]]
    columns: ColumnNames
    leave_out: Mapping[str, Sequence[str]]
    test_rows: Mapping[str, Sequence[str]]
    untaught: Mapping[str, Sequence[str]]
    format: str | None
    on_read: Callable[[int], None] | None = field(compare=False)

    @staticmethod
    def of(recipe: Recipe, task: Task, on_read: Callable[[int], None] | None) -> "ReadSources":
        """Return the stage that reads the files of a recipe."""
        paths = {
            "train": recipe.data.train,
            "test": recipe.data.test,
            "pool": [] if recipe.pool is None else recipe.pool.events,
            "upper_bound": recipe.compare.upper_bound,
            "own_negatives": recipe.data.own_negatives,
        }
        kind = recipe.data.format
        files = {name: list(find_inputs(some, kind)) for name, some in paths.items() if some}
        chosen = (recipe.data.leave_out, recipe.data.test_rows, recipe.data.untaught)
        return ReadSources(task, files, recipe.columns, *chosen, kind, on_read)

    def work(self, folder: Path) -> tuple[Sources, Summary]:
        """Read the files; the rows that were set aside stand in the folder."""
        found: dict[str, Dataset] = {}
        summary: Summary = {}
        for name, paths in self.files.items():
            labeled = name not in ("pool", "own_negatives")
            with Quarantine(folder / f"{name}.quarantine.jsonl") as quarantine:
                events = read_dataset(
                    paths,
                    self.task,
                    self.columns if labeled else replace(self.columns, label=None),
                    labeled=labeled,
                    format_name=self.format,
                    quarantine=quarantine,
                    on_progress=self.on_read,
                )
            events = found[name] = _without(events, self.leave_out, "leave_out", summary, name)
            summary[f"{name}_rows"] = len(events)
            summary[f"{name}_unlabeled"] = int((events.labels < 0).sum())
            summary[f"{name}_set_aside"] = quarantine.count
            reasons = [f"{reason}: {n:,}" for reason, n in quarantine.reasons.items()]
            summary[f"{name}_reasons"] = "; ".join(reasons)
        if self.test_rows:
            train, test = found["train"], found.get("test")
            chosen = _rows_with(train, self.test_rows)
            if chosen.all() or not chosen.any():
                raise InputError(
                    "data.test_rows must choose some of the training rows, and not all of them",
                    field="test_rows",
                )
            found["train"], held = (train.take(np.flatnonzero(r)) for r in (~chosen, chosen))
            found["test"] = held if test is None else Dataset.concat([test, held])
            summary |= {"train_rows": len(found["train"]), "test_rows": len(found["test"])}
        for name in {"train", "pool"} & set(found):
            found[name] = _without(found[name], self.untaught, "untaught", summary, name)
        return Sources(**found), summary


def _without(
    events: Dataset,
    values: Mapping[str, Sequence[str]],
    setting: str,
    summary: Summary,
    name: str,
) -> Dataset:
    """Return the events without some, and count these."""
    kept = ~_rows_with(events, values)
    if not kept.any():
        raise InputError(f"data.{setting} leaves no row", field=setting)
    if values:
        summary[f"{name}_{setting}"] = int((~kept).sum())
    return events if kept.all() else events.take(np.flatnonzero(kept))


def _rows_with(events: Dataset, values: Mapping[str, Sequence[str]]) -> npt.NDArray[np.bool_]:
    """Return flags of the rows that have one of these values in one of these columns."""
    found = np.zeros(len(events), bool)
    for column, some in values.items():
        if column in events.table.column_names:
            found |= np.isin(events.column(column).astype(str), list(some))
    return found
