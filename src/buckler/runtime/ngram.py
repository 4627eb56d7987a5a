"""Scores and explains with the `ngram` student's kernel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.bundle.manifest import Manifest
from buckler.bundle.reader import WEIGHTS, parse_tensors
from buckler.errors import BundleError
from buckler.normalize import NormalizedTexts
from buckler.runtime.model import MODELS, Form, Model, whole_number
from buckler.runtime.verdicts import Contribution, Floats

_INTEGERS = ("min_order", "max_order", "table_bits", "width", "n_outputs")


@MODELS.add
class NgramModel(Model):
    """A loaded `ngram` student.

    Parameters
    ----------
    settings, tensors
        From the bundle; checked before use.
    form
        What it gets to see, and how many outputs the task needs.

    Raises
    ------
    BundleError
        If they do not fit together or need another kernel.
    """

    name = "ngram"

    def __init__(
        self,
        settings: dict[str, Any],
        tensors: dict[str, npt.NDArray[Any]],
        form: Form,
    ) -> None:
        n_outputs = form.n_outputs
        version = settings.get("kernel_version")
        if version != _kernel.ABI_VERSION:
            raise BundleError(
                f"needs kernel version {version!r}, this is {_kernel.ABI_VERSION}; "
                "install the Buckler that it was made with"
            )
        for name in _INTEGERS:
            whole_number(settings, name, 1, (1 << 25) - 1)
        scale = settings.get("scale")
        if not isinstance(scale, float) or settings["n_outputs"] != n_outputs:
            raise BundleError("student settings do not fit the task")
        table, bias, head = tensors.get("table"), tensors.get("bias"), tensors.get("head")
        if table is None or table.dtype != np.int8 or bias is None or bias.dtype != np.float32:
            raise BundleError("weights: an int8 table and a float32 bias are needed")
        if head is not None and head.dtype != np.float32:
            raise BundleError("weights: 'head' is not float32")
        for tensor in (bias, head):
            if tensor is not None and not np.isfinite(tensor).all():
                raise BundleError("weights hold numbers that are not finite")

        def kernel(kind: int, max_bytes: int) -> _kernel.Ngram:
            return _kernel.Ngram(
                kind,
                max_bytes,
                settings["min_order"],
                settings["max_order"],
                settings["table_bits"],
                settings["width"],
                n_outputs,
                scale,
                table,
                head,
                bias,
            )

        try:
            self._kernel = kernel(form.normalizer.kind, form.max_bytes)
            self._on_normalized = kernel(0, form.max_bytes)
        except (ValueError, OverflowError) as error:
            raise BundleError(f"student: {error}") from error
        self._settings, self._head = settings, head
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
        return int(self._settings["width"])

    def _shape(self, n: int) -> tuple[int, ...]:
        return (n,) if self.n_outputs == 1 else (n, self.n_outputs)

    def score_list(self, texts: list[Any]) -> Floats:
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

    def explain(self, normalized: bytes, output: int, top: int) -> list[Contribution]:
        """Return the n-grams that moved an output most, strongest first.

        For a linear model the weights add up to the logit less its bias (for several classes: less
        the mean of all classes). With a hidden layer they are the first-order share (gradient
        times input).
        """
        orders = range(self._settings["min_order"], self._settings["max_order"] + 1)
        rows = np.frombuffer(
            _kernel.ngram_rows(orders[0], orders[-1], self._settings["table_bits"], normalized),
            np.uint32,
        ).reshape(len(orders), -1)
        factor = self._settings["scale"] / np.sqrt(rows.size)
        weights = self._table[rows] @ self._direction(rows, factor, output) * factor
        framed = b"\x1f" + normalized + b"\x1f"
        found: dict[bytes, Contribution] = {}
        for flat in np.argsort(-np.abs(weights), axis=None)[: 8 * top]:
            order, start = divmod(int(flat), weights.shape[1])
            piece = framed[start : start + orders[order]]
            weight = float(weights[order, start])
            if weight == 0 or piece in found:
                continue
            text = piece.replace(b"\x1f", b"|").decode("utf-8", "replace")
            found[piece] = Contribution(text, start - 1, start - 1 + len(piece), weight)
        return list(found.values())[:top]

    def _direction(
        self, rows: npt.NDArray[np.uint32], factor: float, output: int
    ) -> npt.NDArray[np.float64]:
        """What a unit of each column adds to the output."""
        if self._head is not None:
            hidden = self._table[rows.ravel()].sum(axis=0, dtype=np.int64) * factor
            gradient = self._head.astype(np.float64) * (hidden > 0)[:, None]
        else:
            gradient = np.eye(self.width)[:, : self.n_outputs]
        if self.n_outputs == 1:
            return np.asarray(gradient[:, 0])
        return np.asarray(gradient[:, output] - gradient.mean(axis=1))
