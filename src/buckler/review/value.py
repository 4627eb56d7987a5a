"""What a verdict on an event would be worth: where the queue's order comes from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.deduplication import near_duplicate_clusters
from buckler.evaluation.agreement import disagreement
from buckler.review.schema import Lane
from buckler.runtime import Scorer

Floats = npt.NDArray[np.float64]

# How much of a verdict's worth each sign can make out.
WEIGHTS = {
    "near the threshold": 0.5,
    "teacher and student disagree": 0.9,
    "uncertain": 0.9,
    "unlike what came before": 0.4,
}
SAMPLE_SHARE = 0.01
SAMPLE_LEAST = 200
_LOGIT_SCALE = 1.0
_LEAST = 1e-6
_GROUP_DECAY = 0.5
_NEWNESS = 0.6


@dataclass(frozen=True)
class Valued:
    """Events in the order in which they are worth a verdict.

    Attributes
    ----------
    score, detections, labels
        What the bundle says: float64, bool and int64 [n].
    value, reason
        float64 [n], and why in words; by chance for those drawn by lot.
    standing_for
        int64 [n]: the row whose verdict serves this one; itself, where it is shown.
    serves
        int64 [n]: how many events a verdict on this one serves.
    lane
        int64 [n]: see `Lane`.
    """

    score: Floats
    detections: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.intp]
    value: Floats
    reason: npt.NDArray[np.object_]
    standing_for: npt.NDArray[np.intp]
    serves: npt.NDArray[np.int64]
    lane: npt.NDArray[np.int64]


def value_events(
    events: Dataset,
    scorer: Scorer,
    *,
    teacher: Floats | None = None,
    newness: Floats | None = None,
    sample_share: float = SAMPLE_SHARE,
    seed: int = 0,
) -> Valued:
    """Order events by what a verdict on each would be worth.

    Events drawn by lot for honest figures are neither ordered nor folded: each stands for itself,
    and for the stratum (detections, or the rest) that it was drawn from.

    Parameters
    ----------
    teacher
        float64 [n, classes]: what teachers say; rows of NaN where nothing is known.
    newness
        float64 [n]: probability that an event is of now and not of then, by a classifier that did
        not learn from it.
    sample_share
        Of the detections and of the rest; at least `SAMPLE_LEAST` of each.
    """
    verdicts = scorer.score(events.raw_texts)
    score = verdicts.scores.astype(np.float64)
    detections = verdicts.detected
    probabilities = verdicts.probabilities.astype(np.float64)
    rng = np.random.default_rng(seed)
    lane = _drawn(detections, sample_share, rng)
    standing_for = _folded(events, lane)
    serves = np.bincount(standing_for, minlength=len(events)).astype(np.int64)
    signs = {"uncertain": _uncertain(probabilities)}
    if verdicts.threshold is not None:
        signs["near the threshold"] = _near(score, verdicts.threshold)
    if teacher is not None:
        signs["teacher and student disagree"] = _disagree(probabilities, teacher)
    if newness is not None:
        signs["unlike what came before"] = np.clip((newness - _NEWNESS) / (1 - _NEWNESS), 0, 1)
    names = list(signs)
    strength = np.stack([WEIGHTS[name] * signs[name] for name in names])
    value = 1 - np.prod(1 - strength, axis=0)
    value *= 1 + 0.1 * np.log2(serves.clip(1))
    value *= _GROUP_DECAY ** np.log2(1 + _rank_in_group(value, events.group_codes(), standing_for))
    reason = np.array(names, object)[strength.argmax(axis=0)]
    # In an order of chance too, else the first of them to be judged would be no fair sample; the
    # values are those of others, so that they stand among them in a list.
    lot = np.flatnonzero(lane != Lane.VALUE)
    if len(lot):
        others = value[(lane == Lane.VALUE) & (standing_for == np.arange(len(events)))]
        value[lot] = rng.choice(others, len(lot)) if len(others) else rng.random(len(lot))
    reason[lot] = "drawn by lot"
    return Valued(
        score, detections, verdicts.label_indices, value, reason, standing_for, serves, lane
    )


def _drawn(
    detections: npt.NDArray[np.bool_], share: float, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    lane = np.full(len(detections), int(Lane.VALUE), np.int64)
    if share <= 0:
        return lane
    for flag, name in ((True, Lane.SAMPLE_DETECTION), (False, Lane.SAMPLE_REST)):
        rows = np.flatnonzero(detections == flag)
        n = min(len(rows) // 2, max(SAMPLE_LEAST, round(share * len(rows))))
        lane[rng.permutation(rows)[:n]] = int(name)
    return lane


def _folded(events: Dataset, lane: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    standing_for = np.arange(len(events))
    rows = np.flatnonzero(lane == Lane.VALUE)
    if len(rows):
        standing_for[rows] = rows[near_duplicate_clusters(events.texts.take(rows))]
    return standing_for


def _uncertain(probabilities: Floats) -> Floats:
    top = np.sort(probabilities, axis=1)
    return np.asarray(1 - (top[:, -1] - top[:, -2]))


def _near(score: Floats, threshold: float) -> Floats:
    """1 at the threshold; it falls with the distance in logits, to either side."""
    apart = _logit(score) - _logit(np.array([threshold]))
    return np.asarray(np.exp(-np.abs(apart) / _LOGIT_SCALE))


def _disagree(probabilities: Floats, teacher: Floats) -> Floats:
    known = ~np.isnan(teacher).any(axis=1)
    found = np.zeros(len(teacher))
    if known.any():
        found[known] = disagreement([probabilities[known], teacher[known]]) / np.log(2)
    return np.clip(found, 0, 1)


def _rank_in_group(
    value: Floats, groups: npt.NDArray[np.int64], standing_for: npt.NDArray[np.intp]
) -> npt.NDArray[np.int64]:
    """Return how many shown events of its group are worth more: the like of them teach less."""
    shown = standing_for == np.arange(len(value))
    order = np.lexsort((-value, ~shown, groups))
    ordered = groups[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    starts = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - starts
    return rank


def _logit(p: Floats) -> Floats:
    q = np.clip(p, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(q / (1 - q)))
