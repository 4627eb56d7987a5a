"""Estimates the share of wrong labels, class by class, and lists those that are probably wrong.

Annotations of a teacher are a second witness: it sees what a student of the same labels cannot,
such as a feed that lists phishing sites as ordinary ones.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.evaluation.intervals import Rate, rate
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
    annotations
        float64 [n, classes]: probabilities of a teacher, NaN rows where there are none.
    """

    events: Dataset
    joint: npt.NDArray[np.float64]
    suspects: npt.NDArray[np.intp]
    suggested: npt.NDArray[np.int32]
    quality: npt.NDArray[np.float64]
    annotations: npt.NDArray[np.float64]

    @property
    def is_contradicted(self) -> npt.NDArray[np.bool_]:
        """Flags of the rows whose annotation names another class than the label."""
        known = np.isfinite(self.annotations).all(axis=1)
        return np.asarray(known & (self.annotations.argmax(axis=1) != self.events.labels))

    @property
    def noise_rate(self) -> float:
        """Estimated share of wrong labels."""
        return float(1 - np.trace(self.joint))


@dataclass(frozen=True)
class SourceDispute:
    """Labels of one source that a teacher annotated too.

    Attributes
    ----------
    source, label
        Source and class of the labels.
    contradicted
        Share whose annotation names another class.
    """

    source: str
    label: str
    contradicted: Rate


def estimate_noise(
    events: Dataset, spec: StudentSpec, annotations: npt.NDArray[np.float64] | None = None
) -> NoiseEstimate:
    """Compare labels with out-of-fold probabilities (confident learning, `cleanlab`).

    Each event is scored by a student that saw no event of its group. After Northcutt et al. 2021.

    Parameters
    ----------
    spec
        Student of each fold.
    annotations
        float64 [events, classes]: probabilities of a teacher, NaN rows where there are none. Rows
        that it contradicts are suspects too.

    Raises
    ------
    InputError
        If nothing is labeled, or the groups are too few for the folds.
    """
    count = import_extra("cleanlab.count", "estimating label noise", "noise")
    issues = import_extra("cleanlab.filter", "estimating label noise", "noise")
    if annotations is None:
        annotations = np.full((len(events), len(events.task.classes)), np.nan)
    annotations = annotations[events.labels >= 0]
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
    found = NoiseEstimate(
        events,
        joint,
        np.asarray(suspects, np.intp),
        present[own.argmax(axis=1)].astype(np.int32),
        own[np.arange(len(labels)), labels],
        annotations,
    )
    return _with_contradicted(found) if found.is_contradicted.any() else found


def _with_contradicted(found: NoiseEstimate) -> NoiseEstimate:
    """Add the rows that the teacher contradicts, ranked by what both say of the label."""
    rows = np.arange(len(found.events))
    of_label = found.annotations[rows, found.events.labels]
    fit = np.where(np.isfinite(of_label), (found.quality + of_label) / 2, found.quality)
    suspects = np.union1d(found.suspects, np.flatnonzero(found.is_contradicted))
    suggested = np.where(
        found.is_contradicted,
        np.nan_to_num(found.annotations).argmax(axis=1),
        found.suggested,
    ).astype(np.int32)
    ranked = suspects[np.argsort(fit[suspects], kind="stable")]
    return replace(found, suspects=ranked, suggested=suggested)


def disputes_by_source(found: NoiseEstimate) -> list[SourceDispute]:
    """Return the sources and classes that a teacher annotated, the most contradicted first."""
    sources = np.array([name or "" for name in found.events.sources], str)
    known, groups = np.isfinite(found.annotations).all(axis=1), found.events.group_codes()
    disputes = []
    for source in np.unique(sources[known]):
        for index, label in enumerate(found.events.task.class_names):
            own = known & (sources == source) & (found.events.labels == index)
            if own.any():
                contradicted = rate(found.is_contradicted[own], groups[own])
                disputes.append(SourceDispute(str(source), label, contradicted))
    return sorted(disputes, key=lambda one: -one.contradicted.value)


def write_suspects(found: NoiseEstimate, path: Path) -> None:
    """Write the suspect rows: event id, label, suggested, quality, text, and their place.

    Events that were read with the columns of `PLACE` have file and row too. A Parquet file holds
    the events as read, with group and source, for `buckler label` and `buckler review add`. A CSV
    file is for people: its texts are readable, and harmless in a spreadsheet.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    events, task = found.events.take(found.suspects), found.events.task
    place = [name for name in PLACE if name in events.table.column_names]
    columns: dict[str, object] = {
        **{name: list(map(harmless_cell, events.column(name))) for name in place},
        "event_id": [event_id.hex() for event_id in events.ids],
        "label": pa.array(events.label_names, pa.string()),
        "suggested": [task.class_names[i] for i in found.suggested[found.suspects]],
        "quality": found.quality[found.suspects].round(4),
    }
    if path.suffix == ".parquet":
        columns |= {"text": events.raw, "group": events.table["group"]}
        columns["source"] = events.table["source"]
    else:
        texts = [task.readable(raw).encode("utf-8", "replace").decode() for raw in events.raw_texts]
        columns["text"] = [harmless_cell(text) for text in texts]
    with atomic_writer(path) as file:
        if path.suffix == ".parquet":
            pq.write_table(pa.table(columns), file)
        else:
            csv.write_csv(pa.table(columns), file)
