"""The objective of training: usable events, weights by class, and the loss."""

import numpy as np

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.students.student import Floats


def check_learnable(training: Dataset, validation: Dataset | None) -> None:
    """Check that there are events to learn from, with finite targets and weights.

    Raises
    ------
    SettingsError
        If one side is empty, or holds what is not a number.
    """
    for events in (training, validation):
        if events is not None and not len(events):
            raise SettingsError("training and validation both need at least one example")
    if not np.isfinite(training.targets).all() or not np.isfinite(training.weights).all():
        raise SettingsError("targets and weights must be finite numbers")


def cross_entropy(logits: Floats, targets: Floats, weights: Floats) -> float:
    """Return the weighted mean cross-entropy of logits against soft targets, in nats."""
    z = logits.astype(np.float64)
    if z.shape[1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    z -= z.max(axis=1, keepdims=True)
    log_probabilities = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    losses = -(targets * log_probabilities).sum(axis=1)
    return float((losses * weights).sum() / weights.sum())


def weigh_classes(examples: Dataset, class_weights: str) -> Floats:
    """Return float32 [n] weights with mean 1; ``balanced`` makes rare classes count more.

    Raises
    ------
    SettingsError
        If `class_weights` is neither ``none`` nor ``balanced``.
    """
    if class_weights not in ("none", "balanced"):
        raise SettingsError("class_weights must be none or balanced")
    weights = examples.weights.astype(np.float64)
    if class_weights == "balanced":
        mass = examples.targets.T.astype(np.float64) @ weights
        share = np.divide(1, mass, out=np.zeros_like(mass), where=mass > 0)
        weights = weights * (examples.targets @ share)
    return np.asarray(weights / weights.mean(), np.float32)
