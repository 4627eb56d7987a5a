"""Normalized texts as matrices of bytes for neural students, in training and at run time."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from buckler.normalize.normalized_texts import NormalizedTexts

MASK = 1  # no normalized text contains this byte: it hides bytes in training and in explanations

Rows = npt.NDArray[np.intp]
Bytes = npt.NDArray[np.uint8]


def padded_lengths(texts: NormalizedTexts, max_length: int, step: int) -> npt.NDArray[np.int64]:
    """Return the padded (or cut) length of each text, a multiple of `step`."""
    lengths = np.minimum(texts.lengths, max_length)
    return np.asarray(np.minimum(np.maximum(-(-lengths // step), 1) * step, max_length))


def padded_batches(
    texts: NormalizedTexts, max_length: int, step: int, batch_bytes: int
) -> Iterator[tuple[Rows, Bytes]]:
    """Yield rows and their bytes, uint8 [rows, length] with trailing zeros, in order of length."""
    texts = texts.without_features()
    padded = padded_lengths(texts, max_length, step)
    order = np.argsort(padded, kind="stable")
    widths = padded[order]
    first = 0
    while first < len(order):
        width = int(widths[first])
        same = int(np.searchsorted(widths, width, side="right"))
        rows = order[first : min(same, first + max(1, batch_bytes // width))]
        first += len(rows)
        yield rows, pad(texts, rows, width)


def pad(texts: NormalizedTexts, rows: Rows, width: int) -> Bytes:
    """Return the first `width` bytes of these texts as uint8 [rows, width], with trailing zeros."""
    lengths = np.minimum(texts.lengths[rows], width)
    out = np.zeros((len(rows), width), np.uint8)
    inside = np.arange(width) < lengths[:, None]
    out[inside] = texts.data[(texts.offsets[rows][:, None] + np.arange(width))[inside]]
    return out
