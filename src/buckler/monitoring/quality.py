"""How good are the verdicts of a window, with labels that came late, or without any."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from buckler.evaluation.intervals import Estimate, Rate, bootstrap, rate
from buckler.evaluation.metrics import expected_calibration_error

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_ROUNDS = 200
_LEAST = 1e-6


@dataclass(frozen=True)
class Unlabeled:
    """What calibrated scores say of themselves, where no label is known.

    It holds as far as what changed is how many events are bad, and not what bad and good events
    look like (label shift); the drift tests say when that is in doubt.

    Attributes
    ----------
    prevalence
        Share of positive events, by the expectation-maximization of Saerens et al. 2002.
    precision, recall
        At the deployed threshold.
    """

    prevalence: Estimate
    precision: Estimate
    recall: Estimate


@dataclass(frozen=True)
class Labeled:
    """What labels say of a window.

    Attributes
    ----------
    n
        Labeled events.
    detection, false_detections, precision
        At the deployed threshold.
    ece
        Calibration error of the score.
    """

    n: int
    detection: Rate
    false_positives: Rate
    precision: Rate
    ece: float


@dataclass(frozen=True)
class Sampled:
    """What a sample of detections and one of the rest say of all events.

    Attributes
    ----------
    precision
        Share of detections that are bad.
    missed
        Share of events without a detection that are bad.
    recall
        Of all positive events, those with a detection: by the two shares and how many events each stands
        for. The ends of its interval join the unlucky ends of both. NaN where nothing is known.
    ece
        Calibration error of the score of the sampled events. That detections are drawn more often
        than the rest does no harm: what is asked is how often events of a score are bad.
    """

    precision: Rate
    missed: Rate
    recall: Estimate
    ece: float


def sampled(
    score: Floats, detections: Bools, is_positive: Bools, n_detections: int, n_rest: int
) -> Sampled:
    """Estimate precision, recall and calibration from judged samples.

    Parameters
    ----------
    score, detections, is_bad
        Of the sampled events.
    n_detections, n_rest
        How many events the samples were drawn from.
    """
    precision, missed = rate(is_positive[detections]), rate(is_positive[~detections])

    def recall(p: float, m: float) -> float:
        hits, misses = p * n_detections, m * n_rest
        return hits / (hits + misses) if hits + misses > 0 else float("nan")

    return Sampled(
        precision,
        missed,
        Estimate(
            recall(precision.value, missed.value),
            recall(precision.low, missed.high),
            recall(precision.high, missed.low),
        ),
        expected_calibration_error(score, is_positive) if len(score) else float("nan"),
    )


def shifted_prevalence(score: Floats, training: float, weights: Floats | None = None) -> float:
    """Return the share of positive events whose calibrated scores these are.

    Parameters
    ----------
    score
        float64 [n]: calibrated where the share of positive events was `training`.
    weights
        float64 [n]: how often each event counts.
    """
    w = np.ones(len(score)) if weights is None else weights
    p = np.clip(score, _LEAST, 1 - _LEAST)
    share = training
    for _ in range(_ROUNDS):
        ours = _adjusted(p, training, share)
        newer = float(np.clip((ours * w).sum() / w.sum(), _LEAST, 1 - _LEAST))
        if abs(newer - share) < 1e-7:
            break
        share = newer
    return share


def without_labels(
    score: Floats,
    detections: Bools,
    groups: npt.NDArray[np.int64],
    training: float,
    n_resamples: int = 200,
) -> Unlabeled:
    """Estimate prevalence, precision and recall from calibrated scores alone."""

    def measure(weights: Floats | None) -> dict[str, float]:
        w = np.ones(len(score)) if weights is None else weights
        share = shifted_prevalence(score, training, w)
        p = _adjusted(np.clip(score, _LEAST, 1 - _LEAST), training, share) * w
        raised, positive = float(w[detections].sum()), float(p.sum())
        caught = float(p[detections].sum())
        nan = float("nan")
        return {
            "prevalence": share,
            "precision": caught / raised if raised else nan,
            "recall": caught / positive if positive else nan,
        }

    found = bootstrap(measure, groups, n_resamples)
    return Unlabeled(found["prevalence"], found["precision"], found["recall"])


def with_labels(score: Floats, detections: Bools, is_positive: Bools) -> Labeled:
    """Measure the labeled events of a window."""
    return Labeled(
        len(score),
        rate(detections[is_positive]),
        rate(detections[~is_positive]),
        rate(is_positive[detections]),
        expected_calibration_error(score, is_positive),
    )


def area_under_time(values: list[float]) -> float:
    """Return the mean height of a curve over equal steps of time: AUT of Pendlebury et al. 2019."""
    known = [v for v in values if v == v]
    if len(known) < 2:
        return known[0] if known else float("nan")
    return float(np.mean([(a + b) / 2 for a, b in pairwise(known)]))


def _adjusted(p: Floats, training: float, share: float) -> Floats:
    """Return probabilities for another share of positive events (Bayes)."""
    positive = p * share / training
    good = (1 - p) * (1 - share) / (1 - training)
    return np.asarray(positive / (positive + good))
