"""Chooses the labeled examples of a prompt: the same number per class, unlike each other."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset, read_dataset
from buckler.dataset.hashed_vectors import hashed_vectors
from buckler.errors import SettingsError
from buckler.tasks import Task
from buckler.teachers.llm.prompt import Example

_MAX_ROWS_A_CLASS = 2000


def choose_examples(path: Path, task: Task, n: int) -> list[Example]:
    """Return `n` examples, classes in turn.

    In each class the most typical event comes first (nearest to the mean of its hashed byte
    3-grams), then the one farthest from those chosen (Gonzalez 1985).

    Raises
    ------
    SettingsError
        If nothing in the file is labeled.
    """
    events = read_dataset([path], task)
    chosen: list[list[int]] = []
    for label in range(len(task.classes)):
        rows = _unique_rows(events, np.flatnonzero(events.labels == label))
        step = max(1, len(rows) // _MAX_ROWS_A_CLASS)
        rows = rows[::step][:_MAX_ROWS_A_CLASS]
        if len(rows):
            vectors = hashed_vectors(events.texts.take(rows))
            chosen.append([int(rows[i]) for i in _spread_rows(vectors, min(n, len(rows)))])
    if not chosen:
        raise SettingsError(f"{path}: no labeled event to choose examples from")
    turns = [
        rows[turn] for turn in range(max(map(len, chosen))) for rows in chosen if turn < len(rows)
    ]
    return [
        Example(
            events.raw_text(row).decode("utf-8", "surrogateescape"),
            task.class_names[int(events.labels[row])],
        )
        for row in turns[:n]
    ]


def _unique_rows(events: Dataset, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    first = {events.texts[row]: row for row in reversed(rows.tolist())}
    return np.array(sorted(first.values()), np.intp)


def _spread_rows(vectors: npt.NDArray[np.float32], n: int) -> list[int]:
    """Greedy k-center, from the most typical on."""
    first = int((vectors @ vectors.mean(axis=0)).argmax())
    chosen = [first]
    nearest = vectors @ vectors[first]
    while len(chosen) < n:
        farthest = int(nearest.argmin())
        chosen.append(farthest)
        nearest = np.maximum(nearest, vectors @ vectors[farthest])
    return chosen
