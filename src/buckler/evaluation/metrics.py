"""Metrics of a ranking, of classes and of calibration, and thresholds chosen on held-out rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.evaluation.intervals import UNKNOWN_RATE, Rate, rate

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
TARGET_FPRS = (1e-2, 1e-3, 1e-4)
# Below three expected false positives, a rate says nothing (the "rule of three").
MIN_FALSE_POSITIVES = 3


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


@dataclass(frozen=True)
class Threshold:
    """A threshold on the score for a target false-positive rate.

    Attributes
    ----------
    target_fpr
        Highest acceptable false-positive rate.
    value
        Lowest score of a detection; None where the validation rows are too few to say.
    n_negatives
        Validation rows that are not positive.
    fpr, tpr
        Rates on the validation rows.
    """

    target_fpr: float
    value: float | None
    n_negatives: int
    fpr: Rate
    tpr: Rate


def thresholds_by_fpr(thresholds: Sequence[Threshold]) -> dict[float, float]:
    """Return target false-positive rate -> threshold, where one could be chosen."""
    return {t.target_fpr: t.value for t in thresholds if t.value is not None}


def threshold_within(negatives: npt.NDArray[np.float32], target: float) -> float:
    """Return the lowest threshold that keeps within a rate on negatives, of which there are some.

    It lies just above the first negative that must stay undetected: no stricter than needed.
    """
    allowed = int(np.floor(target * len(negatives) + 1e-9))
    ordered = np.sort(negatives)[::-1]
    return float(np.nextafter(np.float32(ordered[allowed]), np.float32(2)))


def choose_thresholds(
    score: npt.NDArray[np.float32],
    positive: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64] | None = None,
) -> list[Threshold]:
    """Return the lowest threshold within each target rate; intervals are those of the groups."""
    groups = np.arange(len(score)) if groups is None else groups
    negatives = score[~positive]
    found = []
    for target in TARGET_FPRS:
        value, fpr, tpr = None, UNKNOWN_RATE, UNKNOWN_RATE
        if enough_negatives(len(negatives), target):
            value = threshold_within(negatives, target)
            detected = score >= np.float32(value)
            fpr, tpr = (rate(detected[rows], groups[rows]) for rows in (~positive, positive))
        found.append(Threshold(target, value, len(negatives), fpr, tpr))
    return found
