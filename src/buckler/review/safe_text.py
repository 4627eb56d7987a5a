"""Untrusted text on a page: escaped, with every invisible character shown as its code point."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from buckler.runtime import Contribution
from buckler.runtime.explanation import mark_pieces

MAX_SHOWN = 20_000
# Control and format characters (bidi among them), private use, line separators, lone surrogates,
# and characters that draw nothing.
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
_KEPT = frozenset("\n\t")
_STACKED = re.compile(r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{3,})")


@dataclass(frozen=True)
class Span:
    """A run of a text.

    Attributes
    ----------
    text
        Escaped text.
    level
        -4 to 4: strength of the contribution against or for the class.
    strong
        True for the part to look at first, such as the host of a URL.
    """

    text: Markup
    level: int
    strong: bool = False


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


def highlight(
    text: str, contributions: Sequence[Contribution], strong: tuple[int, int] = (0, 0)
) -> list[Span]:
    """Cut a readable text into spans, each with the strength of its contribution.

    `strong` holds the two ends of the part to look at first.
    """
    spans, at = list[Span](), 0
    for run, level in mark_pieces(text, contributions, MAX_SHOWN):
        cuts = sorted({0, len(run), *(min(max(place - at, 0), len(run)) for place in strong)})
        for start, end in pairwise(cuts):
            inside = strong[0] <= at + start < strong[1]
            spans.append(Span(visible(run[start:end]), level, inside))
        at += len(run)
    if len(text) > MAX_SHOWN:
        spans.append(Span(visible(text[MAX_SHOWN:], 0), 0))
    return spans
