"""Thresholds on a stream of one's own, of which few events have an answer.

The false-positive rate is that of the whole stream: an answered event counts as what the answer
says, any other by the probability that it is ordinary. Few answers leave many calibrations
possible, so this probability is an average over them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.evaluation.metrics import rates_from
from buckler.operating_point import MIN_FALSE_POSITIVES, OperatingCurve

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_TAIL_SHARE, _MIN_TAIL = 0.1, 5  # of the negatives: those that the end of their scores is told by
# Before any answer, a slope is 1 within a factor of e, and a shift is 0 within 2 logits.
_LOG_SLOPES = np.linspace(-2.5, 2.5, 26)
_SHIFTS = np.linspace(-5, 5, 41)
_SHIFT_SPREAD = 2.0
_N_POINTS = 200
# Answers that the share of negatives counts for: the least whole number with which no stream of
# command lines or URLs exceeds its promise by half (`python -m benchmarks adapt`).
_DOUBT = 2


@dataclass(frozen=True, eq=False)
class StreamScores:
    """Scores of a stream, each by a student that did not learn from the event.

    Attributes
    ----------
    scores, uncalibrated
        float32 [events]: scores with and without the calibration, first of the events that have an
        answer.
    positive
        bool [answers]: answers.
    """

    scores: npt.NDArray[np.float32]
    uncalibrated: npt.NDArray[np.float32]
    positive: Bools


def stream_curve(stream: StreamScores, target_fpr: float) -> OperatingCurve:
    """Return the effect of thresholds on a stream, down to the target rate if need be."""
    n_answers, scores = len(stream.positive), stream.scores
    expected = _negative_probabilities(
        stream.uncalibrated[:n_answers], stream.positive, stream.uncalibrated[n_answers:]
    )
    doubted = (n_answers * expected + _DOUBT * (1 - stream.positive.mean())) / (n_answers + _DOUBT)
    negative = np.concatenate([~stream.positive, doubted])
    positives = scores[:n_answers][stream.positive]
    n_negatives = int(negative.sum())
    least = min(target_fpr, MIN_FALSE_POSITIVES / max(n_negatives, 6))
    fprs = sorted({target_fpr, *rates_from(least)}, reverse=True)
    found = np.maximum.accumulate([stream_threshold(scores, negative, t) for t in fprs])
    strictest = dict(zip(found.tolist(), fprs, strict=True))  # of equal thresholds, the last
    n_detected = [int((positives >= np.float32(value)).sum()) for value in strictest]
    return OperatingCurve(
        tuple(strictest),
        tuple(strictest.values()),
        tuple(n / max(len(positives), 1) for n in n_detected),
        n_negatives,
        len(positives),
        least,
        "the own stream",
    )


def _negative_probabilities(
    scores: npt.NDArray[np.float32], positive: Bools, others: npt.NDArray[np.float32]
) -> Floats:
    """Average the probabilities of events to be negative over all calibrations.

    Each slope and shift counts by how well it explains the answers, and by how likely it was
    before (Bayesian logistic regression).
    """
    logits, found = _logits(scores), _logits(others)
    if not len(found):
        return found
    log_weights = np.empty((len(_LOG_SLOPES), len(_SHIFTS)))
    for row, log_slope in enumerate(_LOG_SLOPES):
        z = np.exp(log_slope) * logits + _SHIFTS[:, None]
        likelihood = -np.logaddexp(0, np.where(positive, -z, z)).sum(axis=1)
        before = log_slope**2 + (_SHIFTS / _SHIFT_SPREAD) ** 2
        log_weights[row] = likelihood - before / 2
    weights = np.exp(log_weights - log_weights.max())
    points = np.linspace(found.min(), found.max(), _N_POINTS)
    z = np.exp(_LOG_SLOPES)[:, None, None] * points[:, None] + _SHIFTS
    negative = (weights[:, None] / (1 + np.exp(z))).sum(axis=(0, 2)) / weights.sum()
    return np.asarray(np.interp(found, points, negative))


def stream_threshold(scores: npt.NDArray[np.float32], negative: Floats, target: float) -> float:
    """Return the lowest threshold that keeps within a false-positive rate on a stream.

    If the stream expects fewer than three false positives, the end of the scores is taken for
    exponential in the logits, and drawn out (peaks over threshold, Pickands 1975).

    Parameters
    ----------
    negative
        Probability that the event is none of a positive class.
    """
    order = np.argsort(-scores, kind="stable")
    scores, mass = scores[order].astype(np.float64), negative[order]
    total = max(float(mass.sum()), 1e-9)
    share = np.cumsum(mass) / total
    if total * target >= MIN_FALSE_POSITIVES:
        first = min(int(np.searchsorted(share, target, "right")), len(scores) - 1)
        return float(np.nextafter(np.float32(scores[first]), np.float32(2)))
    tail = min(0.5, max(_TAIL_SHARE, _MIN_TAIL / total))
    logits = _logits(scores)
    first = min(int(np.searchsorted(share, tail)), len(scores) - 1)
    n_excess = max(float(mass[:first].sum()), 1.0)
    mean = float(((logits[:first] - logits[first]) * mass[:first]).sum() / n_excess)
    # The mean is uncertain: of an exponential, the next event follows a Pareto distribution.
    reach = n_excess * ((tail / target) ** (1 / n_excess) - 1)
    return float(np.float32(1 / (1 + np.exp(-(logits[first] + mean * reach)))))


def _logits(scores: npt.NDArray[np.floating]) -> Floats:
    p = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(np.log(p / (1 - p)))
