"""Metrics of a ranking, of classes and of calibration, and the curve of thresholds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.operating_point import MIN_FALSE_POSITIVES, OperatingCurve

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
# Rates of a curve within a power of ten: one that is asked for between two gets the lower.
_STEPS = (1, 1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9)
_HIGHEST_FPR = 0.5


@dataclass(frozen=True)
class Roc:
    """A ROC curve of distinct scores, highest first, weighted.

    Attributes
    ----------
    scores
        Distinct scores, falling.
    tpr, fpr
        Rates of positives and negatives that score at least that.
    """

    scores: Floats
    tpr: Floats
    fpr: Floats


class Ranking:
    """Scores and truths sorted once, so that resampling them is cheap.

    Parameters
    ----------
    scores
        Finite; the higher, the more likely positive.
    positive
        True for events of a positive class.
    """

    def __init__(self, scores: npt.ArrayLike, positive: npt.ArrayLike) -> None:
        scores = np.asarray(scores, np.float64)
        self._order = np.argsort(-scores, kind="stable")
        self._sorted = scores[self._order]
        self._positive = np.asarray(positive, bool)[self._order]
        self._last = np.flatnonzero(np.append(np.diff(self._sorted) != 0, True))
        self.n_positive = int(self._positive.sum())
        self.n_negative = len(scores) - self.n_positive

    def roc(self, weights: Floats | None = None) -> Roc:
        """Return the curve, with row weights where given (as in a bootstrap)."""
        w = np.ones(len(self._sorted)) if weights is None else weights[self._order]
        true = np.cumsum(w * self._positive)[self._last]
        false = np.cumsum(w * ~self._positive)[self._last]
        return Roc(
            self._sorted[self._last],
            true / max(true[-1], 1e-300),
            false / max(false[-1], 1e-300),
        )


def auroc(roc: Roc) -> float:
    """Return the area under the curve; ties count half."""
    return float(np.trapezoid(np.append(0, roc.tpr), np.append(0, roc.fpr)))


def roc_area(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Return the area under the ROC curve of scores; NaN unless both kinds of events occur."""
    ranking = Ranking(scores, positive)
    return auroc(ranking.roc()) if ranking.n_positive and ranking.n_negative else math.nan


def average_precision(roc: Roc, n_positive: float, n_negative: float) -> float:
    """Return the mean of precision over recall, by steps (no interpolation)."""
    precision = precisions(roc, n_positive, n_negative)
    return float((np.diff(np.append(0, roc.tpr)) * precision).sum())


def precisions(roc: Roc, n_positive: float, n_negative: float) -> Floats:
    """Return the precision at each score of a curve."""
    true, false = roc.tpr * n_positive, roc.fpr * n_negative
    return np.asarray(true / np.maximum(true + false, 1e-300))


def tpr_at_fpr(roc: Roc, target: float) -> float:
    """Return the detection rate at the lowest threshold whose false positives keep within it."""
    allowed = np.flatnonzero(roc.fpr <= target * (1 + 1e-12))
    return float(roc.tpr[allowed[-1]]) if len(allowed) else 0.0


def enough_negatives(n_negative: int, target: float) -> bool:
    """Tell whether this many negatives suffice to measure a false-positive rate."""
    return n_negative * target >= MIN_FALSE_POSITIVES


def confusion(
    labels: npt.NDArray[np.int32], predicted: npt.NDArray[np.intp], n: int
) -> npt.NDArray[np.int64]:
    """Return counts [true class, predicted class]."""
    return np.bincount(labels * n + predicted, minlength=n * n).reshape(n, n).astype(np.int64)


def f1_scores(matrix: npt.NDArray[np.int64]) -> Floats:
    """Return F1 of each class; NaN for a class that occurs neither in truth nor in predictions."""
    hits = np.diag(matrix).astype(np.float64)
    total = (matrix.sum(axis=0) + matrix.sum(axis=1)).astype(np.float64)
    unknown = np.full(len(hits), np.nan)
    return np.asarray(np.divide(2 * hits, total, out=unknown, where=total > 0))


def expected_calibration_error(
    confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_], n_bins: int = 15
) -> float:
    """Return the ECE over bins of equal size (Nguyen and O'Connor 2015), weighted by rows."""
    bins = reliability_bins(confidence, correct, n_bins)
    return float(sum(b.share * abs(b.confidence - b.accuracy) for b in bins))


@dataclass(frozen=True)
class ReliabilityBin:
    """One point of a reliability plot."""

    confidence: float
    accuracy: float
    share: float
    n_rows: int


def reliability_bins(
    confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_], n_bins: int = 15
) -> list[ReliabilityBin]:
    """Sort by confidence, cut into bins of equal size, and compare mean with truth."""
    order = np.argsort(confidence, kind="stable")
    return [
        ReliabilityBin(
            float(confidence[part].mean()),
            float(correct[part].mean()),
            len(part) / len(order),
            len(part),
        )
        for part in np.array_split(order, min(n_bins, len(order)))
        if len(part)
    ]


def threshold_within(negatives: npt.NDArray[np.float32], target: float) -> float:
    """Return the lowest threshold that keeps within a rate on negatives, of which there are some.

    It lies just above the first negative that must stay undetected: no stricter than needed.
    """
    allowed = int(np.floor(target * len(negatives) + 1e-9))
    ordered = np.sort(negatives)[::-1]
    return float(np.nextafter(np.float32(ordered[allowed]), np.float32(2)))


def make_operating_curve(
    negatives: Sequence[npt.NDArray[np.float32]],
    positives: npt.NDArray[np.float32],
    origin: str,
) -> OperatingCurve | None:
    """Return the effect of thresholds on held-out scores; None where the negatives are too few.

    Parameters
    ----------
    negatives
        Scores of negative events. A false-positive rate holds on each set by itself, but for those
        that are too small to expect a single false positive.
    positives
        Scores of positive events.
    origin
        Rule that chose the negatives.
    """
    sets = [np.sort(scores) for scores in negatives if len(scores)]
    n_negatives = sum(map(len, sets))
    least = max(MIN_FALSE_POSITIVES / n_negatives, 1 / max(map(len, sets))) if sets else 1.0
    if least > _HIGHEST_FPR:
        return None
    targets = rates_from(least)
    large = [[scores for scores in sets if t * len(scores) + 1e-9 >= 1] for t in targets]
    within = [
        max(threshold_within(own, t) for own in kept)
        for t, kept in zip(targets, large, strict=True)
    ]
    within = np.maximum.accumulate(within).tolist()  # a set that is too small drops out
    ordered = np.sort(positives)
    shares = np.arange(1, 101) / 100
    ranks = len(ordered) - np.ceil(shares * len(ordered) - 1e-9).astype(int)
    scores = np.unique([*within, *(ordered[ranks].tolist() if len(ordered) else [])])
    at = np.maximum(np.searchsorted(within, scores, side="right") - 1, 0)
    fprs = [
        max(_share_from(own, score) for own in large[place])
        for place, score in zip(at, scores, strict=True)
    ]
    return OperatingCurve(
        scores=tuple(scores.tolist()),
        fprs=tuple(fprs),
        recalls=tuple(_share_from(ordered, score) for score in scores),
        n_negatives=n_negatives,
        n_positives=len(ordered),
        least_fpr=least,
        origin=origin,
    )


def rates_from(least: float) -> list[float]:
    """Return the false-positive rates of a curve, falling down to the least."""
    powers = range(int(np.floor(np.log10(least))), 0)
    steps = {float(f"{step}e{power}") for power in powers for step in _STEPS}
    return sorted((t for t in {least, *steps} if least <= t <= _HIGHEST_FPR), reverse=True)


def _share_from(ordered: npt.NDArray[np.float32], threshold: float) -> float:
    """Return the share of sorted scores at or above a threshold, with six places that count."""
    if not len(ordered):
        return 0.0
    n = len(ordered) - int(np.searchsorted(ordered, np.float32(threshold), side="left"))
    return float(f"{n / len(ordered):.6g}")
