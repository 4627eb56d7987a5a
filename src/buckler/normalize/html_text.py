"""Visible text and links of HTML by regular expressions, in linear time (email-v1, synthesis).

The output feeds n-grams, so a parser is not needed. The work for each byte is constant, whatever
an attacker nests, leaves open or repeats.
"""

import html
import re

# Classes exclude '<', so a scan that fails stops at the next tag: no quadratic time.
_TAG = re.compile(r"<[/!?a-zA-Z][^<>]*>")
_LINK = re.compile(r"""\b(?:href|src|action)\s{0,8}=\s{0,8}["']?([^\s"'<>]{1,2048})""", re.I)
_HIDDEN = [
    (re.compile("<!--"), re.compile("-->")),
    *(
        (re.compile(rf"<{tag}(?=[\s/>])", re.I), re.compile(rf"</{tag}(?=[\s>])[^<>]*>?", re.I))
        for tag in ("script", "style", "head")
    ),
]


def visible_text(source: str) -> str:
    """Return the text outside tags, scripts, styles and comments, entities decoded."""
    for opening, closing in _HIDDEN:
        source = _cut_between(source, opening, closing)
    return html.unescape(_TAG.sub(" ", source))


def links(source: str, limit: int) -> list[str]:
    """Return the targets of links, images and forms, entities decoded, at most `limit`."""
    found = []
    for match in _LINK.finditer(source):
        found.append(html.unescape(match.group(1)))
        if len(found) == limit:
            break
    return found


def _cut_between(source: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    """Remove the text between two marks; text after a mark that is never closed stays."""
    kept: list[str] = []
    position = 0
    while start := opening.search(source, position):
        end = closing.search(source, start.end())
        if end is None:
            break
        kept.append(source[position : start.start()])
        position = end.end()
    kept.append(source[position:])
    return " ".join(kept)
