"""html-v1: text, forms, links and scripts of a page. Nothing is fetched or run.

The input is the source of a page and, after a separator, its address. Without one, the comment
that browsers write into saved pages gives the address. Fields: page, title, forms, marks, hosts,
scripts, hidden text, visible text.
"""

import codecs
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property

from buckler._kernel import calls_in, encoded_runs, squeeze_text, words_in
from buckler.normalize.brands import LONG_BRANDS, LURES
from buckler.normalize.charsets import encode_page, encode_text
from buckler.normalize.disguise import undisguise
from buckler.normalize.html_scan import Element, HtmlScan, scan_html
from buckler.normalize.mime import join_fields
from buckler.normalize.page_structure import encode_facts, is_password, page_facts
from buckler.normalize.sites import Link, host_and_path, read_links, site_of

MAX_PAGE_BYTES = 2 << 20
MAX_ADDRESS_BYTES = 8192
_MAX_SCRIPT = 1 << 16
_MAX_HEAD = 4096  # characters in which a browser's comment stands
_MAX_FIELDS = _MAX_TITLE = 256
_MAX_FORMS, _MAX_BUTTONS = 24, 16  # in words, so that enough bytes are left for the fields
_CONTROLS = frozenset(("form", "button", "input", "select", "textarea"))
_SAVED_FROM = re.compile(r"<!--\s{0,4}saved from url=\(\d{4}\)(\S{1,2048})", re.I)
_LONG_ENCODED = 200  # characters of base64
_CALLS = re.compile(r"\b([A-Za-z_$][\w$]{1,30})\s{0,4}\(")
_TELLING = (
    *("eval", "atob", "unescape", "fromCharCode", "write", "decodeURIComponent", "fetch"),
    *("open", "send", "ajax", "post", "submit", "preventDefault", "setTimeout", "assign"),
    *("replace", "getElementById", "querySelector", "addEventListener", "createElement"),
    *("sendBeacon", "importScripts", "Function", "WebSocket", "debugger", "setInterval"),
)
_ASKED = {
    "password": re.compile(r"pass|pwd|kennwort|contrase|senha|mot.?de.?passe", re.I),
    "code": re.compile(r"otp|2fa|token|verif.*code|one.?time|sms", re.I),
    "card": re.compile(r"card|cvv|cvc|iban|expir|ccnum", re.I),
    "email": re.compile(r"mail", re.I),
    "user": re.compile(r"user|login|account|ident", re.I),
    "secret": re.compile(r"seed|phrase|mnemonic|private.?key|ssn|social", re.I),
    "phone": re.compile(r"phone|mobile|tel\b", re.I),
}


@cache
def _words_of(pattern: re.Pattern[str]) -> frozenset[str]:
    """Return words of which one stands in whatever the pattern matches."""
    return frozenset(re.findall(r"[a-z0-9]{3,}", pattern.pattern))


_ASKED_WORDS = tuple(sorted(frozenset[str]().union(*map(_words_of, _ASKED.values()))))
_NAMES = ("name", "id", "placeholder", "autocomplete", "value")
_FORM = re.compile(rb"</?form\b", re.I)
_MAX_LOGIN = 8192  # bytes of a form behind its password


@dataclass(frozen=True)
class _Page:
    """A page that was scanned.

    Attributes
    ----------
    source, address
        Source as UTF-8, and the address or an empty string.
    place, site
        Host and path of the address as ``url-v3`` has them, and its site; or empty strings.
    scan
        Texts and elements.
    links
        Targets of the elements, read as links.
    """

    source: bytes
    address: str
    place: str
    site: str
    scan: HtmlScan
    links: list[Link]

    @cached_property
    def elements(self) -> list[tuple[Element, Link]]:
        """Elements, each with what its target is."""
        return list(zip(self.scan.elements, self.links, strict=True))

    @cached_property
    def title(self) -> tuple[str, int]:
        """Title without disguise, and the number of its words of mixed letters."""
        found = next((e.text for e in self.scan.elements if e.name == "title"), "")
        title, _, n_mixed = undisguise(" ".join(found.split()))
        return title, n_mixed

    @cached_property
    def text(self) -> tuple[str, int, int, int]:
        """Visible text without disguise; numbers of its words, unseen letters, mixed words."""
        text, n_unseen, n_mixed = undisguise(self.scan.text)
        return (*squeeze_text(text), n_unseen, n_mixed)


def html_fields(raw: str | bytes) -> str:
    """Return the eight fields, joined by the field separator; never raises on any page."""
    return join_fields(_fields(_read(raw)))


def html_structure_fields(raw: str | bytes, text_length: int = 0) -> str:
    """Return the fields of html-structure-v2: title, forms, marks, scripts; then its features.

    The address, the hosts and the running text name a site, a brand or a language, which tell one
    collection of pages from another. With a length, the beginning of the visible text is a fifth
    field: of html-structure-text-v1. Features are of the page up to the end of the form that asks
    for a password; of the whole page where none does.
    """
    page = _read(raw)
    _, title, forms, marks, _, scripts, _, text = _fields(page)
    more = [text[:text_length]] if text_length else []
    fields = join_fields([title, forms, marks, scripts, *more])
    return f"{fields}\x1f\x1d{encode_facts(_facts(page))}"


def html_structure_facts(raw: str | bytes) -> list[str]:
    """Return the facts that the features of html-structure-v2 stand for, in their order."""
    return _facts(_read(raw))


def page_host(raw: bytes) -> str:
    """Return the host of a page, as far as its address is known; else an empty string."""
    return _place_of(_source(raw)[1]).partition("/")[0]


def _read(raw: str | bytes) -> _Page:
    return _scan(*_source(raw))


def _scan(source: bytes, address: str) -> _Page:
    place = _place_of(address)
    site = site_of(place.partition("/")[0])
    scan = scan_html(source, runs_scripts=True)
    links = read_links(address, site, [element.target for element in scan.elements])
    return _Page(source, address, place, site, scan, links)


def _place_of(address: str) -> str:
    """Return host and path of an address as `html-v1` has them; empty without one."""
    return "/".join(host_and_path(address)) if address else ""


def _facts(page: _Page) -> list[str]:
    part = _login_part(page)
    return page_facts(part.elements, part.title[0][:_MAX_TITLE], part.text[1])


def _login_part(page: _Page) -> _Page:
    """Return a page up to the end of the form of its first visible password; else the page.

    Ordinary content below a form is cheap for an attacker, and nobody scrolls to it.
    """
    ends = {e.shown: e.end for e in reversed(page.scan.elements) if is_password(e)}
    if not ends:
        return page
    end, source = ends.get(True) or ends[False], page.source.replace(b"\0", b"")
    behind = _FORM.search(source, end, end + _MAX_LOGIN)
    stop = behind.start() if behind is not None else end + _MAX_LOGIN
    while b"\x80" <= source[stop : stop + 1] < b"\xc0":  # inside a letter
        stop -= 1
    return _scan(source[:stop], page.address)


def _source(raw: str | bytes) -> tuple[bytes, str]:
    """Return the page as UTF-8, and its address or an empty string."""
    body, _, address = (encode_text(raw) if isinstance(raw, str) else raw).partition(b"\x1f")
    if isinstance(raw, bytes) and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        body, address = raw, b""  # the separator's byte is half of a letter
    source = encode_page(body[:MAX_PAGE_BYTES], "utf-8" if isinstance(raw, str) else "")
    known = address[:MAX_ADDRESS_BYTES].decode("utf-8", "replace").strip()
    if not known:
        saved = _SAVED_FROM.search(source[: 4 * _MAX_HEAD].decode("utf-8", "ignore")[:_MAX_HEAD])
        known = saved[1] if saved is not None else ""
    return source, known


def _fields(page: _Page) -> list[str]:
    scan, source = page.scan, page.source
    by_name: dict[str, list[tuple[Element, Link]]] = {}
    for element in page.elements:
        by_name.setdefault(element[0].name, []).append(element)
    code = " ".join(script.text for script, _ in by_name.get("script", ()))[:_MAX_SCRIPT]
    resources = _links(by_name, "script", "img", "link", "iframe", "frame")
    links = _links(by_name, "a", "area")
    icons = [
        link
        for element, link in by_name.get("link", ())
        if element.target and "icon" in element.attributes.get("rel", "").lower().split()
    ]
    refreshes = sum(
        meta.attributes.get("http-equiv", "").strip().lower() == "refresh"
        for meta, _ in by_name.get("meta", ())
    )
    (title, title_mixed), (text, n_words, unseen, mixed) = page.title, page.text
    forms, form_marks = _forms(page.elements)
    counts = {
        **form_marks,
        **_reach("resource", resources),
        **_reach("link", links),
        **_reach("icon", icons),
        "invisible": unseen,
        "lookalike": mixed + title_mixed,
        "refresh": refreshes,
        "frame": sum(len(by_name.get(name, ())) for name in ("iframe", "frame")),
        "inline-script": min(9, len(code) // 2000),
        "no-address": int(not page.address),
        "long-encoded": encoded_runs(source, _LONG_ENCODED),
        "no-context-menu": len(words_in(source, ("contextmenu",))),
    }
    start = f"{title} {text[:4000]}".lower()
    named = words_in(start.replace(" ", ""), LONG_BRANDS)
    counts["brand"] = len(named)
    if page.place:
        in_title = words_in(title.lower(), LONG_BRANDS)
        counts["brand-of-other-site"] = sum(brand not in page.site for brand in named)
        counts["brand-in-title-not-site"] = sum(brand not in page.site for brand in in_title)
    counts["lure"] = len(words_in(start, LURES))
    pictures = len(by_name.get("img", ()))
    size = ("empty", "few", "some", "many")[sum(n_words >= n for n in (10, 80, 500))]
    marks = [_grade(name, n) for name, n in counts.items() if n > 0]
    marks += [
        f"text-{size}",
        f"pictures-{('none', 'few', 'many')[(pictures > 0) + (pictures > 8)]}",
    ]
    hosts = Counter([link.host for link in resources + links])
    return [
        page.place[:256],
        title[:_MAX_TITLE],
        forms[:1024],
        " ".join(marks),
        " ".join(h for h, _ in hosts.most_common(24) if h)[:1024],
        " ".join(_grade(name, n) for name, n in _count_calls(code).items()),
        squeeze_text(scan.hidden)[0][:512],
        text,
    ]


def _count_calls(code: str) -> Counter[str]:
    """Return how often each telling function is called."""
    calls = calls_in(code, _TELLING)
    if calls is None:  # letters beyond ASCII stand before a parenthesis
        calls = [call for call in _CALLS.findall(code) if call in _TELLING]
    return Counter(calls)


def _grade(name: str, n: int) -> str:
    return name if n == 1 else f"{name}-{'some' if n < 8 else 'many'}"


def _links(by_name: dict[str, list[tuple[Element, Link]]], *names: str) -> list[Link]:
    return [
        link for name in names for element, link in by_name.get(name, ()) if link.kind != "none"
    ]


def _forms(elements: list[tuple[Element, Link]]) -> tuple[str, dict[str, int]]:
    """Return the forms in words, and counts of the requested data."""
    words: list[str] = []
    asked: Counter[str] = Counter()
    buttons = 0
    elements = [e for e in elements if e[0].name in _CONTROLS]
    for form, link in elements:
        if form.name not in ("form", "button", "input"):
            continue
        if form.name == "form" or link.kind != "none":
            method = form.attributes.get("method", "get") if form.name == "form" else "button"
            if asked.total() < _MAX_FORMS:
                words.append(f"form-{method.lower()[:5]} to-{link.place}")
            asked[f"form-{link.place}"] += 1
        if form.name == "button" and buttons < _MAX_BUTTONS:
            words.append(form.text.strip()[:40])
            buttons += 1
    fields = [e for e, _ in elements if e.name in ("input", "select", "textarea")][:_MAX_FIELDS]
    for field in fields:
        kind = field.attributes.get("type", "text").strip().lower()[:16] or "text"
        if kind == "hidden":
            asked["hidden-field"] += 1
            continue
        names = " ".join(field.attributes.get(name, "") for name in _NAMES)[:200]
        if kind in ("submit", "button", "image"):
            words.append(names[:60])
            continue
        wanted = _wanted_by(names)
        asked.update(f"asks-{name}" for name in wanted)
        asked["asks-password"] += int(kind == "password")
        wants = "password" if kind == "password" else next(iter(wanted), "other")
        words.append(f"{kind}-{wants}")
    if asked["asks-password"] and all(element.name != "form" for element, _ in elements):
        asked["password-without-form"] = 1
    return " ".join(words), dict(asked)


def _wanted_by(names: str) -> list[str]:
    """Return the kinds of data that a field asks for."""
    patterns = list(_ASKED.items())
    if names.isascii():  # letters beyond it match some of ASCII in any case
        found = frozenset(words_in(names, _ASKED_WORDS))
        patterns = [item for item in patterns if not found.isdisjoint(_words_of(item[1]))]
    return [name for name, pattern in patterns if pattern.search(names)]


def _reach(kind: str, links: list[Link]) -> dict[str, int]:
    counts = Counter([link.place for link in links])
    reached = {f"{kind}-{place}": n for place, n in counts.items()}
    if links:
        reached[f"{kind}s-mostly-other"] = int(counts["other"] / len(links) > 0.6)
    return reached
