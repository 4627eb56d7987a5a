"""The seam for model families: one Student class each, found by the name of the family.

A student learns soft targets with weights, judges normalized texts, and exports plain arrays that
the runtime can score without any training code. To add a family: one module with one class under
``@student``, imported in `get_student`, or an entry point in the group ``buckler.students``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.normalize import NormalizedTexts

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Exported:
    """A trained student as plain data, for the bundle.

    Attributes
    ----------
    family
        Family of the student.
    model
        Runtime model that scores it.
    settings
        Numbers that the runtime model needs; JSON types only.
    tensors
        The weights; or
    onnx
        the network, for families that ONNX Runtime runs.
    tolerance
        By how much a probability may differ from machine to machine.
    """

    family: str
    model: str
    settings: dict[str, Any]
    tensors: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    onnx: bytes = b""
    tolerance: float = 0.0
    n_network_parameters: int = 0

    @property
    def n_parameters(self) -> int:
        """How many numbers were learned."""
        return self.n_network_parameters + sum(t.size for t in self.tensors.values())


class Student(ABC):
    """One model family; constructor arguments are its settings, stored as given."""

    family = ""
    epochs: int
    best_epoch_: int
    checkpoints: Path | None = None  # where a long training keeps its state; short ones do not

    @abstractmethod
    def fit(
        self,
        training: Dataset,
        validation: Dataset | None = None,
        on_epoch: Callable[[int, float, float], None] | None = None,
    ) -> "Student":
        """Learn, and stop when the loss on the validation examples stops falling.

        Without validation examples, `epochs` passes are made. `on_epoch` is called with the epoch
        (from 1), the training loss and the validation loss (NaN where there is none).
        """

    @abstractmethod
    def predict_logits(self, texts: NormalizedTexts) -> Floats:
        """Return [n, 1] for two classes, else [n, classes], of the model as it will be exported."""

    @abstractmethod
    def rescale(self, slope: float, shift: float) -> None:
        """Make every logit z become slope * z + shift: calibration that costs nothing to run."""

    @abstractmethod
    def export(self) -> Exported:
        """Return the model as plain data."""


_FAMILIES: dict[str, type[Student]] = {}


def student(kind: type[Student]) -> type[Student]:
    """Register a student class under its family."""
    _FAMILIES[kind.family] = kind
    return kind


@cache
def _families() -> dict[str, type[Student]]:
    for module in ("ngram", "torch.bytecnn", "torch.minibert", "trees"):
        import_module(f"buckler.students.{module}")
    for entry in entry_points(group="buckler.students"):
        student(entry.load())
    return _FAMILIES


def get_student(family: str, settings: dict[str, Any]) -> Student:
    """Return an untrained student of a family.

    The setting `checkpoints` is a folder for any family.

    Raises
    ------
    SettingsError
        If there is no such family, or it does not know a setting.
    """
    families = _families()
    if family not in families:
        raise SettingsError(f"unknown student {family!r}: known are {', '.join(sorted(families))}")
    own = {name: value for name, value in settings.items() if name != "checkpoints"}
    try:
        made = families[family](**own)
        made.checkpoints = Path(settings["checkpoints"]) if "checkpoints" in settings else None
        return made
    except TypeError as error:
        raise SettingsError(f"student {family!r}: {error}") from error


def cross_entropy(logits: Floats, targets: Floats, weights: Floats) -> float:
    """Return the weighted mean cross-entropy of logits against soft targets, in nats."""
    z = logits.astype(np.float64)
    if z.shape[1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    z -= z.max(axis=1, keepdims=True)
    log_probabilities = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    losses = -(targets * log_probabilities).sum(axis=1)
    return float((losses * weights).sum() / weights.sum())


def class_weighted(examples: Dataset, class_weights: str) -> Floats:
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
