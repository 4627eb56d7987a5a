"""The seam for loaded students: one Model for each family, texts in, probabilities out.

A scorer builds the model of its bundle through `buckler.runtime.families`. Models whose input is a
normalized text, however they compute, derive from `NormalizedTextModel` and only say what the logits of
normalized texts are; `ngram` reads raw texts in its own kernel.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.errors import BundleError
from buckler.normalize import NormalizedTexts, Normalizer
from buckler.runtime.verdict import Contribution

Floats = npt.NDArray[np.float32]
_ROWS_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class Form:
    """What a model gets to see.

    Attributes
    ----------
    normalizer
        Makes the normalized text.
    max_bytes
        Where it is cut.
    n_outputs
        1 for two classes, else the number of classes.
    """

    normalizer: Normalizer
    max_bytes: int
    n_outputs: int


class Model(ABC):
    """A loaded student.

    `outputs` below are float32 [n] for two classes (probability of the second), else [n, classes].
    """

    n_outputs: int
    # The fastest way for one text: its output, a float for two classes.
    score_one: Callable[[str | bytes], Any]

    @abstractmethod
    def score_list(self, texts: list[Any]) -> Floats:
        """Return outputs for a list of str, bytes or None; NaN for None."""

    @abstractmethod
    def score_column(self, schema: object, array: object, begin: int, end: int) -> Floats:
        """Return outputs for rows of an Arrow array; NaN for a null."""

    @abstractmethod
    def score_normalized(self, texts: NormalizedTexts) -> Floats:
        """Return outputs for texts that are normalized already."""

    @abstractmethod
    def explain(self, normalized: bytes, output: int, top: int) -> list[Contribution]:
        """Return what moved the logit of an output most, strongest first."""


class NormalizedTextModel(Model):
    """A model of normalized texts."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.n_outputs = form.n_outputs
        self.score_one = lambda text: self.score_list([text])[0]

    @abstractmethod
    def logits(self, texts: NormalizedTexts) -> Floats:
        """Return float32 [n, outputs], calibrated; texts are few enough to be held at once."""

    def score_list(self, texts: list[Any]) -> Floats:
        """Return outputs for a list of str, bytes or None; NaN for None."""
        there = [i for i, text in enumerate(texts) if text is not None]
        kind, limit = self.form.normalizer.kind, self.form.max_bytes
        normalized = NormalizedTexts.from_bytes(
            _kernel.normalize(kind, texts[i], limit) for i in there
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


def whole_number(settings: Mapping[str, Any], name: str, least: int, most: int) -> int:
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
