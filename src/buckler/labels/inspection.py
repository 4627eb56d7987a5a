"""Questions to a label store: all about one event, statistics by annotator, conflicts."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError
from buckler.labels.annotation import Annotator
from buckler.labels.ledger import flags_of, redactions_of
from buckler.labels.merging import Merge, merge_annotations
from buckler.labels.store import LabelStore
from buckler.labels.withdrawal import withdrawn_annotators
from buckler.tasks import Task

MIN_SHARED = 20


@dataclass(frozen=True)
class AnnotationSummary:
    """The likeliest class of one annotation.

    Attributes
    ----------
    annotator
        Source of the annotation.
    label, probability
        Class and its probability.
    rationale
        Reason, where one was given.
    counts
        False if the annotator is withdrawn.
    """

    annotator: Annotator
    label: str
    probability: float
    rationale: str | None
    counts: bool = True


@dataclass(frozen=True)
class EventRecord:
    """Everything that a store holds about one event.

    Attributes
    ----------
    annotations
        By annotator and revision.
    flags
        Flag -> detail, such as a detected prompt injection.
    originals
        Placeholder -> text that was redacted for hosted teachers.
    target, target_probability
        Class that the annotations give together; None where every annotation is withdrawn.
    is_human
        True if a person's label decides the target.
    """

    annotations: list[AnnotationSummary]
    flags: dict[str, str]
    originals: dict[str, str]
    target: str | None
    target_probability: float
    is_human: bool


@dataclass(frozen=True)
class AnnotatorStatistics:
    """Work of one annotator on a task.

    Attributes
    ----------
    n_annotations, cost_usd
        Annotations and their cost.
    accuracy
        Estimated share of right annotations; None where fewer than `MIN_SHARED` of its events have
        another annotation.
    withdrawn
        Reason why it no longer counts, which may be empty; None if it counts.
    """

    annotator: Annotator
    n_annotations: int
    cost_usd: float
    accuracy: float | None
    withdrawn: str | None = None


@dataclass(frozen=True)
class StoreStatistics:
    """Annotations of a task, by annotator and by target.

    Attributes
    ----------
    annotators
        One entry per annotator and version.
    targets
        Class -> number of events with this target; classes without any are left out.
    n_events, n_human
        Events with annotations, and those that a person's label decides.
    """

    annotators: list[AnnotatorStatistics]
    targets: dict[str, int]
    n_events: int
    n_human: int


@dataclass(frozen=True)
class Conflict:
    """An event that annotators disagree about; its text is None where the store does not keep
    it.
    """

    event_id: bytes
    text: bytes | None
    annotations: list[AnnotationSummary]


def describe_event(store: LabelStore, task: Task, event_id: bytes) -> EventRecord:
    """Return everything that a store holds about one event.

    Raises
    ------
    InputError
        If it has no annotation for the task.
    """
    annotators = store.annotators()
    annotations = _summaries(store, task, event_id, annotators)
    if not annotations:
        raise InputError(f"no annotation of this event for task {task.name!r}")
    merged = merge_annotations(store.annotations(task), annotators, Merge.DAWID_SKENE)
    target, probability, is_human = None, 0.0, False
    if event_id in merged.event_ids:
        row = merged.event_ids.index(event_id)
        best = int(merged.probabilities[row].argmax())
        target, probability = task.class_names[best], float(merged.probabilities[row, best])
        is_human = bool(merged.human[row])
    return EventRecord(
        annotations,
        flags_of(store, event_id),
        redactions_of(store, [event_id]).get(event_id, {}),
        target,
        probability,
        is_human,
    )


def summarize(store: LabelStore, task: Task, leave_out: Collection[str] = ()) -> StoreStatistics:
    """Return who annotated how much at what cost, and how often each is right by estimate.

    Targets come from annotators that are neither withdrawn nor left out.

    Raises
    ------
    InputError
        If there is no annotation for the task.
    """
    counts = [row for row in store.counts() if row[0] == task.name]
    if not counts:
        raise InputError(f"no annotation for task {task.name!r} in {store.shown}")
    annotators = store.annotators()
    annotations = store.annotations(task, leave_out=leave_out)
    merged = merge_annotations(annotations, annotators, Merge.DAWID_SKENE)
    withdrawn = {annotators[key]: why for key, why in withdrawn_annotators(store, task).items()}
    accuracy = {
        annotators[key]: share
        for key, share in merged.accuracy.items()
        if merged.n_shared[key] >= MIN_SHARED
    }
    n_targets = np.bincount(merged.probabilities.argmax(axis=1), minlength=len(task.classes))
    return StoreStatistics(
        [
            AnnotatorStatistics(who, n, cost, accuracy.get(who), withdrawn.get(who))
            for _, who, n, cost in counts
        ],
        {name: int(n) for name, n in zip(task.class_names, n_targets, strict=True) if n},
        len(merged.event_ids),
        int(merged.human.sum()),
    )


def find_conflicts(
    store: LabelStore, task: Task, limit: int, leave_out: Collection[str] = ()
) -> tuple[list[Conflict], int, int]:
    """Return the worst conflicts, the number of all conflicts, and the number of events."""
    annotators = store.annotators()
    annotations = store.annotations(task, leave_out=leave_out)
    merged = merge_annotations(annotations, annotators, Merge.MEAN)
    certainty: npt.NDArray[np.float64] = merged.probabilities.max(axis=1)
    rows = np.flatnonzero((merged.n_annotations > 1) & (certainty < 1))
    worst = rows[np.argsort(certainty[rows], kind="stable")][:limit]
    ids = [merged.event_ids[row] for row in worst]
    texts = store.texts(ids)
    found = [Conflict(i, texts.get(i), _summaries(store, task, i, annotators)) for i in ids]
    return found, len(rows), len(merged.event_ids)


def _summaries(
    store: LabelStore, task: Task, event_id: bytes, annotators: dict[int, Annotator]
) -> list[AnnotationSummary]:
    withdrawn = withdrawn_annotators(store, task)
    return [
        AnnotationSummary(
            annotators[int(batch.annotators[row])],
            task.class_names[best],
            float(batch.probabilities[row, best]),
            batch.rationales[row],
            counts=int(batch.annotators[row]) not in withdrawn,
        )
        for batch in store.annotations(task, event_id, with_withdrawn=True)
        for row, best in enumerate(batch.probabilities.argmax(axis=1).tolist())
    ]
