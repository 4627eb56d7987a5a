"""Views of a text in which an injection may hide, and the segments of them that are judged.

A view is the text without disguise, or decoded. A segment is a sentence of a view, since an
injection is at least one, or a window of a long text without the ends of sentences.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import islice
from urllib.parse import unquote

from buckler.teachers.llm.injection_notions import find_notions

MAX_CHARACTERS = 20_000
WINDOW_CHARACTERS, DENSE_CHARACTERS = 120, 48  # of a long sentence; of one in Chinese, for example
_LONGEST_SENTENCE, _SHORTEST_SENTENCE = 1.25, 40  # windows; characters that stand alone
_MAX_ENCODED = 16

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,4000}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[\s:,]?){12,2000}")
_ESCAPE = re.compile(r"\\(?:u\{?([0-9a-fA-F]{4,5})\}?|x([0-9a-fA-F]{2}))")
_TERMINAL = re.compile(r"\x1b\[[0-9;]{0,16}[A-Za-z]")
_SEPARATORS = re.compile(r"[+_\-./=,*~^`#|]+")
_APART = re.compile(r"(?<!\w)(?:[^\W_][ .\-_*|]){3,200}[^\W_](?!\w)")
_APART_MARK = re.compile(r"[ .\-_*|]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_REPEATED = re.compile(r"(\S{1,12}? ?)\1{2,}")
_SENTENCE_END = re.compile(r"(?<=[.!?])[ ]+|\n+|(?<=[。।])")
_DENSE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# Views for the patterns alone: each segment is also read spaced and without leet, and the other
# two make any text strange.
_NOT_CUT = ("spaced", "leet", "reversed", "rot13")
_SPACE = re.compile(r"[ \t\r\f\v\n]+")
_WORD = re.compile(r"[\w@$!|]+")
_DIGIT_IN_WORD = re.compile(r"[a-z][013457@$!8|]|[013457@$!8|][a-z]", re.IGNORECASE)
_LEET = str.maketrans("01345789@$!|", "oieastbgasil")
_CONFUSABLE = str.maketrans(
    "асеорхуіјѕԁһѵΑΒΕΖΗΙΚΜΝΟΡΤΥΧανοτικρАВЕКМНОРСТХ",
    "aceopxyijsdhvABEZHIKMNOPTYXavotikpABEKMHOPCTX",
)


def list_views(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each view; the plain one is first and has no name.

    A view has one space between words, no invisible characters, and letters in their plain form.
    """
    if len(text) > MAX_CHARACTERS:  # a model sees the two ends of a long event
        text = text[: 2 * MAX_CHARACTERS // 3] + "\n" + text[-MAX_CHARACTERS // 3 :]
    plain = simplify(text)
    yield "", plain
    raw = _unescape(text)
    decoded = simplify(raw)
    if decoded != plain:
        yield "escaped", decoded
    if not raw.isascii():
        tags = "".join(chr(ord(c) - 0xE0000) for c in raw if "\U000e0020" <= c <= "\U000e007e")
        if tags:
            yield "tag characters", tags
        if (folded := decoded.translate(_CONFUSABLE)) != decoded:
            yield "look-alike letters", folded
    joined = simplify(_APART.sub(lambda run: _APART_MARK.sub("", run[0]), raw))
    if joined != decoded:
        yield "letters apart", joined
    if (words := _space_out(decoded)) != decoded:
        yield "spaced", words
    if (leet := _WORD.sub(_read_leet, words)) != words:
        yield "leet", leet
    yield "reversed", decoded[::-1]
    yield "rot13", codecs.encode(decoded, "rot13")
    for match in islice(_BASE64.finditer(raw), _MAX_ENCODED):
        yield from _decode("base64", match[0])
    for match in islice(_HEX.finditer(raw), _MAX_ENCODED):
        yield from _decode("hexadecimal", re.sub(r"[\s:,]", "", match[0]))


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence of a view, or a window of a long one.

    Attributes
    ----------
    view, text
        Name of the view, and the passage as it stands there.
    readings
        The passage as it is, with spaces between the parts of compound words, and without leet.
    notions
        Notions in the passage, in ascending order.
    """

    view: str
    text: str
    readings: tuple[str, ...]
    notions: tuple[int, ...]


def list_segments(views: list[tuple[str, str]]) -> list[Segment]:
    """Return the segments of an event; what stands in several views is one of them."""
    is_decoded = any(name == "escaped" for name, _ in views)
    found: dict[str, Segment] = {}
    for name, view in views:
        if name in _NOT_CUT or (not name and is_decoded):
            continue
        for text in cut_sentences(view):
            spaced = _space_out(text).strip()
            if spaced not in found:
                readings = dict.fromkeys((text, spaced, _WORD.sub(_read_leet, spaced)))
                notions = tuple(find_notions(spaced))
                found[spaced] = Segment(name, text, tuple(readings), notions)
    return list(found.values())


def cut_sentences(view: str) -> Iterator[str]:
    """Yield the sentences of a view; overlapping windows of long ones.

    Short sentences in a row go together. A passage that is repeated more than twice, such
    as a line of dashes, counts twice.
    """
    view = _REPEATED.sub(r"\1\1", view)
    group = ""
    for piece in (raw.strip() for raw in _SENTENCE_END.split(view)):
        if len(piece) < _SHORTEST_SENTENCE:
            group = f"{group} {piece}".strip()
        elif group:
            yield group
            group = ""
        if len(piece) >= _SHORTEST_SENTENCE:
            yield from _cut_windows(piece)
        elif len(group) >= _SHORTEST_SENTENCE:
            yield group
            group = ""
    if group:
        yield group


def _cut_windows(sentence: str) -> Iterator[str]:
    is_dense = 4 * len(_DENSE.findall(sentence)) >= len(sentence)
    size = DENSE_CHARACTERS if is_dense else WINDOW_CHARACTERS
    if len(sentence) <= _LONGEST_SENTENCE * size:
        yield sentence
    else:
        step = size // 2
        for start in range(0, max(len(sentence) - step, 1), step):
            yield sentence[start : start + size]


def _space_out(text: str) -> str:
    """Return a text with spaces in place of marks, and between the parts of compound words."""
    return _SPACE.sub(" ", _CAMEL.sub(" ", _SEPARATORS.sub(" ", text)))


def simplify(text: str) -> str:
    """Return a text without terminal codes and invisible characters, in compatible letters."""
    text = _TERMINAL.sub("", text)
    if not text.isascii():
        text = "".join(
            c
            for c in unicodedata.normalize("NFKC", text)
            if unicodedata.category(c) not in ("Cf", "Mn") or "\u0900" <= c <= "\u0eff"
        )
    return re.sub(r"[ \t\r\f\v]+", " ", text)


def _unescape(text: str) -> str:
    """Undo percent, entity and backslash escapes, twice."""
    for _ in range(2):
        if "%" in text:
            text = unquote(text)
        if "&" in text:
            text = unescape(text)
        if "\\" in text:
            text = _ESCAPE.sub(_read_escape, text)
    return text


def _read_escape(escape: re.Match[str]) -> str:
    code = int(escape[1] or escape[2], 16)
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


def _read_leet(word: re.Match[str]) -> str:
    return word[0].translate(_LEET) if _DIGIT_IN_WORD.search(word[0]) else word[0]


def _decode(kind: str, run: str) -> Iterator[tuple[str, str]]:
    try:
        if kind == "hexadecimal":
            raw = bytes.fromhex(run)
        else:
            body = run.rstrip("=").replace("+", "-").replace("/", "_")
            raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (ValueError, binascii.Error):
        return
    for encoding in ("utf-8", "utf-16-le"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.isprintable() or "\n" in text:
            yield kind, simplify(text)
