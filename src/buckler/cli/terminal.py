"""Text of events on a terminal: safe, and in color where there is one. Loads no library."""

import os
import sys
import unicodedata
from collections.abc import Sequence

_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
RED, CYAN = "1;31", "36"  # parameters of Select Graphic Rendition (ECMA-48)


def safe(text: str, limit: int = 200) -> str:
    """Return text from events so that it can neither move the cursor nor reorder a line."""
    shown = "".join(
        c if unicodedata.category(c) not in _HIDDEN else f"\\u{ord(c):04x}" for c in text[:limit]
    )
    return shown + ("…" if len(text) > limit else "")


def in_style(text: str, style: str) -> str:
    """Return text in a style, if the output is a terminal that shows it."""
    shows = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    if not (style and shows and os.environ.get("TERM") != "dumb"):
        return text
    return f"\x1b[{style}m{text}\x1b[0m"


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each row, with columns that begin at the same place."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(_width, column)) for column in columns]
    return [
        "".join(
            f"  {cell}{' ' * (width - _width(cell))}  "
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _width(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)
