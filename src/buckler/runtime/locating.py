"""Finds pieces of a normalized text in the event as it was given."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

_MAX_CHARACTERS = 1 << 16
_MAX_WORDS = 24
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_PUNYCODE = re.compile(r"xn--[a-z0-9-]{1,59}", re.I)
_ENCODED = re.compile(r"[a-z0-9+/]{16,}={0,2}|(?:[0-9a-f]{2}[\s,]?){16,}", re.I)
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-f:]*:[0-9a-f:]+", re.I)
_PLACEHOLDERS = {
    "guid": re.compile(r"\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?", re.I),
    "sid": re.compile(r"s-1-[0-9-]{3,80}", re.I),
    "number": re.compile(r"[0-9]{5,64}"),
    "random": re.compile(r"[a-z0-9]{6,64}", re.I),
    "user": re.compile(r"(?<=\\users\\)[^\\/\"']{1,64}|(?<=/home/)[^/\s\"']{1,64}", re.I),
    **dict.fromkeys(("ip", "lan", "loopback", "any"), _ADDRESS),
}
_DROPPED_IN_COMMANDS = frozenset("\"'`^")
_BREAK = r"(?:\s|=\r?\n){1,16}"
_SCHEME = re.compile(r"\s*[a-z][a-z0-9+.-]{0,15}:[/\\]{1,8}", re.I)


@dataclass(frozen=True)
class _FoldedText:
    """Text in lower case without escapes, and for each character its place in the event."""

    text: str
    starts: list[int]
    ends: list[int]


class Event:
    """An event as it was given, in which pieces are found.

    Parameters
    ----------
    text
        Event, with `0x1F` between its fields.
    medium
        ``url`` and ``command`` undo what their normalizers undo; empty for others.

    Attributes
    ----------
    text
        Event as text.
    """

    def __init__(self, text: str | bytes, medium: str) -> None:
        whole = text if isinstance(text, str) else text.decode("utf-8", "replace")
        self.text, self._medium = whole, medium
        self._folded = _fold(whole[:_MAX_CHARACTERS], medium)
        self._cursor = 0
        if medium == "url" and (scheme := _SCHEME.match(self._folded.text)) is not None:
            self._cursor = scheme.end()

    def find(self, piece: str, field: int | None = None) -> tuple[int, int] | None:
        """Return where a word stands; the search begins behind the word that was found last.

        `field` is the number of the event's field; None for all of them.
        """
        first, last = self._bounds(field)
        piece = piece.lower()
        for word in dict.fromkeys((piece, piece.strip("./-_%$"))):
            for start in (max(first, self._cursor), first) if word else ():
                place = _find_word(self._folded.text, word, start, last)
                if place is not None:
                    self._cursor = place[1]
                    return self._given(*place)
        return None

    def find_placeholder(self, name: str, field: int) -> tuple[int, int] | None:
        """Return where the text of a placeholder such as ``<base64>`` or ``<ip>`` stands."""
        pattern = _PLACEHOLDERS.get(name, _ENCODED)
        first, last = self._bounds(field)
        for start in (max(first, self._cursor), first):
            found = pattern.search(self._folded.text, start, last)
            if found is not None:
                self._cursor = found.end()
                return self._given(*found.span())
        return None

    def find_prose(self, piece: str) -> tuple[int, int] | None:
        """Return where a sentence stands, whatever breaks its lines."""
        words = piece.lower().split()[:_MAX_WORDS]
        if not words:
            return None
        found = re.search(_BREAK.join(map(re.escape, words)), self._folded.text)
        return None if found is None else self._given(*found.span())

    def find_encoded(self) -> tuple[int, int] | None:
        """Return where the longest run of encoded text stands."""
        runs = list(_ENCODED.finditer(self.text[:_MAX_CHARACTERS]))
        return max(runs, key=lambda run: len(run[0])).span() if runs else None

    def field(self, number: int) -> tuple[int, int] | None:
        """Return where a field of the event stands; None where it is empty or missing."""
        start = 0
        for index, part in enumerate(self.text.split("\x1f")):
            if index == number:
                return (start, start + len(part)) if part else None
            start += len(part) + 1
        return None

    def _bounds(self, field: int | None) -> tuple[int, int]:
        """Return the first and last character of a field in the folded text."""
        start = 0
        for index, part in enumerate(self._folded.text.split("\x1f")):
            if field is None:
                return 0, len(self._folded.text)
            if index == field:
                return start, start + len(part)
            start += len(part) + 1
        return start, start

    def _given(self, start: int, end: int) -> tuple[int, int]:
        return self._folded.starts[start], self._folded.ends[end - 1]


def _find_word(text: str, word: str, start: int, stop: int) -> tuple[int, int] | None:
    """Return where a word stands alone; else where it first stands at all."""
    anywhere = None
    at = text.find(word, start, stop)
    while at >= 0:
        end = at + len(word)
        before = at == 0 or not (text[at - 1].isalnum() and word[0].isalnum())
        behind = end == len(text) or not (text[end].isalnum() and word[-1].isalnum())
        if before and behind:
            return at, end
        anywhere = anywhere or (at, end)
        at = text.find(word, end, stop)
    return anywhere


def _fold(text: str, medium: str) -> _FoldedText:
    if medium == "" and text.isascii():
        places = list(range(len(text) + 1))
        return _FoldedText(text.lower(), places[:-1], places[1:])
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []

    def add(folded: str, start: int, end: int) -> None:
        parts.append(folded)
        starts.extend([start] * len(folded))
        ends.extend([end] * len(folded))

    at = 0
    while at < len(text):
        if medium == "url" and (escaped := _ESCAPES.match(text, at)) is not None:
            _add_escapes(escaped[0], at, add)
            at = escaped.end()
            continue
        if medium == "url" and (label := _PUNYCODE.match(text, at)) is not None:
            add(_decode_label(label[0]), at, label.end())
            at = label.end()
            continue
        character = text[at]
        if not (medium == "command" and character in _DROPPED_IN_COMMANDS):
            is_ascii = character.isascii()
            add(
                character.lower()
                if is_ascii
                else unicodedata.normalize("NFKC", character.lower()).lower(),
                at,
                at + 1,
            )
        at += 1
    return _FoldedText("".join(parts), starts, ends)


def _add_escapes(run: str, start: int, add: Callable[[str, int, int], None]) -> None:
    """Add the characters of percent-encoded bytes; each stands where its bytes do."""
    data = bytes.fromhex(run.replace("%", ""))
    at = start
    for character in data.decode("utf-8", "replace"):
        size = 3 * len(character.encode()) if character != "\ufffd" else 3
        add(character.lower(), at, min(at + size, start + len(run)))
        at += size


def _decode_label(label: str) -> str:
    try:
        return label[4:].encode("ascii").decode("punycode").lower()
    except (UnicodeError, ValueError, OverflowError):
        return label.lower()
