"""Annotations of the label store as training targets, and the labels of analysts among them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.dataset import UNLABELED, Dataset
from buckler.dataset.splits import draw_groups, unlike
from buckler.errors import InputError
from buckler.labels import LabelStore
from buckler.labels.merging import Merge, Targets, check_shares, merge_annotations
from buckler.tasks import Task

_TRAINING, _HELD_OUT = "training.arrow", "held-out.arrow"


def annotations_on(
    events: Dataset, store: LabelStore, method: Merge, leave_out: Collection[str] = ()
) -> npt.NDArray[np.float64]:
    """Return the merged annotations, float64 [n, classes]; NaN rows where there are none."""
    merged, rows = merged_for(events, store, method, leave_out)
    found = np.full((len(events), len(events.task.classes)), np.nan)
    found[rows >= 0] = merged.probabilities[rows[rows >= 0]]
    return found


def merged_for(
    events: Dataset, store: LabelStore, method: Merge, leave_out: Collection[str] = ()
) -> tuple[Targets, npt.NDArray[np.int64]]:
    """Return all merged annotations, and the row of each event among them: int64 [n], or -1."""
    annotators = store.annotators()
    annotations = store.annotations(events.task, leave_out=leave_out)
    merged = merge_annotations(annotations, annotators, method)
    if method is not Merge.MEAN:
        check_shares(merged, annotators, events.task)
    row_of = {event_id: row for row, event_id in enumerate(merged.event_ids)}
    return merged, np.array([row_of.get(event_id, -1) for event_id in events.ids], np.int64)


def with_annotations(
    events: Dataset,
    store: LabelStore,
    method: Merge,
    *,
    leave_out: Collection[str] = (),
    required: bool = True,
    label_share: float = 1.0,
    weight: float = 1.0,
) -> tuple[Dataset, dict[str, float | int]]:
    """Return events with the annotations of the store as targets, and a summary.

    By default, an event that its file labels keeps that label: asking a teacher about labeled
    events never changes what is learned.

    Parameters
    ----------
    events
        Events; one without an annotation keeps the label of its file, if any.
    leave_out
        Annotators to leave out, by name or ``NAME@VERSION``.
    required
        True makes a store without any annotation of these events an error.
    label_share
        Share of the file's label in the target of an event that has both: 1 keeps the label, 0
        takes the annotations alone. The label of a person in the store counts in full. A mixed
        target leaves the label as it is: figures and thresholds rest on it.
    weight
        Weight of an event with an annotation, beside one without.

    Raises
    ------
    InputError
        If the store has no annotation of any event, and one is required.
    """
    annotators = store.annotators()
    merged, rows = merged_for(events, store, method, leave_out)
    annotated = np.flatnonzero(rows >= 0)
    if not len(annotated) and not required:
        return events, {"events_with_annotations": 0}
    if not len(annotated):
        raise InputError(
            f"{store.shown}: no annotation of any of the {len(events):,} training events "
            f"for task {events.task.name!r}"
        )
    probabilities = merged.probabilities[rows[annotated]].copy()
    mixed = np.flatnonzero((events.labels[annotated] >= 0) & ~merged.human[rows[annotated]])
    file_labels = events.labels[annotated[mixed]]
    n_contradicted = int((probabilities[mixed].argmax(axis=1) != file_labels).sum())
    probabilities[mixed] *= 1 - label_share
    probabilities[mixed, file_labels] += label_share
    labels, targets = events.labels.copy(), events.targets.copy()
    labels[annotated] = probabilities.argmax(axis=1)
    if label_share:  # figures and thresholds rest on the label of the file
        labels[annotated[mixed]] = file_labels
    targets[annotated] = probabilities
    summary: dict[str, float | int] = {
        "events_with_annotations": len(annotated),
        "decided_by_a_human": int(merged.human[rows[annotated]].sum()),
        "also_labeled_in_a_file": len(mixed),
        "of_these_contradicted_by_annotations": n_contradicted,
    }
    for key, accuracy in merged.accuracy.items():
        if merged.n_shared[key]:
            summary[f"estimated accuracy of {annotators[key]}"] = round(accuracy, 4)
    weights = events.weights.copy()
    weights[annotated] *= weight
    return events.with_labels(labels).with_targets(targets).with_weights(weights), summary


def with_file_labels(training: Dataset, as_read: Dataset) -> Dataset:
    """Return the training rows with the labels of their files, all of one weight."""
    if training.soft_targets is None:
        return training  # no annotation has changed a label
    label_of = dict(zip(as_read.ids, as_read.labels.tolist(), strict=True))
    labels = np.array([label_of.get(i, UNLABELED) for i in training.ids], np.int32)
    return training.with_labels(labels).with_weights(1.0).take(np.flatnonzero(labels >= 0))


# --- labels of analysts: some events are learned, the rest measure, split by group ---------------


@dataclass(frozen=True)
class AnalystLabels:
    """Events that analysts have labeled.

    Attributes
    ----------
    training
        Events to learn; they share no group and no near-duplicate with those that measure.
    held_out
        Events that only measure.
    """

    training: Dataset
    held_out: Dataset

    def leave_out(self, events: Dataset) -> Dataset:
        """Return training events without labeled ones, and without any like the held-out ones."""
        labeled = {*self.training.ids, *self.held_out.ids}
        events = events.take(np.flatnonzero([i not in labeled for i in events.ids]))
        return events.take(unlike(events, self.held_out)) if len(self.held_out) else events

    def save(self, folder: Path) -> None:
        """Write both datasets into a folder."""
        self.training.save(folder / _TRAINING)
        self.held_out.save(folder / _HELD_OUT)

    @classmethod
    def load(cls, folder: Path, task: Task) -> "AnalystLabels":
        """Read what `save` wrote."""
        return cls(*(Dataset.load(folder / name, task) for name in (_TRAINING, _HELD_OUT)))


def read_analyst_labels(store: LabelStore, task: Task) -> Dataset:
    """Return the events that a person has labeled and whose texts are kept.

    The label is the one that people agree on; events that they cannot agree on are left out.
    """
    merged = merge_annotations(store.annotations(task), store.annotators(), Merge.MEAN)
    rows = np.flatnonzero(merged.human & (merged.probabilities.max(axis=1) > 0.5))
    label_of = {merged.event_ids[row]: int(merged.probabilities[row].argmax()) for row in rows}
    stored = store.events(label_of)
    ids = sorted(stored)
    return Dataset.from_texts(
        [stored[i].text for i in ids],
        task,
        ids=ids,
        labels=[task.class_names[label_of[i]] for i in ids],
        groups=[stored[i].group for i in ids],
        sources=[stored[i].source for i in ids],
    ).with_groups()


def split_analyst_labels(
    events: Dataset, tests: Sequence[Dataset], hold_out: float
) -> AnalystLabels:
    """Split labeled events into those to learn and those that measure.

    Parameters
    ----------
    tests
        Further test events, which no event to learn may be like.
    hold_out
        Share of the groups that measures.
    """
    held = held_out_rows(events, hold_out)
    training, held_out = events.take(np.flatnonzero(~held)), events.take(np.flatnonzero(held))
    against = [test for test in (held_out, *tests) if len(test)]
    if against and len(training):
        training = training.take(unlike(training, Dataset.concat(against)))
    return AnalystLabels(training, held_out)


def held_out_rows(events: Dataset, share: float) -> npt.NDArray[np.bool_]:
    """Return the events that measure and are never learned: always those of the same groups."""
    return draw_groups(events, b"held out") < share
