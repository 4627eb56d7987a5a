"""Views of a text in which an injection may hide: without disguise, decoded, and cut to windows."""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from html import unescape
from itertools import islice
from urllib.parse import unquote

MAX_CHARACTERS = 20_000
WINDOW_CHARACTERS = 96
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
    text = text[:MAX_CHARACTERS]
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
    words = _SPACE.sub(" ", _CAMEL.sub(" ", _SEPARATORS.sub(" ", decoded)))
    if words != decoded:
        yield "spaced", words
    leet = _WORD.sub(_read_leet, words)
    if leet != words:
        yield "leet", leet
    yield "reversed", decoded[::-1]
    yield "rot13", codecs.encode(decoded, "rot13")
    for match in islice(_BASE64.finditer(raw), _MAX_ENCODED):
        yield from _decode("base64", match[0])
    for match in islice(_HEX.finditer(raw), _MAX_ENCODED):
        yield from _decode("hexadecimal", re.sub(r"[\s:,]", "", match[0]))


def cut_windows(view: str, size: int = WINDOW_CHARACTERS) -> Iterator[str]:
    """Yield overlapping windows of a view, so that a short passage lies whole in one of them.

    A passage that is repeated more than twice, such as a line of dashes, counts twice.
    """
    view = _REPEATED.sub(r"\1\1", _SPACE.sub(" ", view)).strip()
    step = size // 2
    for start in range(0, max(len(view) - step, 1), step):
        yield view[start : start + size]


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
