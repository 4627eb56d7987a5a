"""The `ngram` student: hashed byte n-grams, an int8 table and a small head, in the C kernel.

Every n-gram of a normalized text selects a row of the table; the rows are summed. One row holds a
single weight for two classes, a weight for each class otherwise, or `hidden` numbers that a small
head turns into classes. Hashing as in Weinberger et al. 2009, embedding bags as in fastText
(Joulin et al. 2017), AdaGrad (Duchi et al. 2011), averaged iterates (Polyak and Juditsky 1992).
"""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler import _kernel
from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.normalize import NormalizedTexts
from buckler.students.student import (
    STUDENTS,
    Export,
    Floats,
    Student,
    check_learnable,
    cross_entropy,
    weigh_classes,
)

ROW_STEP = 16
_CLIPS = (1.0, 0.75, 0.55, 0.4, 0.3, 0.2)
_QUANTIZE_SAMPLE = 4096
_MIXES_A_PASS = 2


@dataclass
class _FloatModel:
    """The arrays that training updates in place."""

    table: Floats
    table_squares: Floats
    head: Floats | None
    head_squares: Floats | None
    bias: Floats
    bias_squares: Floats

    @property
    def arrays(self) -> tuple[Floats | None, ...]:
        return tuple(vars(self).values())


@STUDENTS.add
@dataclass(kw_only=True, eq=False)
class NgramStudent(Student):
    """Hashed byte n-grams.

    Parameters
    ----------
    min_order, max_order
        Shortest and longest n-gram in bytes, 1 to 8.
    table_bits
        The table has 2 ** table_bits rows. 18 is the default: at width 1 it lies in a core's
        second-level cache; more rows cost speed and size and gain little (docs/performance.md).
    hidden
        0 for a linear model; else the width of a hidden layer, a multiple of 16.
    learning_rate
        Step size of AdaGrad.
    epochs
        Largest number of passes over the data.
    patience
        Number of passes without a lower loss on the validation events after which training stops.
    l2
        Weight decay of the rows that an example touches.
    dropout
        Share of the distinct n-grams left out of each example.
    class_weights
        ``none``, or ``balanced``: rare classes count more, as if all were as frequent.
    threads
        Number of threads. Each learns from its share of the events on its own copy, joined twice a
        pass. Training is reproducible to the bit for the same number of threads.
    """

    family = "ngram"

    min_order: int = 1
    max_order: int = 5
    table_bits: int = 18
    hidden: int = 0
    learning_rate: float = 0.3
    epochs: int = 12
    patience: int = 2
    l2: float = 0.0
    dropout: float = 0.0
    class_weights: str = "none"
    threads: int = 1
    table_: npt.NDArray[np.int8] = field(init=False, repr=False)
    head_: Floats | None = field(init=False, repr=False)
    bias_: Floats = field(init=False, repr=False)
    scale_: float = field(init=False, repr=False)
    width_: int = field(init=False, repr=False)
    n_outputs_: int = field(init=False, repr=False)

    def fit(
        self,
        training: Dataset,
        validation: Dataset | None = None,
        on_epoch: Callable[[int, float, float], None] | None = None,
    ) -> "NgramStudent":
        """Learn; keep the average of the weights after each pass, up to the best pass.

        Without validation examples that is the last pass.

        Raises
        ------
        SettingsError
            If a setting is out of range, or there is nothing to learn from.
        """
        n_classes = training.targets.shape[1]
        self._check(training, validation)
        self.n_outputs_ = 1 if n_classes == 2 else n_classes
        self.width_ = self._width()
        model = self._initial_model()
        targets, weights = self._targets(training), weigh_classes(training, self.class_weights)
        rng = np.random.default_rng(self.seed)
        mean = _Average(model)
        best_loss, best, self.best_epoch_ = np.inf, mean.model, 0
        for epoch in range(1, self.epochs + 1):
            order = rng.permutation(len(training)).astype(np.uint32)
            loss = self._pass(model, training.texts, targets, weights, order, epoch)
            mean.add(model)
            validation_loss = np.nan
            if validation is not None:
                logits = self._float_logits(mean.model, validation.texts)
                validation_loss = cross_entropy(logits, validation.targets, validation.weights)
            if on_epoch is not None:
                on_epoch(epoch, loss / float(weights.sum()), validation_loss)
            if validation is None:
                self.best_epoch_ = epoch
            elif validation_loss < best_loss - 1e-5:
                best_loss, best, self.best_epoch_ = validation_loss, mean.copy(), epoch
            elif epoch - self.best_epoch_ >= self.patience:
                break
        self._quantize(best, training.texts)
        return self

    def predict_logits(self, texts: NormalizedTexts) -> Floats:
        """Return logits of the int8 model, through the same kernel that the runtime uses."""
        column = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(),
            len(texts),
            [None, pa.py_buffer(texts.offsets), pa.py_buffer(texts.data)],
        )
        out = np.empty((len(texts), self.n_outputs_), np.float32)
        schema, array = column.__arrow_c_array__()
        self._kernel_model().score_column(schema, array, 0, len(texts), out, True)
        return out

    def rescale(self, slope: float, shift: float) -> None:
        """Fold a calibration into the scale, the bias and the head."""
        if self.head_ is None:
            self.scale_ = float(np.float32(self.scale_ * slope))
        else:
            self.head_ = (self.head_ * slope).astype(np.float32)
        self.bias_ = (self.bias_ * slope + shift).astype(np.float32)

    def export(self) -> Export:
        """Return the int8 table, the head and the bias."""
        tensors: dict[str, npt.NDArray[np.generic]] = {"table": self.table_, "bias": self.bias_}
        if self.head_ is not None:
            tensors["head"] = self.head_
        return Export(
            "ngram",
            {
                "kernel_version": _kernel.ABI_VERSION,
                "min_order": self.min_order,
                "max_order": self.max_order,
                "table_bits": self.table_bits,
                "width": self.width_,
                "n_outputs": self.n_outputs_,
                "scale": self.scale_,
            },
            tensors,
        )

    # --- the weights themselves ---------------------------------------------------------------

    @classmethod
    def with_zeros(cls, n_classes: int) -> "NgramStudent":
        """Return a linear student with the default settings, whose weights are all zero."""
        student = cls()
        student.n_outputs_ = 1 if n_classes == 2 else n_classes
        student.width_, student.scale_, student.head_ = student._width(), 1.0, None
        student.table_ = np.zeros((1 << student.table_bits, student.width_), np.int8)
        student.bias_ = np.zeros(student.n_outputs_, np.float32)
        return student

    @classmethod
    def from_export(cls, export: Export) -> "NgramStudent":
        """Return the student that was exported; a bundle's weights must be verified before."""

        def number(name: str) -> int:
            return int(str(export.settings[name]))

        student = cls(
            min_order=number("min_order"),
            max_order=number("max_order"),
            table_bits=number("table_bits"),
        )
        student.width_, student.n_outputs_ = number("width"), number("n_outputs")
        student.scale_ = float(str(export.settings["scale"]))
        table = export.tensors["table"].view(np.int8)
        student.table_ = table.reshape(1 << student.table_bits, student.width_)
        student.bias_ = export.tensors["bias"].astype(np.float32)
        head = export.tensors.get("head")
        student.head_ = None if head is None else head.astype(np.float32)
        return student

    def with_weights(self, table: Floats, bias: Floats, texts: NormalizedTexts) -> "NgramStudent":
        """Return a linear student of the same shape with other weights.

        Parameters
        ----------
        table, bias
            float32 [rows, width] and [outputs].
        texts
            Normalized texts whose logits decide how the table is rounded to int8.
        """
        student, squares = copy.copy(self), np.zeros(len(table), np.float32)
        model = _FloatModel(table, squares, None, None, bias, np.zeros_like(bias))
        student._quantize(model, texts)
        return student

    # --- settings -----------------------------------------------------------------------------

    def _check(self, training: Dataset, validation: Dataset | None) -> None:
        check_learnable(training, validation)
        if not 1 <= self.threads <= 256:
            raise SettingsError("threads must be 1 to 256")
        if self.epochs < 1 or self.patience < 1:
            raise SettingsError("epochs and patience must be at least 1")
        if self.hidden % ROW_STEP or not 0 <= self.hidden <= 1024:
            raise SettingsError("hidden must be 0 or a multiple of 16 up to 1024")

    def _width(self) -> int:
        if self.hidden:
            return self.hidden
        return 1 if self.n_outputs_ == 1 else -(-self.n_outputs_ // ROW_STEP) * ROW_STEP

    def _call_settings(self, epoch: int) -> tuple[float, ...]:
        return (
            self.min_order,
            self.max_order,
            self.table_bits,
            self.width_,
            self.n_outputs_,
            self.learning_rate,
            self.l2,
            self.dropout,
            self.seed * 1_000_003 + epoch,
        )

    # --- learning -----------------------------------------------------------------------------

    def _initial_model(self) -> _FloatModel:
        rows, width, outputs = 1 << self.table_bits, self.width_, self.n_outputs_
        rng = np.random.default_rng([self.seed, 1])
        table = np.zeros((rows, width), np.float32)
        head = head_squares = None
        if self.hidden:
            table = rng.standard_normal((rows, width), np.float32) * np.float32(0.1)
            head = rng.standard_normal((width, outputs), np.float32) * np.float32(width**-0.5)
            head_squares = np.zeros((width, outputs), np.float32)
        zeros = np.zeros(outputs, np.float32)
        squares = np.zeros(rows, np.float32)
        return _FloatModel(table, squares, head, head_squares, zeros, zeros.copy())

    def _targets(self, examples: Dataset) -> Floats:
        targets = examples.targets[:, 1:2] if self.n_outputs_ == 1 else examples.targets
        return np.ascontiguousarray(targets, np.float32)

    def _pass(
        self,
        model: _FloatModel,
        texts: NormalizedTexts,
        targets: Floats,
        weights: Floats,
        order: npt.NDArray[np.uint32],
        epoch: int,
    ) -> float:
        settings, data = self._call_settings(epoch), (texts.offsets, texts.data)

        def train(own: _FloatModel, part: npt.NDArray[np.uint32]) -> float:
            return _kernel.train(settings, own.arrays, data, targets, weights, part)

        try:
            if self.threads == 1:
                return train(model, order)
            loss = 0.0
            with ThreadPoolExecutor(self.threads) as pool:
                for stretch in np.array_split(order, _MIXES_A_PASS):
                    copies = [_copy(model) for _ in range(self.threads)]
                    loss += sum(pool.map(train, copies, np.array_split(stretch, self.threads)))
                    _mix(model, copies)
            return loss
        except ValueError as error:
            raise SettingsError(f"student 'ngram': {error}") from error

    def _float_logits(self, model: _FloatModel, texts: NormalizedTexts) -> Floats:
        out = np.empty((len(texts), self.n_outputs_), np.float32)
        _kernel.predict(self._call_settings(0), model.arrays, (texts.offsets, texts.data), out)
        return out

    # --- int8 ---------------------------------------------------------------------------------

    def _quantize(self, model: _FloatModel, texts: NormalizedTexts) -> None:
        """Choose the clipping of the int8 table that moves the logits least."""
        self.head_, self.bias_ = model.head, model.bias
        sample = texts.take(np.arange(0, len(texts), max(1, len(texts) // _QUANTIZE_SAMPLE)))
        exact = self._float_logits(model, sample)
        largest = float(np.abs(model.table).max()) or 1.0
        errors, candidates = [], []
        for clip in _CLIPS:
            self.scale_ = float(np.float32(largest * clip / 127))
            self.table_ = np.clip(np.rint(model.table / self.scale_), -127, 127).astype(np.int8)
            errors.append(float(np.square(self.predict_logits(sample) - exact).mean()))
            candidates.append((self.scale_, self.table_))
        self.scale_, self.table_ = candidates[int(np.argmin(errors))]

    def _kernel_model(self) -> _kernel.Ngram:
        return _kernel.Ngram(
            0,
            1 << 20,
            self.min_order,
            self.max_order,
            self.table_bits,
            self.width_,
            self.n_outputs_,
            self.scale_,
            self.table_,
            self.head_,
            self.bias_,
        )


def _mix(model: _FloatModel, copies: list[_FloatModel]) -> None:
    """Join what threads learned apart (iterative parameter mixing, McDonald et al. 2010).

    A weight is the mean of the copies, each counted by the squared gradients that it has seen for
    it: what only one thread has met is taken over whole, not diluted. Squares add up.
    """
    for name in ("table", "head", "bias"):
        values = getattr(model, name)
        if values is None:
            continue
        squares = getattr(model, f"{name}_squares")
        masses = [getattr(c, f"{name}_squares") - squares for c in copies]
        total = sum(masses[1:], masses[0])
        step = np.zeros_like(values)
        for own, mass in zip(copies, masses, strict=True):
            share = np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)
            share = share.reshape(share.shape + (1,) * (values.ndim - share.ndim))
            step += (getattr(own, name) - values) * share
        values += step
        squares += total


class _Average:
    """The running mean of a model's weights."""

    def __init__(self, model: _FloatModel) -> None:
        self.model = _copy(model)
        self.count = 0

    def add(self, model: _FloatModel) -> None:
        self.count += 1
        share = np.float32(1 / self.count)
        for mean, new in zip(self.model.arrays, model.arrays, strict=True):
            if mean is not None and new is not None:
                mean += (new - mean) * share

    def copy(self) -> _FloatModel:
        return _copy(self.model)


def _copy(model: _FloatModel) -> _FloatModel:
    return _FloatModel(*(None if a is None else a.copy() for a in model.arrays))  # type: ignore[arg-type]
