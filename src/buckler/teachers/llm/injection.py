"""Detects text in an event that addresses the model.

The detector knows common techniques in many languages and disguises; it proves nothing. Findings
are flagged in the label store. For what it misses, the injection test measures the teacher itself.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib.resources import as_file, files
from itertools import islice
from urllib.parse import unquote

from pydantic import BaseModel

from buckler.files import read_settings
from buckler.teachers.patterns import PatternSet

FLAG = "prompt-injection"
MAX_CHARACTERS = 20_000
_MAX_ENCODED = 16

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,4000}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){12,2000}")
_APART = re.compile(r"\b\w[.\-_*]\w[.\-_*]\w[.\-_*]\w\b")
_APART_MARK = re.compile(r"(?<=\b\w)[.\-_*](?=\w\b)")
_TERMINAL = re.compile(r"\x1b\[[0-9;]{0,16}[A-Za-z]")
_LEET = str.maketrans("01345789@$!|", "oieastbgasil")
_CONFUSABLE = str.maketrans(
    "асеорхуіјѕԁһѵΑΒΕΖΗΙΚΜΝΟΡΤΥΧανοτικρАВЕКМНОРСТХ",
    "aceopxyijsdhvABEZHIKMNOPTYXavotikpABEKMHOPCTX",
)


class _PatternFile(BaseModel):
    gap: str
    good: str
    techniques: dict[str, list[str]]


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Return technique and pattern, in the order of the file."""
    with as_file(files("buckler.teachers.llm") / "injection_patterns.toml") as path:
        file = read_settings(path, _PatternFile)
    return [
        (technique, re.compile(pattern, re.IGNORECASE | re.MULTILINE))
        for technique, patterns in file.techniques.items()
        for raw in patterns
        for pattern in [raw.replace("<gap>", file.gap).replace("<good>", file.good)]
    ]


def detect_injection(text: str) -> str | None:
    """Return the technique and the passage by which a text addresses the model; None if it does
    not.

    Parameters
    ----------
    text
        Event, searched as it is and without common disguises (percent and base64 encoding,
        hexadecimal, full width, look-alike letters, leet, spacing, reversal, ROT13).
    """
    automaton = _automaton()
    for name, view in _views(text[:MAX_CHARACTERS]):
        for number in automaton.match(view):
            technique, pattern = _patterns()[number]
            if match := pattern.search(view):
                how = f" ({name})" if name else ""
                return f"{technique}{how}: {match[0][:120]}"
    return None


@cache
def _automaton() -> PatternSet:
    patterns = ["(?m)" + pattern.pattern for _, pattern in _patterns()]
    return PatternSet(patterns, "detecting prompt injection", "llm", case_sensitive=False)


def _views(text: str) -> Iterator[tuple[str, str]]:
    plain = _simplify(text)
    yield "", plain
    decoded, raw = plain, text
    if "%" in text:
        raw = unquote(unquote(text))
        decoded = _simplify(raw)
        yield "percent-encoded", decoded
    if not raw.isascii():
        tags = "".join(chr(ord(c) - 0xE0000) for c in raw if "\U000e0020" <= c <= "\U000e007e")
        yield "tag characters", tags
        yield "look-alike letters", decoded.translate(_CONFUSABLE)
    words = re.sub(r"[+_\-./=,*~^`#]+", " ", decoded)
    if words != plain:
        yield "spaced", words
    if _APART.search(plain):
        yield "letters apart", _APART_MARK.sub("", decoded)
    if any(c in "013457@$" for c in decoded):
        yield "leet", words.translate(_LEET)
    yield "reversed", decoded[::-1]
    yield "rot13", codecs.encode(decoded, "rot13")
    for match in islice(_BASE64.finditer(unquote(text)), _MAX_ENCODED):
        yield from _decode("base64", match[0])
    for match in islice(_HEX.finditer(text), _MAX_ENCODED):
        yield from _decode("hexadecimal", match[0])


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
            yield kind, _simplify(text)


def _simplify(text: str) -> str:
    text = _TERMINAL.sub("", text)
    if text.isascii():
        return re.sub(r"[ \t\r\f\v]+", " ", text)
    visible = "".join(
        c
        for c in unicodedata.normalize("NFKC", text)
        if unicodedata.category(c) not in ("Cf", "Mn") or "\u0900" <= c <= "\u097f"
    )
    return re.sub(r"[ \t\r\f\v]+", " ", visible)
