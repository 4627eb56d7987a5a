"""Untrusted text on a page: escaped, with every invisible character shown as its code point."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from buckler.runtime.verdicts import Contribution

MAX_SHOWN = 20_000
# Control and format characters (bidi among them), private use, line separators, lone surrogates,
# and characters that draw nothing.
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
_KEPT = frozenset("\n\t")
_STACKED = re.compile(r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{3,})")
_LEVELS = 4


@dataclass(frozen=True)
class Span:
    """A run of the normalized text.

    Attributes
    ----------
    text
        Escaped text.
    level
        -4 to 4: strength of the contribution against or for the class.
    """

    text: Markup
    level: int


def visible(text: str, limit: int = MAX_SHOWN) -> Markup:
    """Escape text for a page, with characters that hide or move text as their code points."""
    shown: list[str] = []
    plain: list[str] = []

    def flush() -> None:
        shown.append(str(escape("".join(plain))))
        plain.clear()

    text = text.replace("\r\n", "\n")
    stacked = {i for m in _STACKED.finditer(text[:limit]) for i in range(m.start(1), m.end(1))}
    for at, character in enumerate(text[:limit]):
        hidden = unicodedata.category(character) in _HIDDEN or character in _BLANK
        if (hidden and character not in _KEPT) or at in stacked:
            flush()
            shown.append(f'<span class="code">U+{ord(character):04X}</span>')
        else:
            plain.append(character)
    flush()
    if len(text) > limit:
        rest = f"… {len(text) - limit:,} more characters"
        shown.append(f'<span class="code">{rest}</span>')
    return Markup("".join(shown))  # noqa: S704 - every part is escaped above


def highlight(normalized: bytes, contributions: Sequence[Contribution]) -> list[Span]:
    """Cut a normalized text into spans, each with the strength of its contribution."""
    data = normalized[:MAX_SHOWN]
    weight = [0.0] * len(data)
    for part in contributions:
        start, end = max(0, part.start), min(len(data), part.end)
        for at in range(start, end):
            weight[at] += part.weight / max(1, end - start)
    top = max((abs(w) for w in weight), default=0.0)
    if top <= 0:
        return [Span(_escape(data), 0)]
    spans: list[Span] = []
    start = 0
    levels = [round(_LEVELS * w / top) for w in weight]
    for at in range(1, len(data) + 1):
        inside = at < len(data) and (levels[at] == levels[start] or data[at] & 0xC0 == 0x80)
        if not inside:
            spans.append(Span(_escape(data[start:at]), levels[start]))
            start = at
    return spans


def _escape(data: bytes) -> Markup:
    text = data.decode("utf-8", "replace").replace("\x1f", " ¦ ").replace("\x1e", "")
    return visible(text)
