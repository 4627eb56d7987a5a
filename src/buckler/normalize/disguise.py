"""Look-alike letters and invisible characters: replaced, removed and counted."""

import re

from buckler._kernel import may_hide

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e007f]"
)
# Greek and Cyrillic letters that look like Latin ones.
_LOOKALIKES = str.maketrans(
    "АВЕЗІЈКМНОРЅСТУХЬавеѕіјкмнорстухҺһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧαεικνορτυχ",
    "ABE3IJKMHOPSCTYXbabesijkmhopctyxHhdqwABEZHIKMNOPTYXaeikvoptux",
)
_RUN = re.compile(r"[\wͰ-ԯ]+")
_LATIN, _FOREIGN = re.compile(r"[A-Za-z]"), re.compile(r"[Ͱ-ԯ]")
_MIXED = re.compile(r"\w*(?:[A-Za-z]\w*[Ͱ-ӿԀ-ԯ]|[Ͱ-ӿԀ-ԯ]\w*[A-Za-z])\w*")


def undisguise(text: str) -> tuple[str, int, int]:
    """Return the text without disguise, and the numbers of invisible characters and mixed words.

    Only words that mix Latin with Greek or Cyrillic letters are changed.
    """
    if text.isascii() or not may_hide(text):
        return text, 0, 0
    text, unseen = _INVISIBLE.subn("", text)
    if not _FOREIGN.search(text):
        return text, unseen, 0
    mixed = 0

    def latin(match: re.Match[str]) -> str:
        nonlocal mixed
        mixed += 1
        return match[0].translate(_LOOKALIKES)

    def undo(run: re.Match[str]) -> str:
        word = run[0]
        if word.isascii() or not _LATIN.search(word) or not _FOREIGN.search(word):
            return word  # the pattern below would take cubic time to find that out
        return _MIXED.sub(latin, word)

    words = [
        _RUN.sub(undo, word) if not word.isascii() and len(word) < 200 else word
        for word in re.split(r"(\s+)", text)
    ]
    return "".join(words), unseen, mixed
