"""Puts merged annotations of the label store onto events, as training targets."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.labels import LabelStore
from buckler.labels.merging import Merge, Targets, merge_annotations


def annotations_on(events: Dataset, store: LabelStore, method: Merge) -> npt.NDArray[np.float64]:
    """Return the merged annotations of the store, float64 [n, classes]; NaN rows where it has none."""
    merged, rows = merged_for(events, store, method)
    found = np.full((len(events), len(events.task.classes)), np.nan)
    found[rows >= 0] = merged.probabilities[rows[rows >= 0]]
    return found


def merged_for(
    events: Dataset, store: LabelStore, method: Merge
) -> tuple[Targets, npt.NDArray[np.int64]]:
    """Return all merged annotations, and for each event its row among them: int64 [n], -1 for none."""
    merged = merge_annotations(store.annotations(events.task), store.annotators(), method)
    row_of = {event_id: row for row, event_id in enumerate(merged.event_ids)}
    ids = events.ids
    return merged, np.array([row_of.get(event_id, -1) for event_id in ids], np.int64)


def with_annotations(
    events: Dataset,
    store: LabelStore,
    method: Merge,
    *,
    needed: bool = True,
    label_share: float = 0.0,
) -> tuple[Dataset, dict[str, float | int]]:
    """Return events whose labels come from the store where it has annotations, and a summary.

    An event without an annotation keeps the label that its file gave it, if any. Where there are both,
    `label_share` of the target is the file's label; a human's verdict in the store counts in full.

    Raises
    ------
    InputError
        If the store has no annotation of any of them, and one is needed.
    """
    annotators = store.annotators()
    merged, rows = merged_for(events, store, method)
    judged = np.flatnonzero(rows >= 0)
    if not len(judged) and not needed:
        return events, {"events_with_annotations": 0}
    if not len(judged):
        raise InputError(
            f"{Path(store.where).name}: no annotation of any of the {len(events):,} training events "
            f"for task {events.task.name!r}"
        )
    said = merged.probabilities[rows[judged]].copy()
    mixed = np.flatnonzero((events.labels[judged] >= 0) & ~merged.human[rows[judged]])
    said[mixed] *= 1 - label_share
    said[mixed, events.labels[judged[mixed]]] += label_share
    labels = events.labels.copy()
    labels[judged] = said.argmax(axis=1)
    targets = events.targets.copy()
    targets[judged] = said
    summary: dict[str, float | int] = {
        "events_with_annotations": len(judged),
        "decided_by_a_human": int(merged.human[rows[judged]].sum()),
    }
    for key, accuracy in merged.accuracy.items():
        if not merged.n_shared[key]:
            continue
        name = f"{annotators[key].name} {annotators[key].version}".strip()
        summary[f"estimated accuracy of {name}"] = round(accuracy, 4)
    return events.with_labels(labels).with_targets(targets), summary


def with_file_labels(train: Dataset, as_read: Dataset) -> Dataset:
    """Return the training rows with the labels that their files gave them, and only those."""
    if train.soft_targets is None:
        return train  # no annotation has changed a label
    label_of = dict(zip(as_read.ids, as_read.labels.tolist(), strict=True))
    ids = train.ids
    labels = np.array([label_of.get(i, -1) for i in ids], np.int32)
    return train.with_labels(labels).take(np.flatnonzero(labels >= 0))
