"""Finds the notions that injections are made of, whatever the language.

`injection_notions.txt` lists stems of 32 notions ("ignore", "rule", "answer", "safe", …) in 85
languages, so the same sentence has nearly the same notions in Finnish and in Thai. A logistic
regression on notions and pairs of them scores it; `python -m benchmarks.injections` taught it.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

WORDS = "injection_notions.txt"
N_NOTIONS, LEAST_NOTIONS = 32, 4
_LEAST_SCORE = -4.0  # few notions are no evidence against an injection
_COMMON = "*"  # stands for the words that every language borrows, and for the names of classes
_SHORT = 3  # a stem of so many letters, or fewer, must be the whole word
_LONGEST = 16
_MARKS = re.compile("[\u0300-\u036f\u064b-\u065f]")
_LETTERS = str.maketrans(
    {"ł": "l", "đ": "d", "ø": "o", "\u0131": "i", "æ": "ae", "œ": "oe", "\u02bb": "'"}
)
_WORD = re.compile(
    r"[^\s!-&(-/:-@\[-`{-~\u0589\u060c\u061b\u061f\u0964\u2010-\u206f\u3000-\u301f]+"
)
# Scripts without spaces between words, or with particles written before the stem.
_WITHIN = re.compile(
    "[\u0590-\u06ff\u0750-\u077f\u0e00-\u0eff\u1000-\u109f\u1200-\u139f\u1780-\u17ff"
    "\u3040-\u30ff\u3400-\u9fff]"
)


@dataclass(frozen=True)
class NotionRegression:
    """A logistic regression on the notions of a passage.

    Attributes
    ----------
    weights
        Weight of each pair of notions and, on the diagonal, of each notion; float32, zero below.
    bias
        Logit without any notion.
    """

    weights: npt.NDArray[np.float32]
    bias: float

    def score(self, notions: Sequence[int]) -> float:
        """Return the logit of notions in ascending order; a low one where they are few."""
        if len(notions) < LEAST_NOTIONS:
            return _LEAST_SCORE
        logit = self.bias + float(self.weights[np.ix_(notions, notions)].sum())
        return max(logit, _LEAST_SCORE)


def find_notions(text: str) -> list[int]:
    """Return the notions of `text` in ascending order, as the best fitting language knows them."""
    notions = defaultdict[str, set[int]](set)
    for word in _WORD.findall(_fold(text)):
        if _WITHIN.search(word):
            _look_within(word, notions)
        else:
            for language, notion in _match(word):
                notions[language].add(notion)
    common = notions.pop(_COMMON, set())
    best = common
    for known in notions.values():
        best = max(best, common | known, key=len)
    return sorted(best)


@lru_cache(1 << 16)
def _match(word: str) -> tuple[tuple[str, int], ...]:
    """Return, for each language that knows the word, the notion of its longest stem."""
    found: dict[str, int] = {}
    stems = _stems()
    for length in range(min(len(word), _LONGEST), 0, -1):
        if length <= _SHORT and length < len(word):
            break
        for language, notion in stems.get(word[:length], {}).items():
            found.setdefault(language, notion)
    return tuple(found.items())


def _look_within(run: str, notions: dict[str, set[int]]) -> None:
    """Add the stems that occur anywhere in a run of letters; none within another one."""
    free_from = defaultdict[str, int](int)
    stems = _stems()
    for start in range(len(run)):
        for length in range(min(len(run) - start, _LONGEST), 0, -1):
            for language, notion in stems.get(run[start : start + length], {}).items():
                if free_from[language] <= start:
                    free_from[language] = start + length
                    notions[language].add(notion)


@cache
def _stems() -> dict[str, dict[str, int]]:
    """Return the languages of each stem, with its notion."""
    stems = defaultdict[str, dict[str, int]](dict)
    text = (files("buckler.teachers.llm") / WORDS).read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        language, *cells = line.split("|")
        for number, cell in enumerate(cells):
            for stem in _fold(cell).split():
                stems[stem].setdefault(language, number)
    return stems


def _fold(text: str) -> str:
    """Return a text in lower case, without accents."""
    text = text.casefold()
    if text.isascii():
        return text
    return _MARKS.sub("", unicodedata.normalize("NFKD", text.translate(_LETTERS)))
