"""Cuts compound names, such as ``cheshireherald.com``, into words.

A word-piece tokenizer cuts a compound name into pieces without meaning, because the model has seen
words with spaces between them. The model's own vocabulary, frequent words first, is enough to cut a
name: the cost of a word is the logarithm of its rank (Zipf's law), and the cheapest cut wins.
"""

import json
import math
import re
from functools import lru_cache
from pathlib import Path

from buckler.errors import InputError

_WORD = re.compile(r"[^\W\d_]{2,}")
_PARTS = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_|\s+")
_MAX_WORD = 18
_MAX_RUN = 64  # a longer run of letters is no name
_LETTER_COST = 12.0
_UNKNOWN_COST, _UNKNOWN_LETTER_COST, _MAX_UNKNOWN = 13.0, 4.0, 8


class Segmenter:
    """Cuts by the vocabulary of a tokenizer.

    Parameters
    ----------
    path
        A ``tokenizer.json``; words in its vocabulary are taken to be in order of frequency.

    Raises
    ------
    InputError
        If it cannot be read or has no vocabulary of words.
    """

    def __init__(self, path: Path) -> None:
        try:
            vocabulary = json.loads(path.read_bytes())["model"]["vocab"]
            ranked = sorted((int(number), str(word)) for word, number in vocabulary.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: no vocabulary to cut names by ({error})") from error
        words = [word for _, word in ranked if _WORD.fullmatch(word) and word.islower()]
        if len(words) < 1000:
            raise InputError(f"{path}: its vocabulary has {len(words)} words, too few to cut by")
        scale = math.log(len(words))
        self._cost = {word: math.log((rank + 1) * scale) for rank, word in enumerate(words)}
        self.cut = lru_cache(1 << 16)(self._cut)

    def split_words(self, text: str) -> str:
        """Return a text in lower case with spaces between its words and signs."""
        return " ".join(
            " ".join(self.cut(part)) if part.isalpha() else part
            for part in _PARTS.findall(text.lower())
            if not part.isspace()
        )

    def _cut(self, run: str) -> tuple[str, ...]:
        """Cut a run of letters at the least cost, by dynamic programming."""
        if len(run) > _MAX_RUN:
            return (run,)
        best = [0.0] + [math.inf] * len(run)
        back = [0] * (len(run) + 1)
        for end in range(1, len(run) + 1):
            for start in range(max(0, end - _MAX_WORD), end):
                cost = best[start] + self._word_cost(run[start:end])
                if cost < best[end]:
                    best[end], back[end] = cost, start
        words = []
        end = len(run)
        while end:
            words.append(run[back[end] : end])
            end = back[end]
        return tuple(reversed(words))

    def _word_cost(self, word: str) -> float:
        if word in self._cost:
            return self._cost[word]
        if len(word) == 1:
            return _LETTER_COST
        if len(word) <= _MAX_UNKNOWN:
            return _UNKNOWN_COST + _UNKNOWN_LETTER_COST * len(word)
        return math.inf
