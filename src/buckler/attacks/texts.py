"""Attacks on any text that a reader hardly notices: look-alike letters, typing errors, spaces."""

import re
from collections.abc import Callable

from buckler.attacks.attack import Attacker, attack

WORD = re.compile(r"[A-Za-z]{3,}")
TAGS = re.compile(r"(<[^<>]*>)")
_HOMOGLYPHS = {"a": "а", "e": "е", "o": "о", "p": "р", "c": "с", "x": "х", "i": "і"}  # noqa: RUF001
_INVISIBLE = "​‌‍⁠­"
_MAX_CHANGES = 2000


def within_words(text: str, attacker: Attacker, change: Callable[[str], str], share: float) -> str:
    """Change a share of the words."""
    return WORD.sub(lambda m: change(m[0]) if attacker.chance(share) else m[0], text)


def insert(word: str, what: str, attacker: Attacker) -> str:
    """Put something inside a word."""
    at = 1 + attacker.below(max(1, len(word) - 1))
    return word[:at] + what + word[at:]


def outside_tags(page: str, change: Callable[[str], str]) -> str:
    """Change the text between tags."""
    pieces = TAGS.split(page)
    pieces[::2] = [change(piece) for piece in pieces[::2]]
    return "".join(pieces)


@attack("homoglyphs", "command-line", "text")
def homoglyphs(text: str, attacker: Attacker) -> str:
    """One or two look-alike letters of another alphabet."""
    places = [i for i, c in enumerate(text) if c in _HOMOGLYPHS]
    for place in attacker.rng.permutation(places)[:2].tolist() if places else ():
        text = text[:place] + _HOMOGLYPHS[text[place]] + text[place + 1 :]
    return text


def many_homoglyphs(text: str, attacker: Attacker) -> str:
    """Look-alike letters in three words of ten."""

    def swap(word: str) -> str:
        return "".join(_HOMOGLYPHS.get(c, c) for c in word)

    return within_words(text, attacker, swap, 0.3)


@attack("invisible", "command-line", "text")
def invisible(text: str, attacker: Attacker) -> str:
    """Characters without width inside words."""
    return within_words(
        text, attacker, lambda w: insert(w, attacker.one_of(_INVISIBLE), attacker), 0.5
    )


@attack("wide-spaces", "command-line", "text")
def wide_spaces(text: str, attacker: Attacker) -> str:
    """Several spaces, or tabs, in place of one."""
    return re.sub(" ", lambda _: attacker.one_of([" ", "  ", "    ", "\t"]), text)


@attack("typing-errors", "text")
def typing_errors(text: str, attacker: Attacker) -> str:
    """Letters swapped or left out, as in haste."""

    def slip(word: str) -> str:
        at = 1 + attacker.below(len(word) - 1)
        if attacker.chance(0.5):
            return word[:at] + word[at + 1 :]
        return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]

    return within_words(text, attacker, slip, 0.04)
