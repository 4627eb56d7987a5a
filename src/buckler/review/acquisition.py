"""Acquisition scores: rank events by how much an analyst's label on each would teach."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.splits import near_duplicate_clusters
from buckler.evaluation.agreement import disagreement
from buckler.review.review_tables import Stratum
from buckler.runtime import Scorer

Floats = npt.NDArray[np.float64]

# Share of a full acquisition score that each signal contributes at most.
WEIGHTS = {
    "near the threshold": 0.5,
    "teacher and student disagree": 0.9,
    "uncertain": 0.9,
    "novel": 0.4,
}
SAMPLE_SHARE = 0.01
MIN_SAMPLE = 200
_LOGIT_SCALE = 1.0
_MIN_PROBABILITY = 1e-6
_GROUP_DECAY = 0.5
_MIN_NOVELTY = 0.6


@dataclass(frozen=True)
class AcquisitionRanking:
    """Events with their acquisition scores.

    Attributes
    ----------
    scores, detections, labels
        Verdicts of the bundle: float64, bool and int64 [n].
    acquisition, reason
        float64 [n], and its main signal; a random value for events of a random sample.
    duplicate_of
        int64 [n]: the row whose label covers this one; the row itself where it is shown.
    covers
        int64 [n]: number of events that a label on this row covers.
    stratum
        int64 [n]: see `Stratum`.
    """

    scores: Floats
    detections: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.intp]
    acquisition: Floats
    reason: npt.NDArray[np.object_]
    duplicate_of: npt.NDArray[np.intp]
    covers: npt.NDArray[np.int64]
    stratum: npt.NDArray[np.int64]

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        """Rows that an analyst is shown: all but near-duplicates of another row."""
        return np.asarray(self.duplicate_of == np.arange(len(self.duplicate_of)))


def rank_events(
    events: Dataset,
    scorer: Scorer,
    *,
    teacher: Floats | None = None,
    novelty: Floats | None = None,
    sample_share: float = SAMPLE_SHARE,
    seed: int = 0,
) -> AcquisitionRanking:
    """Rank events by acquisition score, and draw random samples for metrics.

    Sampled events are neither ranked nor grouped: each represents itself and its stratum
    (detections, or the rest).

    Parameters
    ----------
    teacher
        float64 [n, classes]: probabilities by teachers; rows of NaN where nothing is known.
    novelty
        float64 [n]: out-of-fold probability that an event is from now and not from the reference;
        NaN where it is not known of all.
    sample_share
        Share of the detections and of the rest; at least `MIN_SAMPLE` of each.
    seed
        Random seed of the samples.
    """
    verdicts = scorer.score(events.raw)
    scores = verdicts.scores.astype(np.float64)
    detections = verdicts.detected
    probabilities = verdicts.probabilities.astype(np.float64)
    rng = np.random.default_rng(seed)
    stratum = _draw_samples(detections, sample_share, rng)
    duplicate_of = _group_duplicates(events, stratum)
    covers = np.bincount(duplicate_of, minlength=len(events)).astype(np.int64)
    signals = {"uncertain": _uncertainty(probabilities)}
    if verdicts.threshold is not None:
        signals["near the threshold"] = _closeness(scores, verdicts.threshold)
    if teacher is not None:
        signals["teacher and student disagree"] = _disagreement(probabilities, teacher)
    if novelty is not None and not np.isnan(novelty).any():
        signals["novel"] = np.clip((novelty - _MIN_NOVELTY) / (1 - _MIN_NOVELTY), 0, 1)
    names = list(signals)
    strength = np.stack([WEIGHTS[name] * signals[name] for name in names])
    acquisition = 1 - np.prod(1 - strength, axis=0)
    acquisition *= 1 + 0.1 * np.log2(covers.clip(1))
    shown = duplicate_of == np.arange(len(events))
    rank = _rank_in_group(acquisition, events.group_codes(), shown)
    acquisition *= _GROUP_DECAY ** np.log2(1 + rank)
    reason = np.array(names, object)[strength.argmax(axis=0)]
    # Sampled events come in random order too: the first labels must be a fair sample. Their scores
    # are drawn from those of ranked events, so that a list mixes both.
    sampled = np.flatnonzero(stratum != Stratum.RANKED)
    if len(sampled):
        others = acquisition[(stratum == Stratum.RANKED) & shown]
        drawn = rng.choice(others, len(sampled)) if len(others) else rng.random(len(sampled))
        acquisition[sampled] = drawn
    reason[sampled] = "random sample"
    return AcquisitionRanking(
        scores=scores,
        detections=detections,
        labels=verdicts.label_indices,
        acquisition=acquisition,
        reason=reason,
        duplicate_of=duplicate_of,
        covers=covers,
        stratum=stratum,
    )


def _draw_samples(
    detections: npt.NDArray[np.bool_], share: float, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    strata = np.full(len(detections), int(Stratum.RANKED), np.int64)
    if share <= 0:
        return strata
    for is_detection, stratum in ((True, Stratum.DETECTION_SAMPLE), (False, Stratum.REST_SAMPLE)):
        rows = np.flatnonzero(detections == is_detection)
        n = min(len(rows) // 2, max(MIN_SAMPLE, round(share * len(rows))))
        strata[rng.permutation(rows)[:n]] = int(stratum)
    return strata


def _group_duplicates(events: Dataset, stratum: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    duplicate_of = np.arange(len(events))
    rows = np.flatnonzero(stratum == Stratum.RANKED)
    if len(rows):
        duplicate_of[rows] = rows[near_duplicate_clusters(events.texts.take(rows))]
    return duplicate_of


def _uncertainty(probabilities: Floats) -> Floats:
    top = np.sort(probabilities, axis=1)
    return np.asarray(1 - (top[:, -1] - top[:, -2]))


def _closeness(scores: Floats, threshold: float) -> Floats:
    """Return 1 at the threshold; it falls with the distance in logits, to either side."""
    distance = _logit(scores) - _logit(np.array([threshold]))
    return np.asarray(np.exp(-np.abs(distance) / _LOGIT_SCALE))


def _disagreement(probabilities: Floats, teacher: Floats) -> Floats:
    known = ~np.isnan(teacher).any(axis=1)
    divergence = np.zeros(len(teacher))
    if known.any():
        divergence[known] = disagreement([probabilities[known], teacher[known]]) / np.log(2)
    return np.clip(divergence, 0, 1)


def _rank_in_group(
    acquisition: Floats, groups: npt.NDArray[np.int64], shown: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return how many shown events of the same group score higher: similar events teach less."""
    order = np.lexsort((-acquisition, ~shown, groups))
    ordered = groups[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    starts = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - starts
    return rank


def _logit(p: Floats) -> Floats:
    q = np.clip(p, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
    return np.asarray(np.log(q / (1 - q)))
