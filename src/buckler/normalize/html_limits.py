"""Limits HTML before a parser reads it: cuts it where tags nest too deep or have too many
attributes.

The time and memory of parsers grow with the square of both: one megabyte blocks a parser for
minutes. The cut page parses like the beginning of the whole page.
"""

import re

MAX_OPEN = 512  # elements that are open at once
MAX_ATTRIBUTES = 256  # of a tag
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,20})[^\s/>]*|<!--")
_ATTRIBUTE = re.compile(
    r"[\s/]*+(?:([^\s/>=][^\s/>=]*+)(?:\s*+=\s*+(?:\"[^\"]*+(\")|'[^']*+(')|[^\s>\"'][^\s>]*+)?)?)?+"
)
_RAW = {
    name: re.compile(rf"</{name}(?=[\s>/])", re.IGNORECASE)
    for name in ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
}
# Elements that close implicitly, and void elements, do not nest.
_FLAT = frozenset(
    (
        *("area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link"),
        *("meta", "option", "p", "param", "source", "td", "th", "tr", "track", "wbr", "html"),
        *("head", "body", "thead", "tbody", "tfoot"),
    )
)


def limit_html(source: str) -> str:
    """Return the page, or its beginning up to the tag that exceeds a limit."""
    open_tags: dict[str, int] = {}
    total = 0
    position = 0
    while match := _TAG.search(source, position):
        position = match.end()
        if match[2] is None:  # a comment
            end = source.find("-->", position)
            if end < 0:
                return source
            position = end + 3
            continue
        name = match[2].lower()
        if match[1]:
            if open_tags.get(name, 0):
                open_tags[name] -= 1
                total -= 1
            continue
        position = _end_of_tag(source, position)
        if position < 0:
            return source[: match.start()]
        raw = _RAW.get(name)
        if raw is not None:
            closing = raw.search(source, position)
            if closing is None:
                return source
            position = closing.start()
        if name not in _FLAT:
            open_tags[name] = open_tags.get(name, 0) + 1
            total += 1
            if total > MAX_OPEN:
                return source[: match.start()]
    return source


def _end_of_tag(source: str, position: int) -> int:
    """Return the end of a tag; -1 if it never ends, or has too many attributes."""
    for _ in range(MAX_ATTRIBUTES):
        match = _ATTRIBUTE.match(source, position)
        if match is None or match[1] is None:
            end = source.find(">", match.end() if match is not None else position)
            return end + 1 if end >= 0 else -1
        position = match.end()
    return -1
