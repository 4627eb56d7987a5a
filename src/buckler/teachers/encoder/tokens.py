"""Turns texts into token ids, and these into batches of similar length."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError
from buckler.extras import import_extra
from buckler.files import read_bytes

Ids = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]
_CHARACTERS_A_TOKEN = 8  # texts are cut before they are tokenized: no token is longer on average


@dataclass(frozen=True)
class Batch:
    """Texts of similar length, padded to the longest.

    Attributes
    ----------
    rows
        Numbers of the texts, int64 [n].
    ids, mask
        Token ids and their mask, int64 [n, tokens].
    """

    rows: Ids
    ids: Ids
    mask: Ids


class Tokens:
    """A tokenizer of the `tokenizers` library, from a model's folder.

    Parameters
    ----------
    folder
        Folder with ``tokenizer.json``.
    max_tokens
        Longest text in tokens; longer texts keep head and tail: two thirds from the start, one from
        the end.
    """

    def __init__(self, folder: Path, max_tokens: int) -> None:
        tokenizers = import_extra("tokenizers", "the teacher 'encoder'", "torch,onnx")
        path = folder / "tokenizer.json"
        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(read_bytes(path))
        except ValueError as error:
            raise InputError(f"{path}: cannot be read ({str(error)[:100]})") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._max = max_tokens

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the token ids of each text, special tokens included."""
        limit = self._max * _CHARACTERS_A_TOKEN
        cut = [t if len(t) <= limit else t[: 2 * limit // 3] + t[-limit // 3 :] for t in texts]
        found = []
        for encoded in self._tokenizer.encode_batch(cut):
            ids = np.array(encoded.ids, np.int64)
            if len(ids) > self._max:
                head = 2 * self._max // 3
                ids = np.concatenate([ids[:head], ids[len(ids) - (self._max - head) :]])
            found.append(ids)
        return found


def batches_by_length(encoded: Sequence[Ids], max_tokens: int) -> Iterator[Batch]:
    """Yield batches from short to long, each of at most so many tokens with its padding."""
    lengths = np.array([len(ids) for ids in encoded])
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end - start + 1) * lengths[order[end]] <= max_tokens:
            end += 1
        yield pad_batch(encoded, order[start:end])
        start = end


def gather_logits(
    encoded: Sequence[Ids], max_tokens: int, run: Callable[[Batch], Logits], threads: int = 1
) -> Logits:
    """Return float32 [n, classes] in the order of the texts; `run` computes one batch."""
    found = np.empty((0, 0), np.float32)
    batches = list(batches_by_length(encoded, max_tokens))
    with ThreadPoolExecutor(threads) as pool:
        results = map(run, batches) if threads == 1 else pool.map(run, batches)
        for batch, logits in zip(batches, results, strict=True):
            if not len(found):
                found = np.empty((len(encoded), logits.shape[1]), np.float32)
            found[batch.rows] = logits
    return found


def random_batches(
    encoded: Sequence[Ids], batch_rows: int, random: np.random.Generator
) -> Iterator[Batch]:
    """Yield batches in random order, each of texts of similar length; every text occurs once."""
    order = random.permutation(len(encoded))
    lengths = np.array([len(ids) for ids in encoded])
    pool = batch_rows * 64
    batches = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[i : i + batch_rows] for i in range(0, len(rows), batch_rows)]
    for number in random.permutation(len(batches)):
        yield pad_batch(encoded, batches[number])


def pad_batch(encoded: Sequence[Ids], rows: Ids) -> Batch:
    """Put these texts into one batch."""
    longest = max(len(encoded[row]) for row in rows)
    ids = np.zeros((len(rows), longest), np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(encoded[row])] = encoded[row]
        mask[i, : len(encoded[row])] = 1
    return Batch(np.asarray(rows, np.int64), ids, mask)
