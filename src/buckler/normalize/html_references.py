"""References of HTML: those that the kernel leaves to Python's tables."""

import html
import re
from functools import lru_cache
from html.entities import html5

_MAX_REMEMBERED = 40  # characters: senders must not choose how much memory it takes
_LONG_NUMBER = re.compile(r"&#(?:[xX][0-9a-fA-F]{7,}|[0-9]{8,});?")


def unescape_attribute(reference: str) -> str:
    """Decode a named reference of an attribute, which is none unless the whole name is known."""
    return unescape(reference) if reference[1:] in html5 else reference


def unescape(text: str) -> str:
    """Decode references; numbers beyond Unicode, of any length, become U+FFFD."""
    return _unescape_usual(text) if len(text) <= _MAX_REMEMBERED else _unescape(text)


def _unescape(text: str) -> str:
    def shorten(match: re.Match[str]) -> str:
        digits = match[0].strip("&#xX;").lstrip("0")
        if len(digits) > 7:
            return "\ufffd"
        return f"&#{'x' if match[0][2] in 'xX' else ''}{digits or '0'};"

    return html.unescape(_LONG_NUMBER.sub(shorten, text))


_unescape_usual = lru_cache(maxsize=4096)(_unescape)
