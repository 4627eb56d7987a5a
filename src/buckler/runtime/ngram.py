"""Scores and explains with the `ngram` student's kernel."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.bundle.archive import WEIGHTS, full_table, parse_tensors
from buckler.bundle.manifest import Manifest, advise_version
from buckler.errors import BundleError
from buckler.normalize import NormalizedTexts
from buckler.normalize.normalized_texts import FEATURE_BYTES, FEATURES, SEPARATOR
from buckler.normalize.segments import SegmentRule
from buckler.runtime.model import MODELS, Form, Model, Tensors, Texts, Weights, whole_number
from buckler.runtime.verdicts import Floats

_MARK = bytes((SEPARATOR, FEATURES))
_INTEGERS = ("min_order", "max_order", "table_bits", "width", "n_outputs")


@dataclass(frozen=True, eq=False)
class _Rows:
    """Table rows of a text, and the factor of their sum.

    Attributes
    ----------
    n_grams
        By order and place.
    features, every
        Those of the features, and all together.
    """

    n_grams: npt.NDArray[np.uint32]
    features: npt.NDArray[np.uint32]
    every: npt.NDArray[np.uint32]
    factor: float


@MODELS.add
class NgramModel(Model):
    """A loaded `ngram` student.

    Parameters
    ----------
    settings, tensors
        Content of the bundle; checked before use.
    form
        Shape of input and output.

    Raises
    ------
    BundleError
        If they do not fit together or need another kernel.
    """

    name = "ngram"

    def __init__(self, settings: Mapping[str, object], tensors: Tensors, form: Form) -> None:
        n_outputs = form.n_outputs
        version = settings.get("kernel_version")
        if version != _kernel.ABI_VERSION:
            raise BundleError(
                f"needs kernel version {version!r}, this is {_kernel.ABI_VERSION}; "
                f"{advise_version()}"
            )
        numbers = {
            name: whole_number(settings, name, int(name != "max_order"), (1 << 25) - 1)
            for name in _INTEGERS
        }
        scale = settings.get("scale")
        if not isinstance(scale, float) or numbers["n_outputs"] != n_outputs:
            raise BundleError("student settings do not fit the task")
        table, bias, head = full_table(tensors, n_outputs), tensors.get("bias"), tensors.get("head")
        if bias is None or bias.dtype != np.float32:
            raise BundleError("weights: a float32 bias is needed")
        if head is not None and head.dtype != np.float32:
            raise BundleError("weights: 'head' is not float32")
        shape = (numbers["width"], n_outputs)
        if bias.shape != shape[1:] or (head is not None and head.shape != shape):
            raise BundleError("weights do not fit the task")
        for tensor in (bias, head):
            if tensor is not None and not np.isfinite(tensor).all():
                raise BundleError("weights hold numbers that are not finite")

        try:
            rule = SegmentRule.from_settings(settings, form.positive)
        except BundleError as error:
            raise BundleError(f"{error}; {advise_version()}") from error

        def kernel(kind: int, max_bytes: int) -> _kernel.Ngram:
            return _kernel.Ngram(
                kind,
                max_bytes,
                numbers["min_order"],
                numbers["max_order"],
                numbers["table_bits"],
                numbers["width"],
                n_outputs,
                scale,
                table,
                head,
                bias,
                *rule.numbers,
            )

        try:
            self._kernel = kernel(form.normalizer.kind, form.max_bytes)
            self._on_normalized = kernel(0, form.max_bytes)
        except (ValueError, OverflowError) as error:
            raise BundleError(f"student: {error}") from error
        self._numbers, self._scale, self._head, self._bias = numbers, scale, head, bias
        self._rule = rule
        self._table = table.reshape(-1, self.width)
        self.n_outputs = n_outputs
        self.score_one = self._kernel.score_one

    @classmethod
    def load(cls, manifest: Manifest, weights: Mapping[str, bytes], form: Form) -> "NgramModel":
        """Return the table and head of a bundle."""
        return cls(manifest.settings, parse_tensors(weights.get(WEIGHTS)), form)

    @property
    def width(self) -> int:
        """Columns of a table row."""
        return self._numbers["width"]

    def _shape(self, n: int) -> tuple[int, ...]:
        return (n,) if self.n_outputs == 1 else (n, self.n_outputs)

    def score_list(self, texts: Texts) -> Floats:
        """Return outputs for a list of str, bytes or None."""
        out = np.empty(self._shape(len(texts)), np.float32)
        self._kernel.score_list(texts, out)
        return out

    def score_column(self, schema: object, array: object, begin: int, end: int) -> Floats:
        """Return outputs for rows of an Arrow array; releases the interpreter lock."""
        out = np.empty(self._shape(end - begin), np.float32)
        self._kernel.score_column(schema, array, begin, end, out)
        return out

    def score_normalized(self, texts: NormalizedTexts) -> Floats:
        """Return outputs for texts that are normalized already."""
        out = np.empty(self._shape(len(texts)), np.float32)
        self._on_normalized.score_list([texts[i] for i in range(len(texts))], out)
        return out

    def byte_weights(self, normalized: bytes, output: int) -> Weights:
        """Return what each byte adds to the logit of an output.

        The weight of an n-gram is shared by its bytes, and a feature has its weight at its first
        byte, so the weights add up to the logit less its bias; for several classes, each taken less
        the mean of all classes. With a hidden layer a weight is gradient times input. If segments
        count, the n-grams of the whole text and of its segments share the weight as the logits do.
        """
        found = np.zeros(len(normalized))
        for text, shift, share in self._rule.scored_parts(normalized, self._logits):
            weights = share * self._weigh(text, output)
            if text != normalized and _MARK in text:  # features of a host alone count for it
                host = len(text.partition(_MARK)[0].rstrip(_MARK)) or 1
                weights = weights[:host] + weights[host:].sum() / host
            if len(found):  # a separator that a segment adds counts for its neighbor
                places = np.clip(np.arange(len(weights)) + shift, 0, len(found) - 1)
                np.add.at(found, places, weights)
        return found

    def _rows(self, text: bytes) -> "_Rows":
        least, most = self._numbers["min_order"], self._numbers["max_order"]
        bits = self._numbers["table_bits"]
        data = _kernel.ngram_rows(least, most, bits, text)
        features = np.frombuffer(_kernel.feature_rows(bits, text), np.uint32)
        behind = len(features) and 2 + FEATURE_BYTES * len(features)  # the text, with their mark
        shape = most - least + 1, len(text) - behind + 2  # framed by a border at either end
        n_grams = np.frombuffer(data, np.uint32).reshape(shape)
        every = np.concatenate([n_grams.ravel(), features])
        return _Rows(n_grams, features, every, self._scale / float(np.sqrt(every.size)))

    def _logits(self, texts: NormalizedTexts) -> Floats:
        found = np.empty((len(texts), self.n_outputs), np.float32)
        for number, text in enumerate(texts):
            rows = self._rows(text)
            x = self._table[rows.every].sum(axis=0, dtype=np.int64) * rows.factor
            x = x[: self.n_outputs] if self._head is None else np.maximum(x, 0) @ self._head
            found[number] = x + self._bias
        return found

    def _weigh(self, text: bytes, output: int) -> Weights:
        """Return the weight of each byte of a text that is scored by itself."""
        rows = self._rows(text)
        direction = self._direction(rows, output) * rows.factor
        weights = self._table[rows.n_grams] @ direction
        size = rows.n_grams.shape[1]  # with a border at either end
        shares = np.zeros(size + 1)
        starts = np.arange(size)
        for order, own in enumerate(weights, self._numbers["min_order"]):
            ends = np.minimum(starts + order, size)  # near the end, n-grams reach over it
            share = own / (ends - starts)
            np.add.at(shares, starts, share)
            np.subtract.at(shares, ends, share)
        framed = np.cumsum(shares)[:size]
        found = np.zeros(len(text))
        inner = found[: size - 2]
        inner[:] = framed[1:-1]
        if len(inner):
            inner[0] += framed[0]
            inner[-1] += framed[-1]
        words = len(text) - FEATURE_BYTES * len(rows.features)
        found[words::FEATURE_BYTES] = self._table[rows.features] @ direction
        return found

    def _direction(self, rows: "_Rows", output: int) -> npt.NDArray[np.float64]:
        """Return what a unit of each column adds to the output."""
        if self._head is not None:
            hidden = self._table[rows.every].sum(axis=0, dtype=np.int64) * rows.factor
            gradient = self._head.astype(np.float64) * (hidden > 0)[:, None]
        else:
            gradient = np.eye(self.width)[:, : self.n_outputs]
        if self.n_outputs == 1:
            return np.asarray(gradient[:, 0])
        return np.asarray(gradient[:, output] - gradient.mean(axis=1))
