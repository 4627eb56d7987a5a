"""Texts as vectors for measures of likeness: hashed byte 3-grams, the same for any task."""

import numpy as np
import numpy.typing as npt

from buckler.normalize import NormalizedTexts

MAX_BYTES = 4096
_BATCH_BYTES = 1 << 22
_ODD = np.uint32(2_654_435_761)


def hashed_vectors(texts: NormalizedTexts, dimensions: int = 256) -> npt.NDArray[np.float32]:
    """Return float32 [n, dimensions] of length 1: square roots of counts of hashed 3-grams.

    Parameters
    ----------
    dimensions
        A power of two.
    """
    out = np.zeros((len(texts), dimensions), np.float32)
    shift = np.uint32(32 - int(dimensions).bit_length() + 1)
    start = 0
    lengths = np.minimum(texts.lengths, MAX_BYTES)
    while start < len(texts):
        end = start + max(1, int(np.searchsorted(np.cumsum(lengths[start:]), _BATCH_BYTES)))
        # Two bytes of padding behind each text, so that every text has a gram.
        sizes = lengths[start:end] + 2
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        data = np.zeros(bounds[-1] + 2, np.uint32)
        within = np.arange(bounds[-1]) - np.repeat(bounds[:-1], sizes)
        inside = within < np.repeat(lengths[start:end], sizes)
        source = np.repeat(texts.offsets[start:end], sizes) + within
        data[:-2][inside] = texts.data[source[inside]].astype(np.uint32) + 1
        grams = data[:-2] * np.uint32(65_599) + data[1:-1] * np.uint32(257) + data[2:]
        codes = np.right_shift((grams * _ODD).astype(np.uint32), shift)
        rows = np.repeat(np.arange(end - start), sizes)
        cells = rows * dimensions + codes
        counts = np.bincount(cells[inside], minlength=(end - start) * dimensions)
        out[start:end] = np.sqrt(counts.reshape(end - start, dimensions))
        start = end
    norms = np.linalg.norm(out, axis=1, keepdims=True)
    return np.asarray(out / np.maximum(norms, 1e-12), np.float32)
