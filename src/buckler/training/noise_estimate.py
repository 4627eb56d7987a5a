"""Estimates how noisy labels are, class by class, and lists those that are probably wrong."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as csv

from buckler.dataset import Dataset
from buckler.errors import InputError, MissingExtraError, OutputError
from buckler.tasks import Task
from buckler.training.cross_validation import cross_fit


@dataclass(frozen=True)
class NoiseEstimate:
    """What confident learning says of labels.

    Attributes
    ----------
    events
        The labeled events, in the order of all rows below.
    joint
        float64 [label, true class]: estimated share of all rows; classes that do not occur are 0.
    suspects
        Rows that are probably mislabeled, the most doubtful first.
    suggested
        int32: the likeliest class of each row.
    quality
        float64: how well each label fits, 0 to 1.
    """

    events: Dataset
    joint: npt.NDArray[np.float64]
    suspects: npt.NDArray[np.intp]
    suggested: npt.NDArray[np.int32]
    quality: npt.NDArray[np.float64]

    @property
    def noise_rate(self) -> float:
        """Estimated share of wrong labels."""
        return float(1 - np.trace(self.joint))


def estimate_noise(
    events: Dataset, family: str, settings: dict[str, Any], *, folds: int, seed: int
) -> NoiseEstimate:
    """Compare labels with what cross-fitted students say (confident learning, `cleanlab`).

    Each event is judged by a student that saw no event of its group. After Northcutt et al. 2021.

    Raises
    ------
    InputError
        If nothing is labeled, or the groups are too few for the folds.
    """
    try:
        from cleanlab.count import estimate_joint
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise MissingExtraError("estimating label noise", "noise") from None
    rows = np.flatnonzero(events.labels >= 0)
    if not len(rows):
        raise InputError("no row has a label; name the label column", field="label_column")
    events = events.take(rows)
    p = cross_fit(events, family, settings, folds=folds, seed=seed).probabilities(events.labels)
    # cleanlab wants labels 0..k-1 that all occur.
    present, labels = np.unique(events.labels, return_inverse=True)
    own = p[:, present] / p[:, present].sum(axis=1, keepdims=True)
    joint = np.zeros((len(events.task.classes), len(events.task.classes)))
    joint[np.ix_(present, present)] = estimate_joint(labels, own)
    suspects = find_label_issues(
        labels, own, return_indices_ranked_by="self_confidence", filter_by="both", n_jobs=1
    )
    return NoiseEstimate(
        events,
        joint,
        np.asarray(suspects, np.intp),
        present[own.argmax(axis=1)].astype(np.int32),
        own[np.arange(len(labels)), labels],
    )


def write_suspects(found: NoiseEstimate, task: Task, path: Path) -> None:
    """Write the suspect rows as CSV: event id, label, suggested, quality, text.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    rows = pa.array(found.suspects)
    names = np.array(task.class_names, object)
    texts = [task.readable(raw) for raw in found.events.raw_texts.take(rows).to_pylist()]
    ids = found.events.table.column("id").take(rows).to_pylist()
    table = pa.table(
        {
            "event_id": [i.hex() for i in ids],
            "label": pa.array(names[found.events.labels[found.suspects]], pa.string()),
            "suggested": pa.array(names[found.suggested[found.suspects]], pa.string()),
            "quality": found.quality[found.suspects].round(4),
            "text": [text.encode("utf-8", "replace").decode() for text in texts],
        }
    )
    try:
        csv.write_csv(table, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error})") from error
