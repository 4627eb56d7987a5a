"""Scans HTML once, as browsers read it: visible and hidden text, links, forms, resources.

The scanner keeps the stack of open elements, so that it knows what styles hide, but builds no tree:
each byte costs constant work, whatever an attacker nests, leaves open or repeats. Parsers that
build trees need time and memory that grow with the square of some pages.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from buckler.normalize.html_styles import PLAIN, Effect, Visibility, effect_of
from buckler.normalize.html_tags import (
    MARKUP,
    RAW,
    end_of_comment,
    end_of_raw_text,
    is_self_closing,
    read_attributes,
    unescape,
)
from buckler.normalize.sites import resolve_in_page

MAX_LINKS = 64
MAX_ANCHOR = 200
MAX_ELEMENTS = 2000  # of a kind
_MAX_OPEN = 512  # deeper elements stand beside each other, as in browsers
_MAX_STEPS = 64  # up the open elements for one tag
_MAX_REOPENED = 16
_MAX_CODE = 1 << 16
_MAX_TARGET = 2048

_STYLED = re.compile(r"style|hidden|size|open", re.I)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VOID = _words("area base basefont bgsound br col embed frame hr img input keygen link meta param")
_VOID |= _words("source track wbr image")
_FORMATTING = _words("a b big code em font i nobr s small strike strong tt u")
_INLINE = _FORMATTING - {"a"} | _words(
    "span abbr acronym bdi bdo cite data del dfn ins kbd label mark q ruby samp sub sup time var"
)
_IN_LINE = _words("inline contents none") | {""}  # displayed so
_CLOSES_P = _words(
    "address article aside blockquote center details dialog dir div dl dd dt fieldset figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol p plaintext "
    "pre search section summary table ul xmp"
)
_CELLS = _words("td th caption")
_ROWS = _words("tr tbody thead tfoot colgroup") | _CELLS
_SCOPE = _words("applet caption html table td th marquee object template button svg math")
_AROUND_ROWS, _SCOPE_OF_INLINE = _SCOPE - _ROWS - {"button"}, _SCOPE | _CLOSES_P
_MARKERS = _CELLS | _words("template object marquee applet")
_LINK, _NOTHING = _words("a"), _words("")
_HEADINGS = _words("h1 h2 h3 h4 h5 h6")
# What a start tag closes, and the elements that it does not look beyond.
_CLOSES = {
    **dict.fromkeys(_CLOSES_P, (_words("p"), _SCOPE)),
    "li": (_words("li p"), _SCOPE | _words("ul ol menu")),
    **dict.fromkeys(("dd", "dt"), (_words("dd dt p"), _SCOPE | _words("dl"))),
    **dict.fromkeys(_HEADINGS, (_HEADINGS | _words("p"), _SCOPE | _words("div section"))),
    **dict.fromkeys(("option", "optgroup"), (_words("option"), _words("select datalist"))),
    **dict.fromkeys(("rt", "rp"), (_words("rt rp"), _words("ruby"))),
    **dict.fromkeys(_CELLS, (_CELLS, _words("table tr template"))),
    "tr": (_words("tr"), _words("table template")),
    **dict.fromkeys(("tbody", "thead", "tfoot"), (_words("tbody thead tfoot"), _words("table"))),
    "a": (_words("a"), _MARKERS),
    "button": (_words("button"), _SCOPE - {"button"}),
}
_NO_ELEMENTS = _words("html head body frameset")
# Not displayed: by the browsers' own style, and because scripts or plug-ins stand in for it.
_NOT_SHOWN = _words("template datalist noembed noframes rp style title script area param")
_NOT_DRAWN = _words("style script title desc metadata defs symbol")
_DRAWINGS = _words("svg math")
_PAGES_IN_DRAWINGS = _words("foreignobject desc title annotation-xml mi mo mn ms mtext")
_ENDS_DRAWING = _CLOSES_P - {"p", "form", "search", "section"} | _words(
    "b big body br code em embed head i img meta nobr p s small span strike strong sub sup tt u var"
)
_KEPT = _words(
    "a area base button form frame iframe img input link meta script select textarea title"
)
_TARGETS = {"a": "href", "area": "href", "link": "href", "img": "src", "script": "src",
            "iframe": "src", "frame": "src", "form": "action", "button": "formaction",
            "input": "formaction"}  # fmt: skip


@dataclass
class Element:
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
    scanner = _Scanner(runs_scripts)
    scanner.read(source.replace("\0", ""))
    scan = HtmlScan("".join(scanner.seen), "".join(scanner.hidden), elements=scanner.elements)
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


@dataclass(slots=True)
class _OpenElement:
    """An open element: its text goes to `out`, and that of a kept one begins at `start`."""

    name: str
    effect: Effect
    shown: Visibility
    out: list[str]
    drawing: bool = False
    kept: Element | None = None
    start: int = 0


class _Scanner:
    """The state of a scan."""

    def __init__(self, runs_scripts: bool) -> None:
        self.seen: list[str] = []
        self.hidden: list[str] = []
        self.elements: list[Element] = []
        self._counts: Counter[str] = Counter()
        self._runs_scripts = runs_scripts
        self._not_shown = _NOT_SHOWN | {"noscript"} if runs_scripts else _NOT_SHOWN
        self._restyled: set[str] = set()
        self._base = ""
        self._open: list[_OpenElement] = []
        self._open_names: Counter[str] = Counter()
        self._is_inner = False
        self._code = 0

    def read(self, source: str) -> None:
        """Read a page, or one inside the ``srcdoc`` of a frame."""
        outer = self._open, self._open_names
        self._open, self._open_names = [_OpenElement("", PLAIN, Visibility(), self.seen)], Counter()
        position = 0
        while match := MARKUP.search(source, position):
            if position < match.start():
                self._add(source[position : match.start()])
            position = match.end()
            slash, name, rest, end_of_tag = match.groups()
            if name is not None:
                if not end_of_tag:
                    break
                if slash:
                    self._close(name.lower())
                elif not self._start(name := name.lower(), rest) and name in RAW:
                    position = self._read_raw(name, source, position)
            elif match[0] == "<!--":
                position = end_of_comment(source, position)
            elif source.startswith("[CDATA[", position) and self._open[-1].drawing:
                end = source.find("]]>", position)
                self._add(source[position + 7 : end if end >= 0 else None], decode=False)
                position = end + 3 if end >= 0 else -1
            else:
                position = source.find(">", position) + 1 or -1
            if position < 0:
                break
        else:
            self._add(source[position:])
        while len(self._open) > 1:
            self._pop()
        self._open, self._open_names = outer

    def _add(self, text: str, *, decode: bool = True) -> None:
        if decode and "&" in text:
            text = unescape(text)
        self._open[-1].out.append(text)

    def _read_raw(self, name: str, source: str, position: int) -> int:
        """Read the raw text of an element; return where it ends."""
        if self._open[-1].drawing or (name == "noscript" and not self._runs_scripts):
            return position
        stop = end_of_raw_text(name, source, position)
        text, kept = source[position:stop], self._open[-1].kept
        if name in ("title", "textarea"):
            text = unescape(text)
        if kept is not None and name == "title":
            kept.text = text[:_MAX_TARGET]
        elif kept is not None and name == "script" and kept.target is None:
            kept.text = text[: _MAX_CODE - self._code]
            self._code += len(kept.text)
        elif name in ("textarea", "xmp", "plaintext"):
            self._add(text, decode=False)
        return stop

    def _out(self, shown: Visibility) -> list[str]:
        """Return where text goes: to what is seen, what is hidden, or nowhere."""
        return self.seen if shown else [] if shown.dropped else self.hidden

    def _start(self, name: str, rest: str) -> bool:
        """Open an element; return True if nothing can be inside it."""
        top = self._open[-1]
        if not rest and name in _INLINE and not top.drawing:
            self._push(_OpenElement(name, PLAIN, top.shown, top.out))
            return False
        if top.drawing and name in _ENDS_DRAWING:
            while self._open[-1].drawing:
                self._pop()
        drawing = self._open[-1].drawing or name in _DRAWINGS
        if not drawing and name in _CLOSES:
            self._close_before(*_CLOSES[name])
        needs_attributes = name in _KEPT or (rest and _STYLED.search(rest) is not None)
        attributes = read_attributes(rest) if needs_attributes else {}
        effect = effect_of(name, attributes)
        if name in (_NOT_DRAWN if drawing else self._not_shown):
            effect = effect._replace(dropped=True)
        if name in _NO_ELEMENTS and not drawing:
            self._restyle(name, effect)
            return True
        shown = self._open[-1].shown.under(effect)
        if name not in _INLINE or effect.display not in _IN_LINE:
            self._add(" ")
        is_picture = name in ("img", "image") and shown.shows_pictures
        if is_picture and self._open_names["a"]:
            link = self._open[self._find(_LINK, _NOTHING)].kept
            if link is not None and link.name == "a":
                link.shown = True
        kept = None
        if name in _KEPT:
            kept = self._keep(name, attributes, shown=is_picture or bool(shown))
        if name in _VOID and not drawing:
            return True
        if drawing and is_self_closing(rest):
            return True
        out = self._open[-1].out if effect is PLAIN else self._out(shown)
        drawing = drawing and name not in _PAGES_IN_DRAWINGS
        self._push(_OpenElement(name, effect, shown, out, drawing, kept, len(self.seen)))
        return False

    def _keep(self, name: str, attributes: dict[str, str], *, shown: bool) -> Element | None:
        self._counts[name] += 1
        if self._counts[name] > MAX_ELEMENTS:
            return None
        target = attributes.get(_TARGETS.get(name, ""))
        if target is None and name == "a":
            target = attributes.get("xlink:href")
        if name == "base" and not self._base:
            self._base = attributes.get("href", "")[:_MAX_TARGET]
        if target is not None:
            target = resolve_in_page(self._base, target[:_MAX_TARGET])
        if name == "iframe" and "srcdoc" in attributes and not self._is_inner:
            self._is_inner = True
            self.read(attributes["srcdoc"])
            self._is_inner = False
        element = Element(name, attributes, shown, target)
        self.elements.append(element)
        return element

    def _push(self, element: _OpenElement) -> None:
        if len(self._open) > _MAX_OPEN:
            self._pop()
        self._open.append(element)
        self._open_names[element.name] += 1

    def _pop(self, at: int = -1) -> _OpenElement:
        element = self._open.pop(at)
        self._open_names[element.name] -= 1
        kept = element.kept
        if kept is not None and element.name in ("a", "button"):
            pieces = self.seen[element.start : element.start + MAX_ANCHOR]
            kept.text = "".join(pieces)[:_MAX_TARGET]
        return element

    def _restyle(self, name: str, effect: Effect) -> None:
        """Apply the style of ``html`` or ``body``, wherever the tag stands."""
        if name not in self._restyled:
            self._restyled.add(name)
            for element in self._open:
                element.shown = element.shown.under(effect)
                element.out = self._out(element.shown)

    def _find(self, names: frozenset[str], borders: frozenset[str]) -> int:
        """Return the highest open element of these names; -1 if a border comes before."""
        lowest = max(0, len(self._open) - 1 - _MAX_STEPS)
        for at in range(len(self._open) - 1, lowest, -1):
            name = self._open[at].name
            if name in names:
                return at
            if name in borders:
                return -1
        return -1

    def _close_before(self, names: frozenset[str], borders: frozenset[str]) -> None:
        while any(self._open_names[name] for name in names):
            at = self._find(names, borders)
            if at < 0:
                return
            self._close_down_to(at)

    def _close(self, name: str) -> None:
        """Close an element by its end tag; an end tag of no open element is ignored."""
        if name not in _INLINE:
            self._add(" ")
        if self._open[-1].name == name:  # the usual case
            self._close_down_to(-1)
            return
        names = _HEADINGS if name in _HEADINGS else frozenset((name,))
        if not any(self._open_names[each] for each in names):
            return
        if name in _FORMATTING:
            self._close_formatting(names)
            return
        if name in _ROWS or name == "table":
            borders = _AROUND_ROWS
        else:  # a span does not end beyond a block
            borders = _SCOPE if name in _CLOSES_P or name in _SCOPE else _SCOPE_OF_INLINE
        at = self._find(names, borders)
        if at >= 0:
            self._close_down_to(at)

    def _close_formatting(self, names: frozenset[str]) -> None:
        """Close formatting below blocks that stay open, which then lose its style."""
        at = self._find(names, _MARKERS)
        if at < 0:
            return
        self._pop(at)
        shown = self._open[at - 1].shown
        for element in self._open[at:]:
            shown = element.shown = shown.under(element.effect)
            element.out = self._out(shown)

    def _close_down_to(self, at: int) -> None:
        """Close elements; formatting that no end tag closed goes on behind them."""
        if at in (-1, len(self._open) - 1):
            self._pop()
            return
        closed = self._open[at].name
        left = [self._pop() for _ in range(len(self._open) - at)]
        if closed in _ROWS or closed in _MARKERS or closed == "table" or closed in _DRAWINGS:
            return
        again = [e for e in left[:-1] if e.name in _FORMATTING and e.effect is not PLAIN]
        for element in reversed(again[:_MAX_REOPENED]):
            shown = self._open[-1].shown.under(element.effect)
            self._push(_OpenElement(element.name, element.effect, shown, self._out(shown)))
