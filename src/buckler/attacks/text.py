"""Changes that hardly hurt the reader's eye: letters that look alike, slips, spaces."""

import re
from collections.abc import Callable

from buckler.attacks.attack import Scene, attack

WORD = re.compile(r"[A-Za-z]{3,}")
_HOMOGLYPHS = {"a": "а", "e": "е", "o": "о", "p": "р", "c": "с", "x": "х", "i": "і"}  # noqa: RUF001
_INVISIBLE = "​‌‍⁠­"
_MAX_CHANGES = 2000


def within_words(text: str, scene: Scene, change: Callable[[str], str], share: float) -> str:
    """Change a share of the words."""
    return WORD.sub(lambda m: change(m[0]) if scene.chance(share) else m[0], text)


def insert(word: str, what: str, scene: Scene) -> str:
    """Put something inside a word."""
    at = 1 + scene.below(max(1, len(word) - 1))
    return word[:at] + what + word[at:]


@attack("homoglyphs", "command-line", "text")
def homoglyphs(text: str, scene: Scene) -> str:
    """A letter or two that only look like the ones that one knows."""
    places = [i for i, c in enumerate(text) if c in _HOMOGLYPHS]
    for place in scene.rng.permutation(places)[:2].tolist() if places else ():
        text = text[:place] + _HOMOGLYPHS[text[place]] + text[place + 1 :]
    return text


def many_homoglyphs(text: str, scene: Scene) -> str:
    """Look-alike letters in three words of ten."""

    def swap(word: str) -> str:
        return "".join(_HOMOGLYPHS.get(c, c) for c in word)

    return within_words(text, scene, swap, 0.3)


@attack("invisible", "command-line", "text")
def invisible(text: str, scene: Scene) -> str:
    """Characters without width inside words."""
    return within_words(text, scene, lambda w: insert(w, scene.one_of(_INVISIBLE), scene), 0.5)


@attack("wide-spaces", "command-line", "text")
def wide_spaces(text: str, scene: Scene) -> str:
    """Several spaces, or tabs, where one would do."""
    return re.sub(" ", lambda _: scene.one_of([" ", "  ", "    ", "\t"]), text)


@attack("typing-errors", "text")
def typing_errors(text: str, scene: Scene) -> str:
    """Letters swapped or left out, as people do in haste."""

    def slip(word: str) -> str:
        at = 1 + scene.below(len(word) - 1)
        if scene.chance(0.5):
            return word[:at] + word[at + 1 :]
        return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]

    return within_words(text, scene, slip, 0.04)
