"""Merges the annotations of an event into one training target; a human's label wins."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from buckler.labels.annotation import AnnotationBatch, Annotator

Floats = npt.NDArray[np.float64]
_STEPS = 100
_TOLERANCE = 1e-6
# Prior on the accuracy of an annotator: so many annotations of each class, this share of them
# right.
_PRIOR_ANNOTATIONS = 10.0
_PRIOR_ACCURACY = 0.9


class Merge(StrEnum):
    """A way to turn annotations into a target.

    ``majority`` counts likeliest classes; ``mean`` averages probabilities, weighted by confidence;
    ``dawid-skene`` estimates the errors of each annotator, and weights accordingly.
    """

    MAJORITY = "majority"
    MEAN = "mean"
    DAWID_SKENE = "dawid-skene"


@dataclass(frozen=True)
class Targets:
    """Training targets.

    Attributes
    ----------
    event_ids
        Ids in the order of the rows.
    probabilities
        float64 [events, classes].
    n_annotations
        Number of annotations behind each, int64.
    human
        True where a human's label decides, bool.
    confusion
        Annotator id -> estimated error rates, float64 [true class, annotated class].
    n_shared
        Annotator id -> number of its events with another annotation. With none, its errors are
        unknown.
    """

    event_ids: list[bytes]
    probabilities: Floats
    n_annotations: npt.NDArray[np.int64]
    human: npt.NDArray[np.bool_]
    confusion: dict[int, Floats]
    n_shared: dict[int, int]

    @property
    def accuracy(self) -> dict[int, float]:
        """Estimated share of right annotations of each annotator, weighted by class frequency."""
        if not len(self.probabilities):
            return {}
        share = self.probabilities.mean(axis=0)
        return {k: float((np.diag(c) * share).sum()) for k, c in self.confusion.items()}


@dataclass(frozen=True)
class _Votes:
    """All annotations, with events and annotators as numbers."""

    event_ids: list[bytes]
    event: npt.NDArray[np.int64]
    annotator: npt.NDArray[np.int64]
    annotator_ids: list[int]
    probabilities: Floats
    confidence: Floats
    is_human: npt.NDArray[np.bool_]


def merge_annotations(
    batches: Iterable[AnnotationBatch], annotators: dict[int, Annotator], method: Merge
) -> Targets:
    """Merge all annotations of a task.

    Parameters
    ----------
    batches
        From `LabelStore.annotations`.
    annotators
        From `LabelStore.annotators`.
    """
    votes = _collect(batches, annotators)
    n_events = len(votes.event_ids)
    n_classes = votes.probabilities.shape[1]
    if not n_events:
        return Targets([], votes.probabilities, np.zeros(0, np.int64), np.zeros(0, bool), {}, {})
    counts = np.bincount(votes.event, minlength=n_events).astype(np.int64)
    shared = counts[votes.event] > 1
    if method is Merge.DAWID_SKENE:
        merged, confusion = _dawid_skene(votes, shared, n_events, n_classes)
    else:
        merged = _average(votes, n_events, n_classes, hard=method is Merge.MAJORITY)
        confusion = _confusion(_only(votes, shared), merged)
    human = np.zeros(n_events, bool)
    if votes.is_human.any():
        own = _only(votes, votes.is_human)
        human[own.event] = True
        merged[human] = _average(own, n_events, n_classes, hard=False)[human]
    n_shared = np.bincount(votes.annotator[shared], minlength=len(votes.annotator_ids))
    return Targets(
        votes.event_ids,
        merged,
        counts,
        human,
        {key: confusion[k] for k, key in enumerate(votes.annotator_ids)},
        {key: int(n_shared[k]) for k, key in enumerate(votes.annotator_ids)},
    )


def _collect(batches: Iterable[AnnotationBatch], annotators: dict[int, Annotator]) -> _Votes:
    """Gather annotations; the last revision of an annotator for an event counts."""
    last: dict[tuple[bytes, int], tuple[npt.NDArray[np.float32], float]] = {}
    for batch in batches:
        for i, event_id in enumerate(batch.event_ids):
            latest = (batch.probabilities[i], float(batch.confidence[i]))
            last[event_id, int(batch.annotators[i])] = latest
    index: dict[bytes, int] = {}
    rows: list[tuple[int, int]] = []
    probabilities: list[npt.NDArray[np.float32]] = []
    confidence: list[float] = []
    for (event_id, annotator_id), (p, certainty) in last.items():
        if certainty == 0 and annotators[annotator_id].kind == "human":
            continue  # withdrawn
        rows.append((index.setdefault(event_id, len(index)), annotator_id))
        probabilities.append(p)
        confidence.append(certainty)
    ids = sorted({annotator for _, annotator in rows})
    number = {annotator: k for k, annotator in enumerate(ids)}
    annotator = np.array([number[k] for _, k in rows], np.int64)
    human = np.array([annotators[k].kind == "human" for k in ids], bool)
    return _Votes(
        list(index),
        np.array([e for e, _ in rows], np.int64),
        annotator,
        ids,
        np.array(probabilities, np.float64) if rows else np.zeros((0, 2)),
        np.array(confidence, np.float64),
        human[annotator],
    )


def _only(votes: _Votes, rows: npt.NDArray[np.bool_]) -> _Votes:
    columns = ("event", "annotator", "probabilities", "confidence", "is_human")
    return replace(votes, **{name: getattr(votes, name)[rows] for name in columns})


def _average(votes: _Votes, n_events: int, n_classes: int, *, hard: bool) -> Floats:
    weight = np.ones(len(votes.event)) if hard else np.maximum(votes.confidence, 1e-6)
    values = np.eye(n_classes)[votes.probabilities.argmax(axis=1)] if hard else votes.probabilities
    total = np.zeros((n_events, n_classes))
    np.add.at(total, votes.event, values * weight[:, None])
    mass = total.sum(axis=1, keepdims=True)
    even = np.full_like(total, 1 / n_classes)
    return np.asarray(np.divide(total, mass, out=even, where=mass > 0))


def _confusion(votes: _Votes, truth: Floats) -> Floats:
    """Return error rates [annotator, true class, annotated class], smoothed by the prior."""
    n_classes = truth.shape[1]
    prior = np.full((n_classes, n_classes), (1 - _PRIOR_ACCURACY) / (n_classes - 1))
    np.fill_diagonal(prior, _PRIOR_ACCURACY)
    counts = np.tile(prior * _PRIOR_ANNOTATIONS, (len(votes.annotator_ids), 1, 1))
    for annotated in range(n_classes):
        share = truth[votes.event] * votes.probabilities[:, annotated : annotated + 1]
        np.add.at(counts[:, :, annotated], votes.annotator, share)
    return np.asarray(counts / counts.sum(axis=2, keepdims=True))


def _dawid_skene(
    votes: _Votes, shared: npt.NDArray[np.bool_], n_events: int, n_classes: int
) -> tuple[Floats, Floats]:
    """Run the expectation-maximization of Dawid and Skene (1979) on soft annotations.

    An annotation with probability p of a class counts as p annotations of this class. The errors of
    an annotator are learned only from events that another one annotated too: the other events
    would let them drift.
    """
    compared = _only(votes, shared)
    truth = _average(votes, n_events, n_classes, hard=False)
    for _ in range(_STEPS):
        confusion = _confusion(compared, truth)
        prior = truth.mean(axis=0) + 1e-9
        log_truth = np.tile(np.log(prior / prior.sum()), (n_events, 1))
        log_confusion = np.log(confusion)
        for true_class in range(n_classes):
            log_odds = votes.probabilities * log_confusion[votes.annotator, true_class]
            np.add.at(log_truth[:, true_class], votes.event, log_odds.sum(axis=1))
        log_truth -= log_truth.max(axis=1, keepdims=True)
        new = np.exp(log_truth)
        new /= new.sum(axis=1, keepdims=True)
        change = float(np.abs(new - truth).max(initial=0))
        truth = new
        if change < _TOLERANCE:
            break
    return truth, _confusion(compared, truth)
