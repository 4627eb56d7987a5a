"""Scans HTML once, as browsers read it: visible and hidden text, links, forms, resources.

The kernel keeps the stack of open elements, so that it knows what styles hide, but builds no tree:
each byte costs constant work, whatever an attacker nests, leaves open or repeats. Parsers that
build trees need time and memory that grow with the square of some pages.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from buckler import _kernel
from buckler.normalize.html_references import unescape, unescape_attribute

MAX_LINKS = 64
MAX_ANCHOR = 200
MAX_ELEMENTS = 2000  # of a kind
_IN_PYTHON = (unescape, unescape_attribute)


class Element(NamedTuple):
    """An element that a page is judged by.

    Attributes
    ----------
    name
        Name in lower case.
    attributes
        Those attributes that a page is judged by, decoded.
    shown
        False where styles hide it; a link is shown by a picture inside it.
    target
        Target of a link, form or resource, resolved by a ``base``; None where it has none.
    text
        Text of a link, button, title or inline script.
    """

    name: str
    attributes: dict[str, str]
    shown: bool
    target: str | None = None
    text: str = ""


@dataclass(frozen=True)
class HtmlScan:
    """Result of `scan_html`.

    Attributes
    ----------
    text, hidden
        Visible text, and text that styles hide.
    elements
        Elements that a page is judged by, in order.
    """

    text: str
    hidden: str
    elements: list[Element]

    @cached_property
    def links(self) -> list[tuple[str, str]]:
        """Target and visible text of each visible link."""
        links = [
            (e.target, " ".join(e.text[:MAX_ANCHOR].split()))
            for e in self.elements
            if e.name in ("a", "area") and e.shown and e.target is not None
        ]
        return links[:MAX_LINKS]

    @cached_property
    def actions(self) -> list[str]:
        """Targets of forms and of their buttons."""
        found = [e.target for e in self.elements if e.name in ("form", "button", "input")]
        return [target for target in found if target is not None][:MAX_LINKS]

    @cached_property
    def images(self) -> int:
        """Number of images."""
        return len([e for e in self.elements if e.name == "img" and e.target is not None])


def scan_html(source: str | bytes, *, runs_scripts: bool = False) -> HtmlScan:
    """Scan HTML source; never raises.

    Parameters
    ----------
    source
        Source of a page, or of the HTML part of a mail; bytes are UTF-8.
    runs_scripts
        True where the reader runs scripts: browsers do not show ``noscript``, mail clients do.
    """
    if isinstance(source, str):
        source = source.encode("utf-8", "surrogatepass")
    if b"\0" in source:
        source = source.replace(b"\0", b"")
    text, hidden, found = _kernel.scan_html(source, runs_scripts, _IN_PYTHON)
    return HtmlScan(text, hidden, list(map(Element._make, found)))
