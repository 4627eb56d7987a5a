"""Detects injections by the notions that they are made of, whatever the language.

`injection_notions.txt` lists stems of 32 notions ("ignore", "rule", "answer", "safe", …) in 85
languages, so the same sentence has nearly the same notions in Finnish and in Thai. A logistic
regression on notions and pairs of them decides; it was taught by `python -m benchmarks.injections`.
"""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from buckler.teachers.llm.injection_views import cut_windows

WORDS = "injection_notions.txt"
N_NOTIONS, LEAST_NOTIONS = 32, 4
_CHARACTERS, _DENSE_CHARACTERS = 160, 48
_DENSE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_NOT_READ = ("leet", "reversed", "rot13")
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
class NotionDetector:
    """A logistic regression on the notions of a passage.

    Attributes
    ----------
    weights
        Weight of each pair of notions and, on the diagonal, of each notion; float32, zero below.
    bias
        Logit without any notion.
    threshold
        Score above which an event holds an injection: the largest logit of its passages, less the
        logarithm of their number.
    """

    weights: npt.NDArray[np.float32]
    bias: float
    threshold: float

    def find(self, views: list[tuple[str, str]]) -> tuple[str, str] | None:
        """Return the view and the passage of the largest score; None below the threshold."""
        passages, size = list_passages(views)
        if not passages:
            return None
        logits = [self.score(passage.notions) for passage in passages]
        best = int(np.argmax(logits))
        if logits[best] - math.log(size) <= self.threshold:
            return None
        return passages[best].view, passages[best].text

    def score(self, notions: list[int]) -> float:
        """Return the logit of notions in ascending order."""
        return self.bias + float(self.weights[np.ix_(notions, notions)].sum())


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a view, with its notions in ascending order."""

    view: str
    text: str
    notions: list[int]


def list_passages(views: list[tuple[str, str]]) -> tuple[list[Passage], int]:
    """Return the passages of an event that hold enough notions, and the number of all passages."""
    names = {name for name, _ in views}
    found, size = [], 0
    for name, view in views:
        # The words of the plain views stand in the spaced one too.
        if name in _NOT_READ or (name in ("", "escaped") and "spaced" in names):
            continue
        for text in _cut_passages(view):
            size += 1
            if len(notions := find_notions(text)) >= LEAST_NOTIONS:
                found.append(Passage(name, text, notions))
    return found, size


def _cut_passages(view: str) -> Iterator[str]:
    """Yield passages of a sentence or two, which take fewer characters in some scripts."""
    for passage in cut_windows(view, _CHARACTERS):
        if 4 * len(_DENSE.findall(passage)) < len(passage):
            yield passage
        else:
            yield from cut_windows(passage, _DENSE_CHARACTERS)


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
