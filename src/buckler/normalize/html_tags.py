"""Tags, references and raw text of HTML, as the HTML standard splits them."""

import html
import re
from html.entities import html5

# A tag is its slash, name, attributes and end: without its end it is none, and a page ends there.
MARKUP = re.compile(
    r"<(?:(/?)([a-zA-Z][^\s/>]*+)((?:[\s/]++|[^\s/>][^\s/>=]*+"
    r"(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'>][^\s>]*+|(?=>))|(?!\s*+=)))*+)(>?)|!--|[!?/])"
)
_ATTRIBUTE = re.compile(
    r"([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>][^\s>]*+)?))?+"
)
_UNQUOTED_END = re.compile(r"=\s*[^\s\"'>]+$")
_COMMENT_END = re.compile(r"--!?>")
_REFERENCE = re.compile(r"&(?:#[xX]?[0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]*+(?:;|(?!=)))")
_LONG_NUMBER = re.compile(r"&#(?:[xX][0-9a-fA-F]{7,}|[0-9]{8,});?")
_SCRIPT = re.compile(r"<!--|-->|<(/?)script(?=[\s/>])", re.I)
_RAW_END = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.I)
    for name in ("style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript")
}
RAW = frozenset((*_RAW_END, "script", "plaintext"))


def end_of_comment(source: str, position: int) -> int:
    """Return where a comment ends whose text begins here; -1 if it never does."""
    for empty in (">", "->"):
        if source.startswith(empty, position):
            return position + len(empty)
    end = _COMMENT_END.search(source, position)
    return end.end() if end is not None else -1


def end_of_raw_text(name: str, source: str, position: int) -> int:
    """Return where the raw text of an element ends; the end of the source if nothing ends it."""
    if name == "plaintext":
        return len(source)
    if name != "script":
        end = _RAW_END[name].search(source, position)
        return end.start() if end is not None else len(source)
    in_comment, inner = False, False  # a script in a comment of old may hold a script
    for mark in _SCRIPT.finditer(source, position):
        if mark[1] is None:
            in_comment = mark[0] == "<!--"
            inner = inner and in_comment
        elif not mark[1]:
            inner = in_comment
        elif inner:
            inner = False
        else:
            return mark.start()
    return len(source)


def is_self_closing(rest: str) -> bool:
    """Return True for ``<path d="x"/>``; the slash of ``<path d=x/>`` is part of the value."""
    return rest.endswith("/") and _UNQUOTED_END.search(rest) is None


def read_attributes(rest: str) -> dict[str, str]:
    """Return the attributes of a tag, in lower case and decoded; the first of a name counts."""
    found: dict[str, str] = {}
    for name, *values in _ATTRIBUTE.findall(rest):
        value = next(filter(None, values), "")
        found.setdefault(name.lower(), _unescape_attribute(value) if "&" in value else value)
    return found


def _unescape_attribute(value: str) -> str:
    """Decode references; ``?a=1&copy=2`` holds none, as in browsers."""

    def decode(match: re.Match[str]) -> str:
        return unescape(match[0]) if match[0][1] == "#" or match[0][1:] in html5 else match[0]

    return _REFERENCE.sub(decode, value)


def unescape(text: str) -> str:
    """Decode references; numbers beyond Unicode, of any length, become U+FFFD."""

    def shorten(match: re.Match[str]) -> str:
        digits = match[0].strip("&#xX;").lstrip("0")
        if len(digits) > 7:
            return "\ufffd"
        return f"&#{'x' if match[0][2] in 'xX' else ''}{digits or '0'};"

    return html.unescape(_LONG_NUMBER.sub(shorten, text))
