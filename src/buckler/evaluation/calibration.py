"""Calibration of a student: slope and shift, then a curve where held-out rows show that it helps.

A slope and a shift make a probability match the observed frequency; they go into the weights. An
isotonic or beta curve may follow. It never falls, so the ranking stays as it was. Prediction sets
name all classes that may be true at a stated error rate.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler import _kernel

Floats = npt.NDArray[np.float32]
_NEWTON_STEPS = 100
_SLOPES = 0.02, 20.0  # of a temperature; labels without an error would ask for more and more
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_FOLDS = 5
_MAX_POINTS = 48
_TINY = 1e-7
_LEAST_GAIN = 2e-3  # nats
_SLANT = 1e-3  # share of the identity that is mixed in, so that distinct scores stay distinct
ERROR_RATES = (0.1, 0.05, 0.01)


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
    z = logits.astype(np.float64)
    if z.shape[1] == 1:
        slope, shift = _platt(z[:, 0], labels == 1)
        return Calibration(slope, shift, "platt", len(labels))
    (slope,) = _fit_factors(z[None], _one_hot(labels, z.shape[1]), np.ones(1))
    return Calibration(float(np.clip(slope, *_SLOPES)), 0.0, "temperature", len(labels))


def fit_prior_shift(
    logits: Floats, labels: npt.NDArray[np.int32], shift: Floats
) -> tuple[Calibration, Floats]:
    """Fit a temperature and how much of a shift of the classes the labels bear out.

    Parameters
    ----------
    logits
        Held-out logits, float32 [n, classes].
    labels
        Their true classes.
    shift
        Summand of the logits for another prior in full: float32 [classes].

    Returns
    -------
    tuple[Calibration, Floats]
        The calibration, and what to add to calibrated logits: a multiple of `shift`, from none to
        the calibrated shift in full.
    """
    z = logits.astype(np.float64)
    features = np.stack([z, np.broadcast_to(shift.astype(np.float64), z.shape)])
    slope, strength = _fit_factors(features, _one_hot(labels, z.shape[1]), np.array([1.0, 0.5]))
    slope = float(np.clip(slope, *_SLOPES))
    return (
        Calibration(slope, 0.0, "temperature", len(labels)),
        np.asarray(np.clip(strength, 0, slope) * shift, np.float32),
    )


def _platt(z: Doubles, positive: Bools) -> tuple[float, float]:
    """Logistic regression of the labels on the logits, with Platt's smoothed targets."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return 1.0, 0.0
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    features = np.zeros((2, len(z), 2))
    features[0, :, 1], features[1, :, 1] = z, 1
    targets = np.stack([1 - target, target], axis=1)
    slope, shift = _fit_factors(features, targets, np.array([1.0, 0.0]))
    # A slope that is not positive would invert the ranking, so the logits carry no signal.
    return (float(slope), float(shift)) if slope > 1e-3 else (1.0, 0.0)


def _one_hot(labels: npt.NDArray[np.int32], n_classes: int) -> Doubles:
    return np.eye(n_classes)[labels]


def _fit_factors(features: Doubles, targets: Doubles, start: Doubles) -> Doubles:
    """Return the factors of the sum of features that gives the lowest log loss, by Newton's method.

    Parameters
    ----------
    features
        float64 [k, n, classes], to be summed to logits.
    targets
        float64 [n, classes].
    start
        float64 [k].
    """

    def loss(factors: Doubles) -> tuple[float, Doubles]:
        z = np.tensordot(factors, features, 1)
        z -= z.max(axis=1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return -float((targets * log_p).sum()), log_p

    factors = start
    current, log_p = loss(factors)
    for _ in range(_NEWTON_STEPS):
        p = np.exp(log_p)
        gradient = np.array([((p - targets) * one).sum() for one in features])
        means = np.stack([(p * one).sum(axis=1) for one in features])
        products = np.array([[(p * one * other).sum() for other in features] for one in features])
        hessian = products - means @ means.T + 1e-9 * np.eye(len(factors))
        step = np.linalg.solve(hessian, gradient)
        size, (trial, trial_log_p) = 1.0, loss(factors - step)
        while trial > current and size > 1e-10:  # halve the step until the loss falls
            size /= 2
            trial, trial_log_p = loss(factors - size * step)
        if trial > current:
            break
        factors, gain = factors - size * step, current - trial
        current, log_p = trial, trial_log_p
        if gain < 1e-9 * max(1.0, abs(current)):
            break
    return factors


def probabilities_of(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Return float64 [n, classes] from logits [n, 1] (second of two classes) or [n, classes]."""
    z = logits.astype(np.float64)
    if z.shape[1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(z / z.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class CalibrationCurve:
    """A calibration by a curve through points.

    Attributes
    ----------
    method
        ``none``, ``isotonic`` (Zadrozny and Elkan 2002) or ``beta`` (Kull et al. 2017).
    x, y
        Coordinates of the points; both rise from 0 to 1. Empty for ``none``.
    gain
        Decrease of the cross-validated log loss, in nats.
    """

    method: str
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    gain: float = 0.0

    @property
    def points(self) -> tuple[tuple[float, ...], ...]:
        """Both coordinates, as a bundle stores them."""
        return (self.x, self.y) if self.x else ()

    def __call__(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the calibrated probabilities."""
        out = np.array(probabilities, np.float32)
        if self.x:
            _kernel.recalibrate(out, np.array(self.x, np.float64), np.array(self.y, np.float64))
        return out


NONE = CalibrationCurve("none")


def choose_curve(
    probabilities: npt.NDArray[np.float32],
    positive: Bools,
    groups: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> CalibrationCurve:
    """Return the method with the lowest log loss on groups outside its fit.

    A method replaces ``none`` only if it wins by more than one standard error over the folds, and
    by at least 0.002 nats.

    Parameters
    ----------
    probabilities
        float32 [n]: held-out probability of the second of two classes, after slope and shift.
    positive
        True for events of the second class.
    groups
        int64 [n]: rows of one group stay in one fold.
    """
    if min(positive.sum(), (~positive).sum()) < 50:
        return NONE
    _, codes = np.unique(groups, return_inverse=True)
    fold_of = rng.permutation(codes.max() + 1)[codes] % _FOLDS
    best = NONE
    for name, fit in (("isotonic", _isotonic), ("beta", _beta)):
        gains = []
        for fold in range(_FOLDS):
            inside, out = fold_of != fold, fold_of == fold
            if not out.any() or not positive[inside].any() or positive[inside].all():
                return NONE
            curve = CalibrationCurve(name, *fit(probabilities[inside], positive[inside]))
            before = _loss(probabilities[out], positive[out])
            gains.append(before - _loss(curve(probabilities[out]), positive[out]))
        mean = float(np.mean(gains))
        error = float(np.std(gains, ddof=1) / np.sqrt(_FOLDS))
        if mean > max(error, best.gain, _LEAST_GAIN):
            best = CalibrationCurve(name, *fit(probabilities, positive), mean)
    return best


def _loss(probabilities: npt.NDArray[np.float32], positive: Bools) -> float:
    p = np.clip(probabilities.astype(np.float64), _TINY, 1 - _TINY)
    return float(-np.where(positive, np.log(p), np.log1p(-p)).mean())


def _isotonic(
    probabilities: npt.NDArray[np.float32], positive: Bools
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Pool adjacent violators, then join the centers of the pools."""
    order = np.argsort(probabilities, kind="stable")
    p, hit = probabilities[order].astype(np.float64), positive[order].astype(np.float64)
    # Rows of similar probability start in one pool, which bounds their number and smooths.
    parts = np.array_split(np.arange(len(p)), min(len(p), 2000))
    pools: list[tuple[float, float, int]] = []  # mean of p, mean of hits, rows
    for part in parts:
        pool = (float(p[part].mean()), float(hit[part].mean()), len(part))
        while pools and pools[-1][1] >= pool[1]:
            a, b = pools.pop(), pool
            n = a[2] + b[2]
            pool = ((a[0] * a[2] + b[0] * b[2]) / n, (a[1] * a[2] + b[1] * b[2]) / n, n)
        pools.append(pool)
    sizes = np.array([pool[2] for pool in pools], np.float64)
    x = np.array([pool[0] for pool in pools])
    hits = np.array([pool[1] for pool in pools])
    y = (hits * sizes + x) / (sizes + 1)  # shrinks small pools
    return _curve(x, np.maximum.accumulate(y))


def _beta(
    probabilities: npt.NDArray[np.float32], positive: Bools
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Logistic regression on ln p and -ln(1 - p), by Newton; both slopes from 0."""
    p = np.clip(probabilities.astype(np.float64), _TINY, 1 - _TINY)
    columns = np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)], axis=1)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    free = [0, 1, 2]
    weights = np.array([1.0, 1.0, 0.0])
    for _ in range(2):
        for _ in range(50):
            z = np.clip(columns @ weights, -500, 500)
            q = 1 / (1 + np.exp(-z))
            gradient = columns[:, free].T @ (q - target)
            hessian = (columns[:, free].T * (q * (1 - q) + 1e-12)) @ columns[:, free]
            step = np.linalg.solve(hessian + 1e-6 * np.eye(len(free)), gradient)
            weights[free] -= np.clip(step, -1, 1)
            if np.abs(step).max() < 1e-8:
                break
        negative = [i for i in (0, 1) if weights[i] < 0]
        if not negative:
            break
        weights[negative] = 0
        free = [i for i in free if i not in negative]
    z = np.linspace(np.log(_TINY), -np.log(_TINY), _MAX_POINTS - 2)
    x = 1 / (1 + np.exp(-z))
    grid = np.stack([np.log(x), -np.log1p(-x), np.ones_like(x)], axis=1)
    return _curve(x, 1 / (1 + np.exp(-np.clip(grid @ weights, -500, 500))))


def _curve(x: Doubles, y: Doubles) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Thin a curve out to `_MAX_POINTS` points from (0, 0) to (1, 1), rising throughout."""
    if len(x) > _MAX_POINTS - 2:
        keep = np.unique(np.linspace(0, len(x) - 1, _MAX_POINTS - 2).round().astype(int))
        x, y = x[keep], y[keep]
    x, y = np.concatenate([[0.0], x, [1.0]]), np.concatenate([[0.0], y, [1.0]])
    inside = np.concatenate([[True], np.diff(x[:-1]) > 1e-12, [True]])
    inside[:-1] &= (x[:-1] < 1 - 1e-12) & ((x[:-1] > 1e-12) | (np.arange(len(x) - 1) == 0))
    x, y = x[inside], y[inside]
    y = np.clip((1 - _SLANT) * y + _SLANT * x, 0, 1)
    return tuple(map(float, x)), tuple(map(float, y))


def least_probabilities(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]
) -> dict[float, float]:
    """Return error rate -> least probability of a class in the set, for rates with enough rows."""
    own = np.sort(probabilities[np.arange(len(labels)), labels].astype(np.float64))
    found = {}
    for rate in ERROR_RATES:
        # The k-th smallest of n: k = floor((n + 1) * rate), at least 1.
        k = int(np.floor((len(own) + 1) * rate + 1e-9))
        if k >= 1:
            found[rate] = float(np.float32(own[k - 1]))
    return found
