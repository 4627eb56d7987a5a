"""Measures of a ranking: AUROC, average precision, detection at a false-positive rate."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
        The higher, the worse; finite.
    positive
        Whether each event is bad.
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
        hits = np.cumsum(w * self._positive)[self._last]
        detections = np.cumsum(w * ~self._positive)[self._last]
        return Roc(
            self._sorted[self._last],
            hits / max(hits[-1], 1e-300),
            detections / max(detections[-1], 1e-300),
        )


def auroc(roc: Roc) -> float:
    """Return the area under the curve; ties count half."""
    return float(np.trapezoid(np.append(0, roc.tpr), np.append(0, roc.fpr)))


def average_precision(roc: Roc, n_positive: float, n_negative: float) -> float:
    """Return the mean of precision over recall, by steps (no interpolation)."""
    hits, detections = roc.tpr * n_positive, roc.fpr * n_negative
    precision = hits / np.maximum(hits + detections, 1e-300)
    return float((np.diff(np.append(0, roc.tpr)) * precision).sum())


def tpr_at_fpr(roc: Roc, target: float) -> float:
    """Return the detection rate at the lowest threshold whose false positives keep within it."""
    allowed = np.flatnonzero(roc.fpr <= target * (1 + 1e-12))
    return float(roc.tpr[allowed[-1]]) if len(allowed) else 0.0


def enough_negatives(n_negative: int, target: float) -> bool:
    """Whether so many negatives can say anything about this false-positive rate."""
    return n_negative * target >= MIN_FALSE_POSITIVES


@dataclass(frozen=True)
class Rate:
    """A share of rows with its 95 % interval.

    Attributes
    ----------
    value
        The share; NaN where there are no rows.
    low, high
        The interval.
    hits, n_rows
        What it was computed from.
    """

    value: float
    low: float
    high: float
    hits: int
    n_rows: int


def rate(flags: Bools) -> Rate:
    """Return a share with its Wilson interval (Wilson 1927)."""
    return wilson(int(flags.sum()), len(flags))


def wilson(k: int, n: int) -> Rate:
    """Return k of n as a share with its Wilson interval."""
    if n == 0:
        return Rate(float("nan"), 0.0, 1.0, 0, 0)
    z = 1.959963984540054
    center = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * float(np.sqrt(k * (n - k) / n + z * z / 4))
    # None and all are exact ends, whatever the rounding.
    low = 0.0 if k == 0 else max(0.0, center - half)
    high = 1.0 if k == n else min(1.0, center + half)
    return Rate(k / n, low, high, k, n)


def confusion(
    labels: npt.NDArray[np.int32], predicted: npt.NDArray[np.intp], n: int
) -> npt.NDArray[np.int64]:
    """Return counts [true class, predicted class]."""
    return np.bincount(labels * n + predicted, minlength=n * n).reshape(n, n).astype(np.int64)


def f1_scores(matrix: npt.NDArray[np.int64]) -> Floats:
    """Return F1 of each class; NaN for a class that occurs neither in truth nor in verdicts."""
    hits = np.diag(matrix).astype(np.float64)
    total = (matrix.sum(axis=0) + matrix.sum(axis=1)).astype(np.float64)
    scores: Floats = np.divide(2 * hits, total, out=np.full(len(hits), np.nan), where=total > 0)
    return scores
