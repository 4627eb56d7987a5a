"""Ray Data: verdicts, and annotations of teachers, for a dataset of any size."""

from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from buckler.dataset import Dataset
from buckler.errors import InputError, SettingsError
from buckler.isolation import isolate
from buckler.labels import Annotation
from buckler.serving.engines.tables import PREFIX, TableScorer, as_table_scorer
from buckler.tasks import Task, get_task
from buckler.teachers import Teacher, get_teacher

if TYPE_CHECKING:
    from ray.data import Dataset as RayDataset


def score(
    dataset: "RayDataset",
    bundle: str | Path | TableScorer,
    column: str | None = None,
    *,
    batch_size: int | None = 65_536,
    ray_options: dict[str, object] | None = None,
) -> "RayDataset":
    """Return a dataset with verdicts behind its columns.

    The bundle's content travels with the task and is loaded once in each worker process.

    Parameters
    ----------
    bundle
        A .buckler file on this machine, or a `TableScorer` with options of its own.
    column
        Name of the text column; by default the usual names of the bundle's task.
    batch_size
        Number of rows that are scored at once; None takes blocks as they are.
    ray_options
        Options of `map_batches`, such as ``num_cpus`` or ``concurrency``.
    """
    scorer = as_table_scorer(bundle, column)
    return dataset.map_batches(
        scorer.__call__, batch_format="pyarrow", batch_size=batch_size, **(ray_options or {})
    )


def label(
    dataset: "RayDataset",
    task: str | Task,
    teacher: str,
    settings: str | Path | None = None,
    column: str | None = None,
    *,
    batch_size: int = 4096,
    ray_options: dict[str, object] | None = None,
) -> "RayDataset":
    """Return a dataset with a teacher's annotation behind its columns.

    The columns are label, probabilities, and an error where an event cannot be annotated.

    For teachers that cost nothing (``encoder``, ``rules``, ``sigma``, ``recorded``), made once in
    each worker. One that is paid for is asked by `buckler label`, whose store makes sure that
    nothing is paid twice.

    Parameters
    ----------
    teacher, settings
        Name of the teacher and its file, which every worker must be able to read.
    column
        Name of the text column; by default the usual names of the task.
    batch_size, ray_options
        As in `score`.

    Raises
    ------
    SettingsError
        If there is no such teacher or task, or it is paid for.
    """
    the_task = get_task(task) if isinstance(task, str) else task
    file = None if settings is None else Path(settings)
    if get_teacher(teacher, file, the_task).is_paid:
        raise SettingsError(
            f"the teacher {teacher!r} is paid for: ask it by `buckler label`, which pays once",
            field="teacher",
        )
    work = partial(_annotate, task=the_task, teacher=teacher, settings=file, column=column)
    return dataset.map_batches(
        work, batch_format="pyarrow", batch_size=batch_size, **(ray_options or {})
    )


_TEACHERS: dict[tuple[str, Path | None, str], Teacher] = {}


def _annotate(
    table: pa.Table, task: Task, teacher: str, settings: Path | None, column: str | None
) -> pa.Table:
    key = (teacher, settings, task.name)
    if key not in _TEACHERS:
        _TEACHERS[key] = get_teacher(teacher, settings, task)
    names = (column,) if column is not None else task.text_columns
    name = next((n for n in names if n in table.column_names), None)
    if name is None:
        raise InputError(f"no column named {' or '.join(names)}")
    texts = table[name].cast(pa.large_binary()).combine_chunks()
    rows = [row for row, text in enumerate(texts.to_pylist()) if text]
    annotations: list[Annotation | None] = [None] * len(texts)
    there = texts.take(pa.array(rows, pa.int64()))

    def annotate(start: int, stop: int) -> list[Annotation | None]:
        events = Dataset.from_texts(there.slice(start, stop - start), task)
        return list(_TEACHERS[key].annotate(events))

    parts, faults = isolate(annotate, len(rows))
    scored = np.delete(np.array(rows, np.intp), list(faults)).tolist()
    for row, annotation in zip(scored, chain.from_iterable(parts), strict=True):
        annotations[row] = annotation
    errors: list[str | None] = [None if text else "no text" for text in texts.to_pylist()]
    for at, reason in faults.items():
        errors[rows[at]] = reason
    best = [
        None if a is None else task.class_names[int(np.argmax(a.probabilities))]
        for a in annotations
    ]
    table = table.append_column(f"{PREFIX}label", pa.array(best, pa.string()))
    for index, name in enumerate(task.class_names):
        values = [None if a is None else a.probabilities[index] for a in annotations]
        table = table.append_column(f"{PREFIX}p_{name}", pa.array(values, pa.float32()))
    return table.append_column(f"{PREFIX}error", pa.array(errors, pa.string()))
