"""Diversity of texts, measured by distinct word 3-grams."""

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"\w+|[^\w\s]")
_GRAM = 3
_MAX_TOKENS = 2000


def grams(text: str) -> set[tuple[str, ...]]:
    """Return the word 3-grams of a text; a shorter one is a single gram."""
    tokens = _TOKEN.findall(text.lower())[:_MAX_TOKENS]
    return set(zip(*(tokens[k:] for k in range(_GRAM)), strict=False)) or {tuple(tokens)}


def distinct(texts: Iterable[str]) -> float:
    """Return distinct 3-grams as a share of all (Li et al. 2016, "distinct-n"); NaN without any."""
    seen: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        own = grams(text)
        total += len(own)
        seen |= own
    return len(seen) / total if total else float("nan")


class Novelty:
    """Memory of the word 3-grams of all texts so far."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, ...]] = set()

    def share_new(self, text: str) -> float:
        """Return the share of a text's 3-grams that no earlier text has, and remember them."""
        own = grams(text)
        new = len(own - self._seen)
        self._seen |= own
        return new / len(own)
