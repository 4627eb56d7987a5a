"""Estimates the share of wrong labels, class by class, and lists those that are probably wrong."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as csv

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.extras import import_extra
from buckler.files import atomic_writer, harmless_cell
from buckler.training.cross_validation import StudentSpec, cross_validate

# Columns that tell where an event stands.
PLACE = ("file", "row")


@dataclass(frozen=True)
class NoiseEstimate:
    """Estimate of confident learning.

    Attributes
    ----------
    events
        Labeled events, in the order of all rows below.
    joint
        float64 [label, true class]: estimated share of all rows; classes that do not occur are 0.
    suspects
        Rows that are probably mislabeled, the most doubtful first.
    suggested
        int32: the likeliest class of each row.
    quality
        float64: fit of each label, 0 to 1.
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


def estimate_noise(events: Dataset, spec: StudentSpec) -> NoiseEstimate:
    """Compare labels with out-of-fold probabilities (confident learning, `cleanlab`).

    Each event is scored by a student that saw no event of its group. After Northcutt et al. 2021.

    Raises
    ------
    InputError
        If nothing is labeled, or the groups are too few for the folds.
    """
    count = import_extra("cleanlab.count", "estimating label noise", "noise")
    issues = import_extra("cleanlab.filter", "estimating label noise", "noise")
    events = events.only_labeled()
    if not len(events):
        raise InputError("no row has a label; name the label column", field="label_column")
    n_classes = len(events.task.classes)
    p = cross_validate(events, spec).probabilities(events.labels)
    # cleanlab wants labels 0..k-1 that all occur.
    present, labels = np.unique(events.labels, return_inverse=True)
    own = p[:, present] / p[:, present].sum(axis=1, keepdims=True)
    joint = np.zeros((n_classes, n_classes))
    joint[np.ix_(present, present)] = count.estimate_joint(labels, own)
    suspects = issues.find_label_issues(
        labels, own, return_indices_ranked_by="self_confidence", filter_by="both", n_jobs=1
    )
    return NoiseEstimate(
        events,
        joint,
        np.asarray(suspects, np.intp),
        present[own.argmax(axis=1)].astype(np.int32),
        own[np.arange(len(labels)), labels],
    )


def write_suspects(found: NoiseEstimate, path: Path) -> None:
    """Write the suspect rows as CSV: event id, label, suggested, quality, text, and their place.

    Events that were read with the columns of `PLACE` have file and row too.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    events, task = found.events.take(found.suspects), found.events.task
    texts = [task.readable(raw) for raw in events.raw_texts]
    place = [name for name in PLACE if name in events.table.column_names]
    table = pa.table(
        {
            **{name: list(map(harmless_cell, events.column(name))) for name in place},
            "event_id": [event_id.hex() for event_id in events.ids],
            "label": pa.array(events.label_names, pa.string()),
            "suggested": [task.class_names[i] for i in found.suggested[found.suspects]],
            "quality": found.quality[found.suspects].round(4),
            "text": [harmless_cell(text.encode("utf-8", "replace").decode()) for text in texts],
        }
    )
    with atomic_writer(path) as file:
        csv.write_csv(table, file)
