"""The `ngram` student: hashed byte n-grams, an int8 table and a small head, in the C kernel.

Every n-gram of a normalized text selects a row of the table; the rows are summed. One row holds a
single weight for two classes, a weight for each class otherwise, or `hidden` numbers that a small
head turns into classes. Hashing as in Weinberger et al. 2009, embedding bags as in fastText
(Joulin et al. 2017), AdaGrad (Duchi et al. 2011), averaged iterates (Polyak and Juditsky 1992).
"""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.normalize import NormalizedTexts
from buckler.normalize.segments import COMBINATIONS, SegmentRule
from buckler.students.float_model import FloatModel, RunningMean, average, copy_model, mix
from buckler.students.ngram_examples import NgramExamples, sample_texts
from buckler.students.source_agreement import SAMPLE_EPOCHS, Agreement, sample_families
from buckler.students.student import (
    STUDENTS,
    Export,
    Floats,
    Student,
    check_learnable,
    cross_entropy,
)
from buckler.tasks import Task

ROW_STEP = 16
_CLIPS = (1.0, 0.75, 0.55, 0.4, 0.3, 0.2)
_MIXES_A_PASS = 2


@STUDENTS.add
@dataclass(kw_only=True, eq=False)
class NgramStudent(Student):
    """Hashed byte n-grams.

    Parameters
    ----------
    min_order, max_order
        Shortest and longest n-gram in bytes, 1 to 8; 1 and 0: features of the text alone.
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
    segments
        Score of an event from those of its whole text and of its worst segment, where that is
        higher: ``mean`` or ``max``; from those of all, a higher one weighing more: ``soft``; or
        ``none`` for the whole text alone. Worst commands and windows are learned too, from the
        second pass on (multiple-instance learning, Andrews et al. 2002).
    source_students
        Number of students that learn from half the families of sources each, beside the one of all
        of them. The weights are the mean of this one and of those on which they agree
        (`buckler.students.source_agreement`). 0: one student.
    source_shrinkage
        Strength by which weights are shrunk where these students disagree; 0: not at all.
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
    segments: str = "none"
    source_students: int = 0
    source_shrinkage: float = 1.0
    threads: int = 1
    table_: npt.NDArray[np.int8] = field(init=False, repr=False)
    head_: Floats | None = field(init=False, repr=False)
    bias_: Floats = field(init=False, repr=False)
    scale_: float = field(init=False, repr=False)
    width_: int = field(init=False, repr=False)
    n_outputs_: int = field(init=False, repr=False)
    rule_: SegmentRule = field(init=False, repr=False, default=SegmentRule())

    @property
    def fit_threads(self) -> int:
        """Number of threads of `fit`, which leave Python free."""
        return self.threads

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
        self.rule_ = self._rule(training.task)
        self.n_outputs_ = 1 if n_classes == 2 else n_classes
        self.width_ = self._width()
        model = self._learn(training, validation, on_epoch)
        if self.source_students:
            self._join_agreed(model, training)
        self._quantize(model, training.texts)
        return self

    def _learn(
        self,
        training: Dataset,
        validation: Dataset | None,
        on_epoch: Callable[[int, float, float], None] | None,
    ) -> FloatModel:
        model = self._initial_model()
        examples = NgramExamples.of(training, self.rule_, self.n_outputs_, self.class_weights)
        rng = np.random.default_rng(self.seed)
        mean = RunningMean(model)
        best_loss, best, self.best_epoch_ = np.inf, mean.model, 0
        for epoch in range(1, self.epochs + 1):
            logits_of = partial(self._float_logits, model)
            order = examples.order(rng.permutation(len(training)), epoch, logits_of)
            loss = self._pass(model, examples, order, epoch)
            mean.add(model)
            validation_loss = np.nan
            if validation is not None:
                logits = self._event_logits(mean.model, validation.texts)
                validation_loss = cross_entropy(logits, validation.targets, validation.weights)
            if on_epoch is not None:
                on_epoch(epoch, loss / float(examples.weights[order].sum()), validation_loss)
            if validation is None:
                self.best_epoch_ = epoch
            elif validation_loss < best_loss - 1e-5:
                best_loss, best, self.best_epoch_ = validation_loss, mean.copy(), epoch
            elif epoch - self.best_epoch_ >= self.patience:
                break
        return best

    def _join_agreed(self, model: FloatModel, training: Dataset) -> None:
        """Take the mean with weights that sources agree on, both of the same spread of logits."""
        student, agreement = copy.copy(self), Agreement()
        student.epochs = SAMPLE_EPOCHS
        rng = np.random.default_rng([self.seed, 2])
        for sample in sample_families(training, self.source_students, rng):
            part = student._learn(sample, None, None)
            agreement.add(part.table, part.bias)
        if not agreement.count:
            return
        agreed = copy_model(model)
        agreed.table, agreed.bias = agreement.shrunk(self.source_shrinkage)
        texts = sample_texts(training.texts)
        own, other = (self._float_logits(m, texts).std(axis=0).mean() for m in (model, agreed))
        average(model, agreed, float(own / (other or 1)))

    def predict_logits(self, texts: NormalizedTexts) -> Floats:
        """Return logits of the int8 model, through the same kernel that the runtime uses."""
        return self._kernel_logits(texts, self.rule_)

    def text_logits(self, texts: NormalizedTexts) -> Floats:
        """Return the logits of whole texts alone, whatever their segments."""
        return self._kernel_logits(texts, SegmentRule())

    def _kernel_logits(self, texts: NormalizedTexts, rule: SegmentRule) -> Floats:
        out = np.empty((len(texts), self.n_outputs_), np.float32)
        schema, array = texts.to_arrow().__arrow_c_array__()
        self._kernel_model(rule).score_column(schema, array, 0, len(texts), out, True)
        return out

    def rescale(self, slope: float, shift: float | Floats) -> None:
        """Fold a calibration into the scale, the bias and the head, and keep soft weights."""
        temperature = float(np.float32(self.rule_.temperature * slope))
        self.rule_ = replace(self.rule_, temperature=temperature)
        if self.head_ is None:
            self.scale_ = float(np.float32(self.scale_ * slope))
        else:
            self.head_ = (self.head_ * slope).astype(np.float32)
        self.bias_ = (self.bias_ * slope + shift).astype(np.float32)

    def export(self) -> Export:
        """Return the int8 table without columns of zeros, the head and the bias."""
        used = self.n_outputs_ if self.head_ is None else self.width_
        table = np.ascontiguousarray(self.table_[:, :used])
        tensors: dict[str, npt.NDArray[np.generic]] = {"table": table, "bias": self.bias_}
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
                **self.rule_.settings,
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
    def from_export(cls, export: Export, task: Task) -> "NgramStudent":
        """Return the student that was exported; a bundle's weights must be verified before."""

        def number(name: str) -> int:
            return int(str(export.settings[name]))

        student = cls(
            min_order=number("min_order"),
            max_order=number("max_order"),
            table_bits=number("table_bits"),
            segments=str(export.settings["combination"]),
        )
        student.rule_ = SegmentRule.from_settings(export.settings, task.positive_bits)
        student.width_, student.n_outputs_ = number("width"), number("n_outputs")
        student.scale_ = float(str(export.settings["scale"]))
        stored = export.tensors["table"].view(np.int8).reshape(1 << student.table_bits, -1)
        student.table_ = np.zeros((len(stored), student.width_), np.int8)
        student.table_[:, : stored.shape[1]] = stored
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
        model = FloatModel(table, squares, None, None, bias, np.zeros_like(bias))
        student._quantize(model, texts)
        return student

    # --- settings -----------------------------------------------------------------------------

    def _check(self, training: Dataset, validation: Dataset | None) -> None:
        check_learnable(training, validation)
        if not 1 <= self.threads <= 256:
            raise SettingsError("threads must be 1 to 256")
        if not self.max_order and (self.segments != "none" or not training.texts.has_features):
            problem = "max_order must not be 0: segments and texts like these have no features"
            raise SettingsError(problem, field="max_order")
        if self.source_students and (self.source_students < 2 or self.hidden):
            problem = "source_students must be 0, or at least 2 with hidden = 0"
            raise SettingsError(problem, field="source_students")
        if not self.source_shrinkage >= 0:
            raise SettingsError("source_shrinkage must be at least 0", field="source_shrinkage")
        if self.epochs < 1 or self.patience < 1:
            raise SettingsError("epochs and patience must be at least 1")
        if self.hidden % ROW_STEP or not 0 <= self.hidden <= 1024:
            raise SettingsError("hidden must be 0 or a multiple of 16 up to 1024")
        if self.segments not in COMBINATIONS:
            raise SettingsError(f"segments must be {', '.join(COMBINATIONS)}", field="segments")

    def _rule(self, task: Task) -> SegmentRule:
        if self.segments == "none":
            return SegmentRule()
        if task.segmenter == "none" or not task.positive:
            problem = f"task {task.name!r} has no segments or no positive class; set 'none'"
            raise SettingsError(problem, field="segments")
        return SegmentRule(task.segmenter, self.segments, task.positive_bits)

    def _width(self) -> int:
        if self.hidden:
            return self.hidden
        return 1 if self.n_outputs_ == 1 else -(-self.n_outputs_ // ROW_STEP) * ROW_STEP

    def _call_settings(self, epoch: int) -> tuple[float, ...]:
        shape = self.min_order, self.max_order, self.table_bits, self.width_, self.n_outputs_
        seed = self.seed * 1_000_003 + epoch
        return *shape, self.learning_rate, self.l2, self.dropout, seed

    # --- learning -----------------------------------------------------------------------------

    def _initial_model(self) -> FloatModel:
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
        return FloatModel(table, squares, head, head_squares, zeros, zeros.copy())

    def _pass(
        self,
        model: FloatModel,
        examples: NgramExamples,
        order: npt.NDArray[np.uint32],
        epoch: int,
    ) -> float:
        settings, data = self._call_settings(epoch), (examples.texts.offsets, examples.texts.data)

        def train(own: FloatModel, part: npt.NDArray[np.uint32]) -> float:
            return _kernel.train(
                settings, own.arrays, data, examples.targets, examples.weights, part
            )

        try:
            if self.threads == 1:
                return train(model, order)
            loss = 0.0
            with ThreadPoolExecutor(self.threads) as pool:
                for stretch in np.array_split(order, _MIXES_A_PASS):
                    copies = [copy_model(model) for _ in range(self.threads)]
                    loss += sum(pool.map(train, copies, np.array_split(stretch, self.threads)))
                    mix(model, copies)
            return loss
        except ValueError as error:
            raise SettingsError(f"student 'ngram': {error}") from error

    def _float_logits(self, model: FloatModel, texts: NormalizedTexts) -> Floats:
        out = np.empty((len(texts), self.n_outputs_), np.float32)
        _kernel.predict(self._call_settings(0), model.arrays, (texts.offsets, texts.data), out)
        return out

    def _event_logits(self, model: FloatModel, texts: NormalizedTexts) -> Floats:
        """Return the logits of events, by the float model."""
        return self.rule_.event_logits(texts, partial(self._float_logits, model))

    def _quantize(self, model: FloatModel, texts: NormalizedTexts) -> None:
        """Choose the clipping of the int8 table that moves the logits least."""
        self.head_, self.bias_ = model.head, model.bias
        sample = sample_texts(texts)
        exact = self._event_logits(model, sample)
        largest = float(np.abs(model.table).max()) or 1.0
        candidates, scaled = [], np.empty_like(model.table)
        for clip in _CLIPS:
            self.scale_ = float(np.float32(largest * clip / 127))
            np.rint(np.divide(model.table, self.scale_, out=scaled), out=scaled)
            self.table_ = np.clip(scaled, -127, 127, out=scaled).astype(np.int8)
            error = float(np.square(self.predict_logits(sample) - exact).mean())
            candidates.append((error, self.scale_, self.table_))
        _, self.scale_, self.table_ = min(candidates, key=lambda one: one[0])

    def _kernel_model(self, rule: SegmentRule) -> _kernel.Ngram:
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
            *rule.numbers,
        )
