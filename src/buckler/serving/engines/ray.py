"""Ray Data: verdicts, and teachers' labels, for a dataset of any size, wherever its blocks lie."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from buckler.dataset import Dataset
from buckler.errors import InputError, SettingsError
from buckler.labels import Annotation
from buckler.serving.tables import PREFIX, TableJudge
from buckler.tasks import Task, get_task
from buckler.teachers import Teacher, get_teacher

if TYPE_CHECKING:
    from ray.data import Dataset as RayDataset


def score(
    dataset: "RayDataset",
    bundle: str | Path,
    column: str | None = None,
    *,
    batch_size: int | None = 65_536,
    ray_options: dict[str, Any] | None = None,
    **options: Any,
) -> "RayDataset":
    """Return a dataset with verdicts behind its columns.

    The bundle's content travels with the task and is loaded once in each worker process.

    Parameters
    ----------
    bundle
        The file, on this machine.
    column
        Name of the text column; by default the usual names of the bundle's task.
    batch_size
        Rows at once; None takes blocks as they are.
    ray_options
        Passed on to `map_batches`, such as ``num_cpus`` or ``concurrency``.
    options
        Of `TableJudge`: target_fpr, probabilities, prefix, trusted_key. With ``probabilities`` the
        answers are pseudo-labels: filter by the largest.

    Raises
    ------
    BucklerError
        If the bundle cannot be used.
    """
    judge = TableJudge(bundle, column, **options)
    return dataset.map_batches(
        judge.__call__, batch_format="pyarrow", batch_size=batch_size, **(ray_options or {})
    )


def label(
    dataset: "RayDataset",
    task: str | Task,
    kind: str,
    settings: str | Path | None = None,
    column: str | None = None,
    *,
    prefix: str = PREFIX,
    batch_size: int = 4096,
    ray_options: dict[str, Any] | None = None,
) -> "RayDataset":
    """Return a dataset with a teacher's annotation behind its columns: label and probabilities.

    For teachers that cost nothing (``encoder``, ``rules``, ``sigma``, ``recorded``), made once in
    each worker. One that is paid for is asked by `buckler label`, whose store makes sure that
    nothing is paid twice.

    Parameters
    ----------
    kind, settings
        The teacher and its file, which every worker must be able to read.

    Raises
    ------
    SettingsError
        If there is no such teacher or task, or it is paid for.
    """
    the_task = get_task(task) if isinstance(task, str) else task
    if get_teacher(kind, _path(settings), the_task).is_paid:
        raise SettingsError(
            f"the teacher {kind!r} is paid for: ask it by `buckler label`, which pays once"
        )
    work = partial(
        _labeled, task=the_task, kind=kind, settings=settings, column=column, prefix=prefix
    )
    return dataset.map_batches(
        work, batch_format="pyarrow", batch_size=batch_size, **(ray_options or {})
    )


_TEACHERS: dict[tuple[str, str, str], Teacher] = {}


def _labeled(
    table: pa.Table,
    task: Task,
    kind: str,
    settings: str | Path | None,
    column: str | None,
    prefix: str,
) -> pa.Table:
    key = (kind, str(settings), task.name)
    if key not in _TEACHERS:
        _TEACHERS[key] = get_teacher(kind, _path(settings), task)
    names = (column,) if column is not None else task.text_columns
    name = next((n for n in names if n in table.column_names), None)
    if name is None:
        raise InputError(f"no column named {' or '.join(names)}")
    texts = table[name].cast(pa.large_binary()).to_pylist()
    rows = [row for row, text in enumerate(texts) if text]
    said: list[Annotation | None] = [None] * len(texts)
    for row, annotation in zip(
        rows, _TEACHERS[key].annotate(_events(table, name, rows, task)), strict=True
    ):
        said[row] = annotation
    best = [None if o is None else task.class_names[int(np.argmax(o.probabilities))] for o in said]
    table = table.append_column(f"{prefix}label", pa.array(best, pa.string()))
    for index, name in enumerate(task.class_names):
        values = [None if o is None else o.probabilities[index] for o in said]
        table = table.append_column(f"{prefix}p_{name}", pa.array(values, pa.float32()))
    return table


def _events(table: pa.Table, name: str, rows: list[int], task: Task) -> Dataset:
    chosen = table.take(pa.array(rows, pa.int64()))
    return Dataset.from_texts(chosen[name].cast(pa.large_binary()).combine_chunks(), task)


def _path(settings: str | Path | None) -> Path | None:
    return None if settings is None else Path(settings)
