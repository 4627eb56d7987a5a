"""Scans the HTML of a mail once: visible text, hidden text, and the targets of links.

The scanner builds no tree. The work for each byte is constant, whatever an attacker nests, leaves
open or repeats, and the scanner needs only the standard library.
"""

import html
import re
from dataclasses import dataclass, field

MAX_LINKS = 64
MAX_ANCHOR = 200
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,20})([^<>]*)>|<!--|<[!?][^<>]*>")
_URL = r"""\s{0,8}=\s{0,8}["']?\s{0,8}([^\s"'<>]{1,2048})"""
_HREF = re.compile(r"\bhref" + _URL, re.I)
_ACTION = re.compile(r"\baction" + _URL, re.I)
_SRC = re.compile(r"\bsrc" + _URL, re.I)
_HIDING = re.compile(
    r"display\s{0,4}:\s{0,4}none|visibility\s{0,4}:\s{0,4}hidden|mso-hide\s{0,4}:\s{0,4}all"
    r"|font-size\s{0,4}:\s{0,4}0(?:px|pt|em|%)?\s{0,4}(?:[;\"'!]|$)"
    r"|opacity\s{0,4}:\s{0,4}0\s{0,4}(?:[;\"'!]|$)|max-height\s{0,4}:\s{0,4}0(?:px)?\s{0,4}(?:[;\"'!]|$)"
    r"|(?:^|\s)hidden(?:\s|=|/|$)",
    re.I,
)
_RAW = {
    name: re.compile(rf"</{name}(?=[\s>/])[^<>]*>?", re.I)
    for name in ("script", "style", "title", "head", "template", "noscript")
}
_VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta"))
_ENDS_ITSELF = frozenset(("p", "li", "td", "th", "tr", "option", "dd", "dt"))


@dataclass
class HtmlScan:
    """Result of `scan_html`.

    Attributes
    ----------
    text, hidden
        Visible text, and text that styles hide; entities decoded.
    links
        Target and visible text of each link.
    actions
        Targets of forms.
    images
        Number of images.
    """

    text: str = ""
    hidden: str = ""
    links: list[tuple[str, str]] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    images: int = 0


def scan_html(source: str) -> HtmlScan:
    """Scan HTML source; never raises."""
    scan = HtmlScan()
    seen: list[str] = []
    hidden: list[str] = []
    hiding, depth = "", 0  # the hiding element, and its open elements of the same name
    target, anchor = "", 0  # the open link, and the start of its text
    endless: set[str] = set()  # tags that are never closed: searched once, to stay linear
    position = 0
    while match := _TAG.search(source, position):
        (hidden if hiding else seen).append(source[position : match.start()])
        position = match.end()
        if match[0] == "<!--":
            end = -1 if "!" in endless else source.find("-->", position)
            if end < 0:
                endless.add("!")
            position = end + 3 if end >= 0 else position
            continue
        name = (match[2] or "").lower()
        if not name:
            continue
        closing, attributes = bool(match[1]), match[3] or ""
        if hiding == name:
            depth += -1 if closing else 0 if name in _ENDS_ITSELF else 1
            if depth == 0 or (name in _ENDS_ITSELF and not closing):
                hiding = ""
        if name == "a" and target:
            text = " ".join(seen[anchor:])[:MAX_ANCHOR]
            scan.links.append((target, " ".join(html.unescape(text).split())))
            target = ""
        if closing:
            seen.append(" ")
            continue
        if name in _RAW:
            end_of = None if name in endless else _RAW[name].search(source, position)
            if end_of is None:
                endless.add(name)
            position = end_of.end() if end_of is not None else position
            continue
        if not hiding and name not in _VOID and _HIDING.search(attributes):
            hiding, depth = name, 1
        if name in ("a", "area") and len(scan.links) < MAX_LINKS and not hiding:
            href = _HREF.search(attributes)
            if href is not None:
                target, anchor = html.unescape(href[1]), len(seen)
        elif name == "form" and len(scan.actions) < MAX_LINKS:
            action = _ACTION.search(attributes)
            if action is not None:
                scan.actions.append(html.unescape(action[1]))
        elif name == "img":
            scan.images += 1 if _SRC.search(attributes) else 0
        if not hiding:
            seen.append(" ")
    (hidden if hiding else seen).append(source[position:])
    if target:
        scan.links.append((target, ""))
    scan.text = html.unescape("".join(seen))
    scan.hidden = html.unescape(" ".join(hidden))
    return scan
