"""Figures by slice: source, month, seen or unseen group, any further column."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.splits import Leaks
from buckler.evaluation.intervals import Rate, rate
from buckler.evaluation.metrics import Ranking, auroc

MAX_VALUES = 60
Bools = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Slice:
    """Figures for some of the test rows.

    Attributes
    ----------
    by, value
        Property that the rows share, such as ``source``, and its value.
    n_positive, n_other
        Rows of positive classes, and the others.
    auroc
        Area under the ROC curve; NaN unless both kinds occur.
    detection, false_positives
        Shares detected at the deployed threshold.
    accuracy
        Accuracy of the likeliest class.
    """

    by: str
    value: str
    n_positive: int
    n_other: int
    auroc: float
    detection: Rate
    false_positives: Rate
    accuracy: Rate


def slice_values(
    events: Dataset, leaks: Leaks | None = None, columns: tuple[str, ...] = ()
) -> dict[str, Objects]:
    """Return slice name -> a value for each row; slices with a single value are left out.

    Parameters
    ----------
    events
        Test rows.
    leaks
        Their overlap with the training rows, where that is known.
    columns
        Further columns of the events.
    """
    found: dict[str, Objects] = {}
    if leaks is not None:
        found["group"] = np.where(leaks.same_group, "seen in training", "unseen").astype(object)
        known = np.where(leaks.near_text, "nearly in training", "new").astype(object)
        known[leaks.same_text] = "in training"
        found["text"] = known
    found["source"] = _frequent(events.sources)
    found["month"] = np.array([_month(t) for t in events.column("ts")], object)
    for name in columns:
        found[name] = _frequent(events.column(name))
    return {
        name: values
        for name, values in found.items()
        if len({v for v in values if v is not None}) > 1
    }


def slice_figures(
    name: str,
    values: Objects,
    score: npt.NDArray[np.float32],
    is_positive: Bools,
    detected: Bools,
    correct: Bools,
) -> list[Slice]:
    """Return the figures of each value of a slice; all arrays have a value for each test row."""
    found = []
    for value in sorted({v for v in values if v is not None}, key=str):
        rows = values == value
        positives, others = rows & is_positive, rows & ~is_positive
        n_positive, n_other = int(positives.sum()), int(others.sum())
        area = float("nan")
        if n_positive and n_other:
            area = auroc(Ranking(score[rows], is_positive[rows]).roc())
        found.append(
            Slice(
                by=name,
                value=str(value),
                n_positive=n_positive,
                n_other=n_other,
                auroc=area,
                detection=rate(detected[positives]),
                false_positives=rate(detected[others]),
                accuracy=rate(correct[rows]),
            )
        )
    return found


def _month(seconds: int | None) -> str | None:
    if seconds is None or not 0 < seconds < 1 << 36:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m")


def _frequent(values: Objects) -> Objects:
    """Put rare values into one, so that a free-text column cannot flood the report."""
    present = [v for v in values if v is not None]
    names, counts = np.unique(np.array(present, dtype=str), return_counts=True)
    if len(names) <= MAX_VALUES:
        return values
    common = set(names[np.argsort(-counts)[:MAX_VALUES]])
    return np.array([v if v is None or str(v) in common else "(other)" for v in values], object)
