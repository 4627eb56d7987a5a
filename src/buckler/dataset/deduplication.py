"""Exact duplicates and near-duplicates of normalized texts.

Near-duplicates are found by MinHash over byte 5-grams (Broder 1997) and locality-sensitive hashing
in bands; a candidate counts only if the signatures agree to the threshold.
"""

from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from buckler.normalize import NormalizedTexts

SHINGLE_BYTES = 5
N_PERMUTATIONS = 128
N_BANDS = 16
THRESHOLD = 0.85
_SHINGLES_A_BATCH = 1 << 22
_MAX_SHINGLES = 4096

Digests = npt.NDArray[np.uint32]


def content_hashes(texts: NormalizedTexts) -> npt.NDArray[np.void]:
    """Return a 16-byte hash of each text."""
    hashes = b"".join(blake2b(text, digest_size=16).digest() for text in texts)
    return np.frombuffer(hashes, np.dtype("V16"))


def first_of_each(hashes: npt.NDArray[np.void]) -> npt.NDArray[np.intp]:
    """Return for each row the first row with the same content."""
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return first[inverse]


def minhash(texts: NormalizedTexts) -> Digests:
    """Return MinHash signatures, uint32 [n, 128]; derived fields do not count."""
    texts = texts.without_derived()
    digests = np.empty((len(texts), N_PERMUTATIONS), np.uint32)
    start = 0
    while start < len(texts):
        lengths = texts.lengths[start:]
        end = start + max(1, int(np.searchsorted(np.cumsum(lengths), _SHINGLES_A_BATCH)))
        offsets = texts.offsets[start : end + 1]
        part = NormalizedTexts(offsets - offsets[0], texts.data[offsets[0] : offsets[-1]])
        shingles, bounds = _shingles(part)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(shingles, bounds, N_PERMUTATIONS, 7)
        digests[start:end] = np.asarray(matrix.to_rows(), np.uint32)
        start = end
    return digests


def _shingles(
    texts: NormalizedTexts,
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Hash every run of five bytes; a shorter text is one shingle."""
    # A gap behind each text, so that the runs of a short one do not reach into the next.
    starts = texts.offsets[:-1] + (SHINGLE_BYTES - 1) * np.arange(len(texts))
    own = np.arange(len(texts.data)) + np.repeat(starts - texts.offsets[:-1], texts.lengths)
    n = len(texts.data) + (SHINGLE_BYTES - 1) * len(texts)
    padded = np.zeros(n + SHINGLE_BYTES, np.uint64)
    padded[own] = texts.data.astype(np.uint64) + np.uint64(1)
    hashes = np.zeros(n, np.uint64)
    for k in range(SHINGLE_BYTES):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + padded[k : k + n]
    hashes ^= hashes >> np.uint64(29)
    counts = np.clip(texts.lengths - SHINGLE_BYTES + 1, 1, _MAX_SHINGLES)
    counts = np.minimum(counts, texts.lengths)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    within = np.arange(bounds[-1]) - np.repeat(bounds[:-1], counts)
    return hashes[np.repeat(starts, counts) + within], bounds.astype(np.uint64)


def _band_keys(digests: Digests) -> npt.NDArray[np.uint64]:
    """Return one number for each band of each signature, [n, bands]."""
    bands = digests.reshape(len(digests), N_BANDS, -1).astype(np.uint64)
    keys = np.zeros(bands.shape[:2], np.uint64)
    for column in range(bands.shape[2]):
        keys = (keys ^ bands[:, :, column]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(32)
    return keys


def near_duplicates_of(digests: Digests, others: Digests) -> npt.NDArray[np.intp]:
    """Return for each row of `digests` a near-duplicate among `others`, or -1."""
    found = np.full(len(digests), -1, np.intp)
    if not len(digests) or not len(others):
        return found
    keys, other_keys = _band_keys(digests), _band_keys(others)
    for band in range(N_BANDS):
        order = np.argsort(other_keys[:, band], kind="stable")
        there = other_keys[order, band]
        at = np.searchsorted(there, keys[:, band])
        at[at == len(there)] = 0
        candidate = order[at]
        hit = (there[at] == keys[:, band]) & (found < 0)
        found[hit] = _confirm(digests[hit], others[candidate[hit]], candidate[hit])
    return found


def near_duplicate_clusters(texts: NormalizedTexts) -> npt.NDArray[np.intp]:
    """Return for each text the first of the texts that it is, or nearly repeats, step by step."""
    found = earlier_near_duplicates(minhash(texts))
    first = np.where(found < 0, np.arange(len(found)), found)
    while (first[first] != first).any():
        first = first[first]
    return first


def _confirm(a: Digests, b: Digests, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return np.where((a == b).mean(axis=1) >= THRESHOLD, rows, -1)


def earlier_near_duplicates(digests: Digests) -> npt.NDArray[np.intp]:
    """Return for each row an earlier row that it nearly repeats, or -1."""
    found = np.full(len(digests), -1, np.intp)
    if not len(digests):
        return found
    keys = _band_keys(digests)
    for band in range(N_BANDS):
        _, first, inverse = np.unique(keys[:, band], return_index=True, return_inverse=True)
        candidate = first[inverse]
        hit = (candidate < np.arange(len(digests))) & (found < 0)
        found[hit] = _confirm(digests[hit], digests[candidate[hit]], candidate[hit])
    return found
