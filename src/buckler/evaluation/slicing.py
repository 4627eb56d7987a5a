"""The values by which test rows are sliced: source, month, seen or unseen group, any column."""

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.splits import Leaks

MAX_VALUES = 60


def slice_values(
    events: Dataset, leaks: Leaks | None = None, columns: tuple[str, ...] = ()
) -> dict[str, npt.NDArray[np.object_]]:
    """Return slice name -> a value for each row; slices with a single value are left out.

    Parameters
    ----------
    events
        The test rows.
    leaks
        How they compare with the training rows, where that is known.
    columns
        Further columns of the events.
    """
    found: dict[str, npt.NDArray[np.object_]] = {}
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


def _month(seconds: int | None) -> str | None:
    if seconds is None or not 0 < seconds < 1 << 36:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m")


def _frequent(values: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Fold rare values into one, so that a free-text column cannot flood the report."""
    there = [v for v in values if v is not None]
    names, counts = np.unique(np.array(there, dtype=str), return_counts=True)
    if len(names) <= MAX_VALUES:
        return values
    common = set(names[np.argsort(-counts)[:MAX_VALUES]])
    return np.array([v if v is None or str(v) in common else "(other)" for v in values], object)
