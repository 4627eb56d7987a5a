"""Writes url_words.h: imitated brands and luring words, indexed by their first two letters."""

from collections.abc import Iterable
from pathlib import Path

from buckler.normalize.brands import BRANDS, LURES


def table(name: str, words: Iterable[str]) -> str:
    """Return C arrays of words and lengths, and the start of each pair of letters."""
    words = sorted(words)
    pairs = [chr(97 + a) + chr(97 + b) for a in range(26) for b in range(26)]
    starts = [sum(word[:2] < pair for word in words) for pair in pairs] + [len(words)]
    lengths = ", ".join(str(len(word)) for word in words)
    quoted = ", ".join(f'"{word}"' for word in words)
    return (
        f"static const char *const {name}[] = {{{_wrap(quoted)}}};\n"
        f"static const uint8_t {name}_lengths[] = {{{_wrap(lengths)}}};\n"
        f"static const uint8_t {name}_by_pair[] = {{{_wrap(', '.join(map(str, starts)))}}};\n"
    )


def by_length(words: Iterable[str]) -> str:
    """Return C arrays of the brands in order of length, and the start of each length."""
    words = sorted(words)
    order = sorted(range(len(words)), key=lambda i: len(words[i]))
    longest = max(map(len, words))
    starts = [sum(len(word) < n for word in words) for n in range(longest + 2)]
    return (
        f"static const uint8_t brands_ordered[] = {{{_wrap(', '.join(map(str, order)))}}};\n"
        f"static const uint8_t brands_by_length[] = {{{_wrap(', '.join(map(str, starts)))}}};\n"
        f"enum {{ LONGEST_BRAND = {longest} }};\n"
    )


def _wrap(text: str) -> str:
    lines, line = [], ""
    for item in text.split(", "):
        if len(line) + len(item) > 92:
            lines.append(line)
            line = ""
        line += item + ", "
    return "\n    " + "\n    ".join([*lines, line]) + "\n"


if __name__ == "__main__":
    head = "/* Written by make_url_words.py: do not edit. */\n"
    text = head + table("brands", BRANDS) + table("lures", LURES) + by_length(BRANDS)
    (Path(__file__).parent / "url_words.h").write_text(text, encoding="utf-8")
