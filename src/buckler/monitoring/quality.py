"""Quality of a window's verdicts: measured by labels, sampled, or estimated without labels."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from buckler.evaluation.intervals import Estimate, Rate, bootstrap, rate
from buckler.evaluation.metrics import expected_calibration_error

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_ROUNDS = 200
_MIN_SHARE = 1e-6


@dataclass(frozen=True)
class EstimatedQuality:
    """Quality estimated from calibrated scores, where no label is known.

    The estimate holds under label shift: the share of positive events changes, their look does
    not. The drift tests tell when that is in doubt.

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
class MeasuredQuality:
    """Quality measured by labels.

    Attributes
    ----------
    n_labeled
        Labeled events.
    recall, false_positive_rate, precision
        At the deployed threshold.
    calibration_error
        Expected calibration error of the score.
    """

    n_labeled: int
    recall: Rate
    false_positive_rate: Rate
    precision: Rate
    calibration_error: float


@dataclass(frozen=True)
class SampledQuality:
    """Quality that a labeled sample of the detections and one of the other events give.

    Attributes
    ----------
    precision
        Share of positive events among the detections.
    missed
        Share of positive events among the others.
    recall
        Share of detections among the positive events: from both shares and the number of events
        that each stands for. Its interval joins the worst ends of both. NaN where nothing is known.
    calibration_error
        Expected calibration error of the score of the sampled events. It asks how often events of
        a score are positive, so that a larger sample of detections does no harm.
    """

    precision: Rate
    missed: Rate
    recall: Estimate
    calibration_error: float


def sample_quality(
    scores: Floats,
    detected: Bools,
    is_positive: Bools,
    groups: npt.NDArray[np.int64],
    n_detections: int,
    n_rest: int,
) -> SampledQuality:
    """Estimate precision, recall and calibration from labeled samples, with intervals by group.

    Parameters
    ----------
    scores, detected, is_positive, groups
        Score, detection, label and group of each sampled event.
    n_detections, n_rest
        Number of events that the samples were drawn from.
    """
    precision = rate(is_positive[detected], groups[detected])
    missed = rate(is_positive[~detected], groups[~detected])

    def recall(p: float, m: float) -> float:
        hits, misses = p * n_detections, m * n_rest
        return hits / (hits + misses) if hits + misses > 0 else float("nan")

    return SampledQuality(
        precision,
        missed,
        Estimate(
            recall(precision.value, missed.value),
            recall(precision.low, missed.high),
            recall(precision.high, missed.low),
        ),
        expected_calibration_error(scores, is_positive) if len(scores) else float("nan"),
    )


def shifted_prevalence(scores: Floats, training: float, weights: Floats | None = None) -> float:
    """Return the share of positive events that the calibrated scores imply.

    Parameters
    ----------
    scores
        float64 [n]: calibrated where the share of positive events was `training`.
    weights
        float64 [n]: weight of each event.
    """
    w = np.ones(len(scores)) if weights is None else weights
    p = np.clip(scores, _MIN_SHARE, 1 - _MIN_SHARE)
    share = training
    for _ in range(_ROUNDS):
        shifted = _shift_prior(p, training, share)
        newer = float(np.clip((shifted * w).sum() / w.sum(), _MIN_SHARE, 1 - _MIN_SHARE))
        if abs(newer - share) < 1e-7:
            break
        share = newer
    return share


def estimate_quality(
    scores: Floats,
    detected: Bools,
    groups: npt.NDArray[np.int64],
    training: float,
    n_resamples: int = 200,
) -> EstimatedQuality:
    """Estimate prevalence, precision and recall from calibrated scores alone."""

    def measure(weights: Floats | None) -> dict[str, float]:
        w = np.ones(len(scores)) if weights is None else weights
        share = shifted_prevalence(scores, training, w)
        p = _shift_prior(np.clip(scores, _MIN_SHARE, 1 - _MIN_SHARE), training, share) * w
        n_detections, n_positive = float(w[detected].sum()), float(p.sum())
        hits = float(p[detected].sum())
        nan = float("nan")
        return {
            "prevalence": share,
            "precision": hits / n_detections if n_detections else nan,
            "recall": hits / n_positive if n_positive else nan,
        }

    found = bootstrap(measure, groups, n_resamples)
    return EstimatedQuality(found["prevalence"], found["precision"], found["recall"])


def measure_quality(
    scores: Floats, detected: Bools, is_positive: Bools, groups: npt.NDArray[np.int64]
) -> MeasuredQuality:
    """Measure the quality on labeled events, with intervals by group."""
    return MeasuredQuality(
        len(scores),
        rate(detected[is_positive], groups[is_positive]),
        rate(detected[~is_positive], groups[~is_positive]),
        rate(is_positive[detected], groups[detected]),
        expected_calibration_error(scores, is_positive),
    )


def area_under_time(values: list[float]) -> float:
    """Return the mean height of a curve over equal steps of time: AUT of Pendlebury et al. 2019."""
    known = [v for v in values if v == v]
    if len(known) < 2:
        return known[0] if known else float("nan")
    return float(np.mean([(a + b) / 2 for a, b in pairwise(known)]))


def _shift_prior(p: Floats, training: float, share: float) -> Floats:
    """Return probabilities for another share of positive events (Bayes)."""
    positive = p * share / training
    negative = (1 - p) * (1 - share) / (1 - training)
    return np.asarray(positive / (positive + negative))
