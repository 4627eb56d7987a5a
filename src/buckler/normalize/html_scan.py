"""Scans HTML once, as browsers read it: visible and hidden text, links, forms, resources.

The kernel keeps the stack of open elements, so that it knows what styles hide, but builds no tree:
each byte costs constant work, whatever an attacker nests, leaves open or repeats. Parsers that
build trees need time and memory that grow with the square of some pages.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from buckler import _kernel
from buckler.normalize.html_references import unescape, unescape_attribute
from buckler.normalize.html_styles import read_style
from buckler.normalize.sites import resolve_in_page

MAX_LINKS = 64
MAX_ANCHOR = 200
MAX_ELEMENTS = 2000  # of a kind
_IN_PYTHON = (read_style, unescape, unescape_attribute, resolve_in_page)


class Element(NamedTuple):
    """An element that a page is judged by.

    Attributes
    ----------
    name
        Name in lower case.
    attributes
        Attributes, decoded.
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


@dataclass
class HtmlScan:
    """Result of `scan_html`.

    Attributes
    ----------
    text, hidden
        Visible text, and text that styles hide.
    links
        Target and visible text of each visible link.
    actions
        Targets of forms and of their buttons.
    images
        Number of images.
    elements
        Elements that a page is judged by, in order.
    """

    text: str = ""
    hidden: str = ""
    links: list[tuple[str, str]] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    images: int = 0
    elements: list[Element] = field(default_factory=list)


def scan_html(source: str, *, runs_scripts: bool = False) -> HtmlScan:
    """Scan HTML source; never raises.

    Parameters
    ----------
    source
        Source of a page, or of the HTML part of a mail.
    runs_scripts
        True where the reader runs scripts: browsers do not show ``noscript``, mail clients do.
    """
    text, hidden, found = _kernel.scan_html(source.replace("\0", ""), runs_scripts, _IN_PYTHON)
    scan = HtmlScan(text, hidden, elements=list(map(Element._make, found)))
    for element in scan.elements:
        name, target = element.name, element.target
        if name in ("a", "area"):
            if element.shown and target is not None and len(scan.links) < MAX_LINKS:
                scan.links.append((target, " ".join(element.text[:MAX_ANCHOR].split())))
        elif name in ("form", "button", "input"):
            if target is not None and len(scan.actions) < MAX_LINKS:
                scan.actions.append(target)
        elif name == "img" and target is not None:
            scan.images += 1
    return scan
