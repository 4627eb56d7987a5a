"""A student and its runtime model: logistic regression on the shares of the 256 bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from buckler.bundle.archive import WEIGHTS, parse_tensors
from buckler.bundle.manifest import Manifest
from buckler.dataset import Dataset
from buckler.errors import BundleError
from buckler.normalize import NormalizedTexts
from buckler.runtime.model import MODELS, Form, NormalizedTextModel, Weights
from buckler.students.student import (
    STUDENTS,
    Export,
    Floats,
    Student,
    check_learnable,
    cross_entropy,
)


def byte_shares(texts: NormalizedTexts) -> Floats:
    """Return float32 [n, 256]: share of each byte in each text."""
    rows = np.repeat(np.arange(len(texts)), texts.lengths)
    counts = np.bincount(rows * 256 + texts.data, minlength=256 * len(texts))
    shares = counts.reshape(-1, 256) / np.maximum(texts.lengths, 1)[:, None]
    return np.asarray(shares, np.float32)


def byte_logits(texts: NormalizedTexts, weights: Floats, bias: Floats) -> Floats:
    """Return float32 [n, outputs]; the sum has one order, whatever the number of texts."""
    shares = byte_shares(texts)
    return np.stack([(shares * w).sum(axis=1) + b for w, b in zip(weights, bias, strict=True)], 1)


@STUDENTS.add
@dataclass(kw_only=True, eq=False)
class ByteCountStudent(Student):
    """Logistic regression by gradient descent.

    Parameters
    ----------
    epochs
        Number of steps over all events.
    learning_rate
        Step size.
    """

    family = "byte_counts"

    epochs: int = 200
    learning_rate: float = 50.0
    weights_: Floats = field(init=False, repr=False)
    bias_: Floats = field(init=False, repr=False)

    def fit(
        self,
        training: Dataset,
        validation: Dataset | None = None,
        on_epoch: Callable[[int, float, float], None] | None = None,
    ) -> "ByteCountStudent":
        """Learn; the validation events only show the loss."""
        check_learnable(training, validation)
        n_classes = training.targets.shape[1]
        targets = training.targets[:, 1:] if n_classes == 2 else training.targets
        self.weights_ = np.zeros((targets.shape[1], 256), np.float32)
        self.bias_ = np.zeros(targets.shape[1], np.float32)
        shares = byte_shares(training.texts)
        weights = training.weights[:, None] / training.weights.sum()
        for epoch in range(1, self.epochs + 1):
            logits = self.predict_logits(training.texts)
            error = (_probabilities(logits) - targets) * weights
            self.weights_ -= self.learning_rate * (error.T @ shares)
            self.bias_ -= self.learning_rate * 0.01 * error.sum(axis=0)
            if on_epoch is not None:
                loss = cross_entropy(logits, training.targets, training.weights)
                on_epoch(epoch, loss, self._loss(validation))
        self.best_epoch_ = self.epochs
        return self

    def predict_logits(self, texts: NormalizedTexts) -> Floats:
        """Return float32 [n, outputs]."""
        return byte_logits(texts, self.weights_, self.bias_)

    def rescale(self, slope: float, shift: float) -> None:
        """Fold a calibration into weights and bias."""
        self.weights_ = (self.weights_ * slope).astype(np.float32)
        self.bias_ = (self.bias_ * slope + shift).astype(np.float32)

    def export(self) -> Export:
        """Return weights and bias."""
        return Export("byte_counts", {}, {"weights": self.weights_, "bias": self.bias_})

    def _loss(self, events: Dataset | None) -> float:
        if events is None:
            return float("nan")
        return cross_entropy(self.predict_logits(events.texts), events.targets, events.weights)


def _probabilities(logits: Floats) -> Floats:
    if logits.shape[1] == 1:
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


@MODELS.add
class ByteCountModel(NormalizedTextModel):
    """The loaded student; anyone may have written its bundle."""

    name = "byte_counts"

    def __init__(self, weights: Floats, bias: Floats, form: Form) -> None:
        super().__init__(form)
        self._weights, self._bias = weights, bias

    @classmethod
    def load(cls, manifest: Manifest, weights: Mapping[str, bytes], form: Form) -> "ByteCountModel":
        """Return the model of a bundle."""
        del manifest
        tensors = parse_tensors(weights.get(WEIGHTS))
        shapes = {"weights": (form.n_outputs, 256), "bias": (form.n_outputs,)}
        for name, shape in shapes.items():
            tensor: npt.NDArray[np.generic] | None = tensors.get(name)
            if tensor is None or tensor.dtype != np.float32 or tensor.shape != shape:
                raise BundleError(f"weights: {name!r} is missing or does not fit the task")
        return cls(tensors["weights"], tensors["bias"], form)

    def logits(self, texts: NormalizedTexts) -> Floats:
        """Return float32 [n, outputs]."""
        return byte_logits(texts, self._weights, self._bias)

    def byte_weights(self, normalized: bytes, output: int) -> Weights:
        """Return what each byte adds to the logit of an output."""
        row = output if self.n_outputs > 1 else 0
        found = np.frombuffer(normalized, np.uint8)
        weights: Weights = self._weights[row][found].astype(np.float64) / max(1, len(found))
        return weights
