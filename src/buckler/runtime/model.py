"""The seam for loaded students: texts in, probabilities out.

A bundle names the model that runs it. To add one: a class under ``@MODELS.add`` in a new file of
this package, in the file of its student, or behind an entry point in the group
``buckler.students``. Most models derive from `NormalizedTextModel` and only compute the logits of
normalized texts; `ngram` reads raw texts in its own kernel.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.bundle.manifest import Manifest, advise_version
from buckler.errors import BundleError, SettingsError
from buckler.normalize import FeatureSchema, NormalizedTexts, Normalizer, get_normalizer
from buckler.registry import Registry
from buckler.runtime.verdicts import Floats

Weights = npt.NDArray[np.float64]
Curve = tuple[npt.NDArray[np.float64], ...]
Texts: TypeAlias = list[str | bytes | None]
Tensors: TypeAlias = dict[str, npt.NDArray[np.generic]]
_ROWS_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class Form:
    """Shape of the input and output of a model.

    Attributes
    ----------
    normalizer
        Rules that make the normalized text.
    max_bytes
        Longest normalized text; the rest is cut off.
    n_outputs
        1 for two classes, else the number of classes.
    positive
        Bit for each positive class below 64.
    """

    normalizer: Normalizer
    max_bytes: int
    n_outputs: int
    positive: int = 0


class Model(ABC):
    """A loaded student.

    `outputs` below are float32 [n] for two classes (probability of the second), else [n, classes].
    """

    name: ClassVar[str]
    has_stages: ClassVar[bool] = False
    is_exact: bool = True  # False where outputs differ a little from machine to machine
    n_outputs: int
    review: tuple[float, float] | None = None  # lowest and highest score that is for a person
    # The fastest way for one text: the output for two classes, else one for each.
    score_one: Callable[[str | bytes], float | tuple[float, ...]]

    @classmethod
    @abstractmethod
    def load(cls, manifest: Manifest, weights: Mapping[str, bytes], form: Form) -> "Model":
        """Return the model of a bundle; anyone may have written it.

        Raises
        ------
        BundleError
            If settings and weights do not fit the task or each other.
        """

    @abstractmethod
    def score_list(self, texts: Texts) -> Floats:
        """Return outputs for a list of str, bytes or None; NaN for None."""

    @abstractmethod
    def score_column(self, schema: object, array: object, begin: int, end: int) -> Floats:
        """Return outputs for rows of an Arrow array; NaN for a null."""

    @abstractmethod
    def score_normalized(self, texts: NormalizedTexts) -> Floats:
        """Return outputs for texts that are normalized already."""

    def find_stages(self, outputs: Floats, curve: Curve) -> npt.NDArray[np.int8] | None:
        """Return the stage that decided each row, from 1; None where there are none.

        `curve` is the calibration curve that the outputs went through.
        """
        del outputs, curve
        return None

    @abstractmethod
    def byte_weights(self, normalized: bytes, output: int) -> Weights:
        """Return float64 [bytes]: what each byte of a text adds to the logit of an output.

        For a row of features, the weight of each stands at its first byte.
        """


MODELS: Registry[type[Model]] = Registry(
    "model", ("buckler.runtime", "buckler.students"), "buckler.students"
)


def build_model(manifest: Manifest, weights: Mapping[str, bytes]) -> Model:
    """Return the model of a bundle, its settings and weights checked.

    Raises
    ------
    BundleError
        If the model is unknown, or settings and weights do not fit the task.
    """
    try:
        kind = MODELS.get(manifest.model)
    except SettingsError as error:
        raise BundleError(
            f"{error}; install the plug-in that made it, or {advise_version(manifest.provenance)}"
        ) from error
    n_outputs = 1 if len(manifest.classes) == 2 else len(manifest.classes)
    normalizer = normalizer_of(manifest)
    form = Form(normalizer, manifest.max_bytes, n_outputs, manifest.positive_bits)
    return kind.load(manifest, weights, form)


def normalizer_of(manifest: Manifest) -> Normalizer:
    """Return the normalizer that a bundle names.

    Raises
    ------
    BundleError
        If this version does not know it, or it does not fit.
    """
    features = None
    if manifest.numbers or manifest.categories:
        features = FeatureSchema(manifest.numbers, manifest.categories)
    try:
        normalizer = get_normalizer(manifest.normalizer, features)
    except SettingsError as error:
        raise BundleError(f"{error}; {advise_version(manifest.provenance)}") from error
    if not 1 <= manifest.max_bytes <= 1 << 20:
        raise BundleError("manifest: max_bytes must be 1 to 1048576")
    if features and manifest.max_bytes != 4 * len(features):
        raise BundleError("manifest: max_bytes does not fit the features")
    return normalizer


def calibration_curve(manifest: Manifest) -> Curve:
    """Return the calibration curve of a bundle, as the kernel wants it; empty for none."""
    return tuple(np.array(row, np.float64) for row in manifest.calibration_curve)


def recalibrate(outputs: Floats, curve: Sequence[npt.NDArray[np.float64]]) -> Floats:
    """Return the probabilities of the second of two classes after the curve, if there is one."""
    if not curve:
        return outputs
    out = np.array(outputs, np.float32)
    _kernel.recalibrate(out, curve[0], curve[1])
    return out


class NormalizedTextModel(Model):
    """A model of normalized texts."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.n_outputs = form.n_outputs
        self.score_one = lambda text: self.score_list([text])[0]

    @abstractmethod
    def logits(self, texts: NormalizedTexts) -> Floats:
        """Return float32 [n, outputs], calibrated; texts are few enough to be held at once."""

    def score_list(self, texts: Texts) -> Floats:
        """Return outputs for a list of str, bytes or None; NaN for None."""
        there = [i for i, text in enumerate(texts) if text is not None]
        kind, limit = self.form.normalizer.kind, self.form.max_bytes
        normalized = NormalizedTexts.from_bytes(
            _kernel.normalize(kind, text, limit) for text in texts if text is not None
        )
        return self._spread(self.score_normalized(normalized), np.array(there, np.intp), len(texts))

    def score_column(self, schema: object, array: object, begin: int, end: int) -> Floats:
        """Return outputs for rows of an Arrow array; NaN for a null."""
        parts = []
        for first in range(begin, end, _ROWS_AT_ONCE):
            rows = np.arange(first, min(first + _ROWS_AT_ONCE, end), dtype=np.int64)
            offsets, data, nulls = _kernel.normalize_column(
                self.form.normalizer.kind, schema, array, self.form.max_bytes, rows
            )
            texts = NormalizedTexts.from_buffers(offsets, data)
            there = np.flatnonzero(np.frombuffer(nulls, np.uint8) == 0)
            if len(there) < len(rows):
                texts = texts.take(there)
            parts.append(self._spread(self.score_normalized(texts), there, len(rows)))
        return np.concatenate(parts) if parts else self.score_list([])

    def score_normalized(self, texts: NormalizedTexts) -> Floats:
        """Return outputs for texts that are normalized already."""
        out = np.empty((len(texts), self.n_outputs), np.float32)
        for first in range(0, len(texts), _ROWS_AT_ONCE):
            part = np.arange(first, min(first + _ROWS_AT_ONCE, len(texts)))
            out[part] = self.logits(texts.take(part) if len(part) < len(texts) else texts)
        _kernel.activate(out, self.n_outputs)
        return out[:, 0] if self.n_outputs == 1 else out

    def _spread(self, outputs: Floats, there: npt.NDArray[np.intp], n: int) -> Floats:
        if len(there) == n:
            return outputs
        spread = np.full((n, *outputs.shape[1:]), np.nan, np.float32)
        spread[there] = outputs
        return spread


def whole_number(settings: Mapping[str, object], name: str, least: int, most: int) -> int:
    """Return a whole number of the student's settings.

    Raises
    ------
    BundleError
        If it is missing or out of range.
    """
    value = settings.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BundleError(f"student settings: {name!r} is missing or out of range")
    return value
