"""Merges the annotations of an event into one training target; a human's label wins."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError
from buckler.labels.annotation import AnnotationBatch, Annotator
from buckler.tasks import Task

Floats = npt.NDArray[np.float64]
_STEPS = 100
_TOLERANCE = 1e-6
_MAX_EXCESS = 0.01  # agreement beyond the model's, above which the mean is as good or better
_MAX_SHARE_CHANGE = 1.5
_MIN_EXPECTED = 10  # events of a class, below which its share is chance
# Prior on the accuracy of an annotator: so many annotations of each class, this share of them
# right.
_PRIOR_ANNOTATIONS = 10.0
_PRIOR_ACCURACY = 0.9


class Merge(StrEnum):
    """A way to turn annotations into a target.

    ``mean`` averages probabilities, weighted by confidence. ``majority`` counts likeliest classes.
    ``dawid-skene`` estimates the errors of each annotator, class by class, and averages the mean
    with the posterior. It is the mean where annotators agree more than these errors explain.
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
    shares
        Annotator id -> share of each class in its annotations, float64 [classes].
    """

    event_ids: list[bytes]
    probabilities: Floats
    n_annotations: npt.NDArray[np.int64]
    human: npt.NDArray[np.bool_]
    confusion: dict[int, Floats]
    n_shared: dict[int, int]
    shares: dict[int, Floats]

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

    @cached_property
    def rows_by_annotator(self) -> list[npt.NDArray[np.intp]]:
        """Rows of each annotator."""
        order = np.argsort(self.annotator, kind="stable")
        bounds = np.searchsorted(self.annotator[order], np.arange(1, len(self.annotator_ids)))
        return np.split(order, bounds)


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
    if not n_events:
        return Targets(
            [], votes.probabilities, np.zeros(0, np.int64), np.zeros(0, bool), {}, {}, {}
        )
    counts = np.bincount(votes.event, minlength=n_events).astype(np.int64)
    shared = counts[votes.event] > 1
    hard = replace(
        votes, probabilities=_one_hot(votes.probabilities), confidence=np.ones(len(shared))
    )
    merged, truth = _average(votes, n_events), None
    if method is Merge.MAJORITY:
        merged = _average(hard, n_events)
    elif method is Merge.DAWID_SKENE:
        truth = _dawid_skene(_only(votes, shared), merged)
        merged = (merged + truth) / 2
    confusion = _confusion(_only(hard, shared), merged if truth is None else truth)
    human = np.zeros(n_events, bool)
    if votes.is_human.any():
        own = _only(votes, votes.is_human)
        human[own.event] = True
        merged[human] = _average(own, n_events)[human]
    n_annotators = len(votes.annotator_ids)
    n_shared = np.bincount(votes.annotator[shared], minlength=n_annotators)
    said = _sum_by(votes.annotator, n_annotators, votes.probabilities)
    said /= said.sum(axis=1, keepdims=True)
    return Targets(
        votes.event_ids,
        merged,
        counts,
        human,
        {key: confusion[k] for k, key in enumerate(votes.annotator_ids)},
        {key: int(n_shared[k]) for k, key in enumerate(votes.annotator_ids)},
        {key: said[k] for k, key in enumerate(votes.annotator_ids)},
    )


def check_shares(targets: Targets, annotators: dict[int, Annotator], task: Task) -> None:
    """Raise InputError if a class is far rarer or more frequent than every annotator says."""
    if not targets.shares:
        return
    said, share = np.stack(list(targets.shares.values())), targets.probabilities.mean(axis=0)
    least, most, n = said.min(axis=0), said.max(axis=0), len(targets.probabilities)
    off = (share * _MAX_SHARE_CHANGE < least) & (least * n >= _MIN_EXPECTED)
    off |= (share > most * _MAX_SHARE_CHANGE) & (share * n >= _MIN_EXPECTED)
    if off.any():
        index = int(np.flatnonzero(off)[0])
        rows = {"the targets": share} | {annotators[k].name: p for k, p in targets.shares.items()}
        table = "; ".join(
            f"{who}: {', '.join(f'{c} {p:.1%}' for c, p in zip(task.classes, row, strict=True))}"
            for who, row in rows.items()
        )
        raise InputError(
            f"the merge changes the share of {task.class_names[index]!r} by more than a factor of "
            f"{_MAX_SHARE_CHANGE:g} against every annotator ({table}); merge by 'mean', or have "
            "some of these events labeled by a person"
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


def _one_hot(probabilities: Floats) -> Floats:
    """Return votes for the likeliest class; a tie is shared."""
    top = probabilities >= probabilities.max(axis=1, keepdims=True, initial=0) - 1e-9
    return np.asarray(top / top.sum(axis=1, keepdims=True))


def _sum_by(index: npt.NDArray[np.int64], n: int, values: Floats) -> Floats:
    """Add the rows of each index up, float64 [n, columns]."""
    return np.stack([np.bincount(index, column, n) for column in values.T], axis=1)


def _average(votes: _Votes, n_events: int) -> Floats:
    weight = np.maximum(votes.confidence, 1e-6)
    total = _sum_by(votes.event, n_events, votes.probabilities * weight[:, None])
    mass = total.sum(axis=1, keepdims=True)
    even = np.full_like(total, 1 / total.shape[1])
    return np.asarray(np.divide(total, mass, out=even, where=mass > 0))


def _confusion(votes: _Votes, truth: Floats) -> Floats:
    """Return error rates [annotator, true class, annotated class], smoothed by the prior."""
    n_classes = truth.shape[1]
    prior = np.full((n_classes, n_classes), (1 - _PRIOR_ACCURACY) / (n_classes - 1))
    np.fill_diagonal(prior, _PRIOR_ACCURACY)
    counts = np.tile(prior * _PRIOR_ANNOTATIONS, (len(votes.annotator_ids), 1, 1))
    for annotator, rows in enumerate(votes.rows_by_annotator):
        counts[annotator] += truth[votes.event[rows]].T @ votes.probabilities[rows]
    return np.asarray(counts / counts.sum(axis=2, keepdims=True))


def _dawid_skene(votes: _Votes, mean: Floats) -> Floats:
    """Run the expectation-maximization of Dawid and Skene (1979) on events with several votes.

    Class shares are those of the mean and stay fixed: estimated too, they let a rare class vanish.
    An event with one vote keeps it. A vote with probability p of a class is this vote with chance
    p. Where the model explains the agreement of annotators badly, the mean is returned.
    """
    events, event = np.unique(votes.event, return_inverse=True)
    hard = replace(votes, event=event, probabilities=_one_hot(votes.probabilities))
    truth, log_prior = mean[events], np.log(mean.mean(axis=0) + 1e-9)
    likelihood = np.empty_like(votes.probabilities)
    for _ in range(_STEPS):
        confusion = _confusion(hard, truth)
        for annotator, rows in enumerate(votes.rows_by_annotator):
            likelihood[rows] = votes.probabilities[rows] @ confusion[annotator].T
        log_truth = log_prior + _sum_by(event, len(events), np.log(likelihood))
        new = np.exp(log_truth - log_truth.max(axis=1, keepdims=True))
        new /= new.sum(axis=1, keepdims=True)
        change = float(np.abs(new - truth).max(initial=0))
        truth = new
        if change < _TOLERANCE:
            break
    if not len(events) or _excess_agreement(hard, truth) > _MAX_EXCESS:
        return mean
    posterior = mean.copy()
    posterior[events] = truth
    return posterior


def _excess_agreement(votes: _Votes, truth: Floats) -> float:
    """Return by how much the votes of an annotator agree with others more often than expected.

    The expectation takes errors as independent; the annotator with the largest excess counts.
    """
    n_events, n_annotators = len(truth), len(votes.annotator_ids)
    confusion = _confusion(votes, truth)
    excess = _agreement(votes, votes.probabilities, n_events)
    for true_class in range(truth.shape[1]):
        own = confusion[votes.annotator, true_class]
        excess -= truth[votes.event, true_class] * _agreement(votes, own, n_events)
    pairs = np.bincount(votes.event, minlength=n_events)[votes.event] - 1
    total = np.bincount(votes.annotator, excess, n_annotators)
    return float((total / np.maximum(1, np.bincount(votes.annotator, pairs, n_annotators))).max())


def _agreement(votes: _Votes, values: Floats, n_events: int) -> Floats:
    """Return for each vote the number of other votes on its event that agree, by these values."""
    others = _sum_by(votes.event, n_events, values)[votes.event] - values
    return np.asarray((values * others).sum(axis=1))
