"""Calibration by slope and shift, so that a probability matches the observed frequency."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_NEWTON_STEPS = 100


@dataclass(frozen=True)
class Calibration:
    """A calibration that maps each logit z to slope * z + shift.

    Attributes
    ----------
    slope, shift
        Factor and offset; the offset is 0 for more than two classes.
    method
        ``platt`` (Platt 1999) for two classes, ``temperature`` (Guo et al. 2017) for more.
    n_rows
        Number of held-out rows behind the fit.
    """

    slope: float
    shift: float
    method: str
    n_rows: int


def fit_calibration(logits: Floats, labels: npt.NDArray[np.int32]) -> Calibration:
    """Fit on held-out logits ([n, 1] or [n, classes]) and their true classes."""
    if logits.shape[1] == 1:
        slope, shift = _platt(logits[:, 0].astype(np.float64), labels == 1)
        return Calibration(slope, shift, "platt", len(labels))
    return Calibration(
        _temperature(logits.astype(np.float64), labels), 0.0, "temperature", len(labels)
    )


def _platt(z: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Logistic regression of the labels on the logits, with Platt's smoothed targets."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return 1.0, 0.0
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))

    def loss(slope: float, shift: float) -> float:
        x = slope * z + shift
        return float((np.logaddexp(0, x) - target * x).sum())

    slope, shift = 1.0, 0.0
    current = loss(slope, shift)
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(slope * z + shift, -500, 500)))
        error, curvature = p - target, p * (1 - p) + 1e-12
        gradient = np.array([(error * z).sum(), error.sum()])
        hessian = np.array(
            [
                [(curvature * z * z).sum() + 1e-9, (curvature * z).sum()],
                [(curvature * z).sum(), curvature.sum() + 1e-9],
            ]
        )
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-10:  # halve the step until the loss falls
            trial = loss(slope - size * step[0], shift - size * step[1])
            if trial <= current:
                break
            size /= 2
        if size <= 1e-10 or current - trial < 1e-9 * max(1.0, abs(current)):
            break
        slope, shift, current = slope - size * step[0], shift - size * step[1], trial
    # A slope that is not positive would invert the ranking, so the logits carry no signal.
    return (float(slope), float(shift)) if slope > 1e-3 else (1.0, 0.0)


def _temperature(z: npt.NDArray[np.float64], labels: npt.NDArray[np.int32]) -> float:
    """Golden-section search for the factor on the logits that gives the lowest loss."""
    z = z - z.max(axis=1, keepdims=True)
    own = z[np.arange(len(labels)), labels]

    def loss(log_slope: float) -> float:
        slope = np.exp(log_slope)
        return float((np.log(np.exp(slope * z).sum(axis=1)) - slope * own).mean())

    low, high, ratio = np.log(0.02), np.log(20.0), (np.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    loss_a, loss_b = loss(a), loss(b)
    for _ in range(60):
        if loss_a < loss_b:
            high, b, loss_b = b, a, loss_a
            a = high - ratio * (high - low)
            loss_a = loss(a)
        else:
            low, a, loss_a = a, b, loss_b
            b = low + ratio * (high - low)
            loss_b = loss(b)
    return float(np.exp((low + high) / 2))


def probabilities_of(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Return float64 [n, classes] from logits [n, 1] (second of two classes) or [n, classes]."""
    z = logits.astype(np.float64)
    if z.shape[1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(z / z.sum(axis=1, keepdims=True))
