"""The seam for students: one class for each family, found by the name of the family.

A student learns soft targets with weights, judges normalized texts, and exports plain arrays that a
runtime model scores without any training code. To add a family: one file with one class under
``@STUDENTS.add``, in this package or behind an entry point in the group ``buckler.students``. If no
runtime model scores its arrays, the same file has one under ``@MODELS.add``
(`buckler.runtime.model`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.normalize import NormalizedTexts
from buckler.registry import Registry

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Export:
    """A trained student as plain data, for the bundle.

    Attributes
    ----------
    model
        Name of the runtime model that scores it.
    settings
        Numbers that the runtime model needs; JSON types only.
    tensors, onnx
        The weights, or the network as an ONNX file.
    tolerance
        Largest difference of a probability from machine to machine.
    n_network_parameters
        Number of learned numbers in the network.
    """

    model: str
    settings: dict[str, object]
    tensors: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    onnx: bytes = b""
    tolerance: float = 0.0
    n_network_parameters: int = 0

    @property
    def n_parameters(self) -> int:
        """Number of learned numbers."""
        return self.n_network_parameters + sum(t.size for t in self.tensors.values())


@dataclass(kw_only=True, eq=False)
class Student(ABC):
    """A model family. The fields are its settings, stored as given; learned attributes end in
    ``_``.

    Attributes
    ----------
    family
        Name of the family.
    epochs
        Largest number of passes over the data.
    seed
        Random seed; the same events, settings and seed make the same student.
    checkpoints
        Folder for the state of a long training; None for none, and ignored by families that learn
        in minutes.
    best_epoch_
        Pass whose weights are kept, from 1.
    """

    family: ClassVar[str]
    epochs: int
    seed: int = 0
    checkpoints: str | Path | None = None
    best_epoch_: int = field(init=False, repr=False)

    @property
    def fit_threads(self) -> int:
        """Number of threads of `fit`; 0 where students cannot learn side by side in a process."""
        return 0

    @abstractmethod
    def fit(
        self,
        training: Dataset,
        validation: Dataset | None = None,
        on_epoch: Callable[[int, float, float], None] | None = None,
    ) -> "Student":
        """Learn, and stop when the loss on the validation events stops falling.

        Without validation events, `epochs` passes are made. `on_epoch` is called with the epoch
        (from 1), the training loss and the validation loss (NaN where there is none).
        """

    @abstractmethod
    def predict_logits(self, texts: NormalizedTexts) -> Floats:
        """Return [n, 1] for two classes, else [n, classes], of the model as it will be exported."""

    @abstractmethod
    def rescale(self, slope: float, shift: float | Floats) -> None:
        """Make every logit z become slope * z + shift: calibration that costs nothing to run."""

    @abstractmethod
    def export(self) -> Export:
        """Return the model as plain data."""


STUDENTS: Registry[type[Student]] = Registry(
    "student",
    ("buckler.students", "buckler.students.torch"),
    "buckler.students",
    attrgetter("family"),
)


def get_student(family: str, settings: Mapping[str, Any]) -> Student:
    """Return an untrained student of a family.

    Raises
    ------
    SettingsError
        If there is no such family, or it does not have a setting.
    """
    kind = STUDENTS.get(family)
    known = [setting.name for setting in fields(kind) if setting.init]
    for name in settings:
        if name not in known:
            raise SettingsError(
                f"student {family!r} has no setting {name!r}; it has: {', '.join(known)}",
                field=name,
            )
    return kind(**settings)


# --- what families share ------------------------------------------------------------------------


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
