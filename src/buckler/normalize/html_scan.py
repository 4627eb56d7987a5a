"""Scans HTML once, as browsers read it: visible and hidden text, links, forms, resources.

The kernel keeps the stack of open elements, so that it knows what styles hide, but builds no tree:
each byte costs constant work, whatever an attacker nests, leaves open or repeats. Parsers that
build trees need time and memory that grow with the square of some pages.
"""

from dataclasses import dataclass
from typing import NamedTuple

from buckler import _kernel
from buckler.normalize.html_references import unescape, unescape_attribute

MAX_LINKS = 64
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
    end
        Bytes of the page up to the end of its start tag.
    """

    name: str
    attributes: dict[str, str]
    shown: bool
    target: str | None = None
    text: str = ""
    end: int = 0


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


class MailPage(NamedTuple):
    """Result of `scan_mail_page`.

    Attributes
    ----------
    text, hidden
        Visible text, and text that styles hide.
    links
        Target and visible text of each visible link, at most MAX_LINKS.
    actions
        Targets of forms and of their buttons, at most MAX_LINKS.
    has_images
        True if there are images.
    """

    text: str
    hidden: str
    links: list[tuple[str, str]]
    actions: list[str]
    has_images: bool


def scan_html(source: str | bytes, *, runs_scripts: bool = False) -> HtmlScan:
    """Scan HTML source; never raises.

    Parameters
    ----------
    source
        Source of a page, or of the HTML part of a mail; bytes are UTF-8.
    runs_scripts
        True where the reader runs scripts: browsers do not show ``noscript``, mail clients do.
    """
    text, hidden, found = _kernel.scan_html(_encode(source), runs_scripts, _IN_PYTHON)
    return HtmlScan(text, hidden, list(map(Element._make, found)))


def scan_mail_page(source: str | bytes) -> MailPage:
    """Scan the HTML part of a mail as `scan_html` does, for its texts and links alone."""
    return MailPage._make(_kernel.scan_mail_page(_encode(source), _IN_PYTHON))


def _encode(source: str | bytes) -> bytes:
    if isinstance(source, str):
        source = source.encode("utf-8", "surrogatepass")
    return source.replace(b"\0", b"") if b"\0" in source else source
