"""Reads the answers of an annotator from a table: class, confidence, runner-up, rationale.

Importing into the label store and the teacher ``recorded`` share it, so both make the same soft
target of an answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from buckler.errors import InputError
from buckler.tasks import Task

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int32]

_RUNNER_UP_SHARE = 0.5  # of what the label leaves over; the other classes share the rest


@dataclass(frozen=True)
class AnswerColumns:
    """Columns of a table that hold the answers of an annotator; None where it has no such column.

    Attributes
    ----------
    label
        Class.
    probability
        Probability that the event is positive. It counts in place of the label.
    confidence
        Probability that the label is right.
    runner_up
        Class that is the likeliest but for the label.
    rationale
        Reason, in the annotator's words.
    """

    label: str | None = None
    probability: str | None = None
    confidence: str | None = None
    runner_up: str | None = None
    rationale: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are named."""
        return tuple(name for name in vars(self).values() if name is not None)


@dataclass(frozen=True)
class Answers:
    """Answers of an annotator, one for each row of a table.

    Attributes
    ----------
    probabilities
        float64 [n, classes]; NaN in rows without an answer.
    confidence
        float64 [n]: probability that the label is right.
    rationales
        Reasons, None where there is none.
    """

    probabilities: Floats
    confidence: Floats
    rationales: list[str | None]

    @property
    def rows(self) -> npt.NDArray[np.intp]:
        """Rows with an answer."""
        return np.flatnonzero(np.isfinite(self.probabilities).all(axis=1))


def read_answers(
    table: pa.Table, task: Task, columns: AnswerColumns, default_confidence: float = 1.0
) -> Answers:
    """Read the answers of a table.

    Parameters
    ----------
    default_confidence
        Confidence in rows that state none.

    Raises
    ------
    InputError
        If a column is missing, or holds what is no class, probability or confidence.
    """
    if not 0 < default_confidence <= 1:
        raise InputError(
            f"confidence must lie above 0 and at most at 1, not {default_confidence}",
            field="confidence",
        )
    for name in columns.names:
        if name not in table.column_names:
            raise InputError(f"no column named {name}", field=name)
    confidence = np.full(table.num_rows, default_confidence)
    if columns.confidence is not None:
        given = _shares(table, columns.confidence, may_be_missing=True)
        confidence = np.where(np.isnan(given), default_confidence, given)
    if columns.probability is not None:
        probabilities = _positive_probabilities(_shares(table, columns.probability), task)
    elif columns.label is not None:
        runners_up = None
        if columns.runner_up is not None:
            runners_up = _classes(table, columns.runner_up, task)
        labels = _classes(table, columns.label, task)
        probabilities = soft_targets(labels, confidence, runners_up, len(task.classes))
    else:
        raise InputError("name the column of the classes or of the probabilities", field="label")
    rationales: list[str | None] = [None] * table.num_rows
    if columns.rationale is not None:
        rationales = [str(v) if v else None for v in table.column(columns.rationale).to_pylist()]
    return Answers(probabilities, confidence, rationales)


def soft_targets(
    labels: Indices, confidence: Floats, runners_up: Indices | None, n_classes: int
) -> Floats:
    """Return class probabilities, float64 [n, classes]; NaN in rows without a label.

    The label has its confidence. Half of the rest is the runner-up's, though never more than the
    label has, and the other classes share what is left.

    Parameters
    ----------
    labels, runners_up
        int32 [n]: class indices, -1 where there is none.
    """
    rows, rest, others = np.arange(len(labels)), 1 - confidence, np.full(len(labels), n_classes - 1)
    second = np.zeros(len(labels))
    has_second = np.zeros(len(labels), bool)
    if runners_up is not None and n_classes > 2:
        has_second = (runners_up >= 0) & (runners_up != labels)
        second[has_second] = np.minimum(_RUNNER_UP_SHARE * rest, confidence)[has_second]
    shared = (rest - second) / (others - has_second)
    targets = np.repeat(shared[:, None], n_classes, axis=1)
    if runners_up is not None:
        targets[rows[has_second], runners_up[has_second]] = second[has_second]
    targets[rows, labels] = confidence
    targets[labels < 0] = np.nan
    return targets


def _positive_probabilities(p: Floats, task: Task) -> Floats:
    """Spread the probability of a positive event over the positive classes, the rest likewise."""
    if not task.positive:
        raise InputError("a probability column needs a task with positive classes")
    positive = np.isin(np.arange(len(task.classes)), task.positive_indices)
    share = np.where(positive, 1 / positive.sum(), 1 / (~positive).sum())
    return np.asarray(np.where(positive, p[:, None], 1 - p[:, None]) * share)


def _shares(table: pa.Table, name: str, *, may_be_missing: bool = False) -> Floats:
    """Return a column of numbers from 0 to 1; NaN where there is none and one may be missing."""
    try:
        column = pc.cast(table.column(name), pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        column = pa.array([2.0])
    values = np.array(column, np.float64)
    sound = (values >= 0) & (values <= 1)
    if not (sound | (np.isnan(values) & may_be_missing)).all():
        raise InputError(f"column {name} must hold probabilities, 0 to 1", field=name)
    return values


def _classes(table: pa.Table, name: str, task: Task) -> Indices:
    """Return a column of class names as indices, -1 where there is none."""
    values: Sequence[object] = table.column(name).to_pylist()
    texts = ["" if value is None else str(value) for value in values]
    index = {text: -1 if text in ("", "None") else task.class_index(text) for text in set(texts)}
    return np.array([index[text] for text in texts], np.int32)
