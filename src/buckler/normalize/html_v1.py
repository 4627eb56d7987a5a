"""html-v1: text, forms, links and scripts of a page. Nothing is fetched or run.

The input is the source of a page and, after a separator, its address. Without one, the comment
that browsers write into saved pages gives the address. Fields: page, title, forms, marks, hosts,
scripts, hidden text, visible text.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from buckler._kernel import calls_in, encoded_runs, link_hosts, words_in
from buckler.normalize.brands import LONG_BRANDS, LURES
from buckler.normalize.charsets import decode_page, encode_text
from buckler.normalize.disguise import undisguise
from buckler.normalize.html_scan import Element, HtmlScan, scan_html
from buckler.normalize.mime import join_fields
from buckler.normalize.page_structure import encode_facts, page_facts
from buckler.normalize.sites import host_and_path, site_of

MAX_PAGE_BYTES = 2 << 20
MAX_ADDRESS_BYTES = 8192
_MAX_SCRIPT = 1 << 16
_MAX_FORMS, _MAX_BUTTONS = 24, 16  # in words, so that enough bytes are left for the fields
_CONTROLS = frozenset(("form", "button", "input", "select", "textarea"))
_SAVED_FROM = re.compile(r"<!--\s{0,4}saved from url=\(\d{4}\)(\S{1,2048})", re.I)
_CODE = re.compile(r"(javascript|data|mailto):", re.I | re.A)
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


class _Address(NamedTuple):
    """Address of a page, or an empty string, and its site."""

    text: str
    site: str

    def places_of(self, targets: list[str]) -> Iterator[str]:
        """Yield where each target leads, seen from here."""
        sites: dict[str, str] = {}
        for target, host in zip(targets, link_hosts(self.text, targets), strict=True):
            if target[:1] in ("", "#"):
                yield "nowhere"
            elif target[0] in "jJdDmM" and (code := _CODE.match(target)):
                yield code[1].lower()
            elif not host:
                yield "own"
            else:
                if host not in sites:
                    sites[host] = site_of(host)
                yield "own" if self.site and sites[host] == self.site else "other"


def html_structure_fields(raw: str | bytes, text_length: int = 0) -> str:
    """Return the fields of html-structure-v2: title, forms, marks, scripts; then its features.

    The address, the hosts and the running text name a site, a brand or a language, which tell one
    collection of pages from another. With a length, the beginning of the visible text is a fifth
    field: of html-structure-text-v1.
    """
    (_, title, forms, marks, _, scripts, _, text), facts = _structure(raw)
    more = [text[:text_length]] if text_length else []
    fields = join_fields([title, forms, marks, scripts, *more])
    return f"{fields}\x1f\x1d{encode_facts(facts)}"


def html_structure_facts(raw: str | bytes) -> list[str]:
    """Return the facts that the features of html-structure-v2 stand for, in their order."""
    return _structure(raw)[1]


def _structure(raw: str | bytes) -> tuple[list[str], list[str]]:
    """Return the eight fields of a page and its facts."""
    source, address = _source(raw)
    scan = scan_html(source, runs_scripts=True)
    fields = _fields(_page_of(address), source, address, scan)
    return fields, page_facts(scan.elements, fields[1], len(fields[-1].split()))


def html_fields(raw: str | bytes) -> str:
    """Return the eight fields, joined by the field separator; never raises on any page."""
    source, address = _source(raw)
    scan = scan_html(source, runs_scripts=True)
    return join_fields(_fields(_page_of(address), source, address, scan))


def page_host(raw: bytes) -> str:
    """Return the host of a page, as far as its address is known; else an empty string."""
    return _page_of(_source(raw)[1]).partition("/")[0]


def _page_of(address: str) -> str:
    """Return host and path of an address as `html-v1` has them; empty without one."""
    return "/".join(host_and_path(address)) if address else ""


def _source(raw: str | bytes) -> tuple[str, str]:
    """Return the page as text, and its address or an empty string."""
    body, _, address = (encode_text(raw) if isinstance(raw, str) else raw).partition(b"\x1f")
    if isinstance(raw, bytes) and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        body, address = raw, b""  # the separator's byte is half of a letter
    text = decode_page(body[:MAX_PAGE_BYTES], "utf-8" if isinstance(raw, str) else "")
    known = address[:MAX_ADDRESS_BYTES].decode("utf-8", "replace").strip()
    if not known:
        saved = _SAVED_FROM.search(text[:4096])
        known = saved[1] if saved is not None else ""
    return text, known


def _fields(page: str, source: str, address: str, scan: HtmlScan) -> list[str]:
    own = _Address(address, site_of(page.partition("/")[0]))
    by_name: dict[str, list[Element]] = {}
    for element in scan.elements:
        by_name.setdefault(element.name, []).append(element)
    code = " ".join(s.text for s in by_name.get("script", ()))[:_MAX_SCRIPT]
    resources = _targets(by_name, "script", "img", "link", "iframe", "frame")
    links = _targets(by_name, "a", "area")
    icons = [
        e.target
        for e in by_name.get("link", ())
        if e.target and "icon" in e.attributes.get("rel", "").lower().split()
    ]
    refreshes = [
        e
        for e in by_name.get("meta", ())
        if e.attributes.get("http-equiv", "").strip().lower() == "refresh"
    ]
    title = " ".join(next((t.text for t in by_name.get("title", ())), "").split())
    forms, form_marks = _forms(scan.elements, own)
    text, unseen, mixed = undisguise(scan.text)
    words = text.split()
    text = " ".join(words)
    title, _, title_mixed = undisguise(title)
    counts = Counter(
        {
            **form_marks,
            **_reach("resource", resources, own),
            **_reach("link", links, own),
            **_reach("icon", icons, own),
            "invisible": unseen,
            "lookalike": mixed + title_mixed,
            "refresh": len(refreshes),
            "frame": sum(len(by_name.get(name, ())) for name in ("iframe", "frame")),
            "inline-script": min(9, len(code) // 2000),
            "no-address": int(not address),
            "long-encoded": encoded_runs(source[:MAX_PAGE_BYTES], _LONG_ENCODED),
            "no-context-menu": len(words_in(source, ("contextmenu",))),
        }
    )
    start = f"{title} {text[:4000]}".lower()
    named = words_in(start.replace(" ", ""), LONG_BRANDS)
    counts["brand"] = len(named)
    if page:
        in_title = words_in(title.lower(), LONG_BRANDS)
        counts["brand-of-other-site"] = sum(brand not in own.site for brand in named)
        counts["brand-in-title-not-site"] = sum(brand not in own.site for brand in in_title)
    counts["lure"] = len(words_in(start, LURES))
    pictures = len(by_name.get("img", ()))
    size = ("empty", "few", "some", "many")[sum(len(words) >= n for n in (10, 80, 500))]
    marks = [_grade(name, n) for name, n in counts.items() if n > 0]
    marks += [
        f"text-{size}",
        f"pictures-{('none', 'few', 'many')[(pictures > 0) + (pictures > 8)]}",
    ]
    hosts = Counter(link_hosts("", resources + links))
    return [
        page[:256],
        title[:256],
        forms[:1024],
        " ".join(marks),
        " ".join(h for h, _ in hosts.most_common(24) if h)[:1024],
        " ".join(_grade(name, n) for name, n in _count_calls(code).items()),
        " ".join(scan.hidden.split())[:512],
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


def _targets(by_name: dict[str, list[Element]], *names: str) -> list[str]:
    return [
        element.target[:2048]
        for name in names
        for element in by_name.get(name, ())
        if element.target is not None
    ]


def _forms(elements: list[Element], own: _Address) -> tuple[str, dict[str, int]]:
    """Return the forms in words, and counts of the requested data."""
    words: list[str] = []
    asked: Counter[str] = Counter()
    buttons = 0
    elements = [e for e in elements if e.name in _CONTROLS]
    forms = [e for e in elements if e.name in ("form", "button", "input")]
    senders = [e for e in forms if e.name == "form" or e.target is not None]
    places = own.places_of([e.target or "" for e in senders])
    for form in forms:
        if form.name == "form" or form.target is not None:
            where = next(places)
            method = form.attributes.get("method", "get") if form.name == "form" else "button"
            if asked.total() < _MAX_FORMS:
                words.append(f"form-{method.lower()[:5]} to-{where}")
            asked[f"form-{where}"] += 1
        if form.name == "button" and buttons < _MAX_BUTTONS:
            words.append(form.text.strip()[:40])
            buttons += 1
    for field in [e for e in elements if e.name in ("input", "select", "textarea")][:256]:
        kind = field.attributes.get("type", "text").strip().lower()[:16] or "text"
        names = " ".join(
            field.attributes.get(name, "")
            for name in ("name", "id", "placeholder", "autocomplete", "value")
        )[:200]
        if kind == "hidden":
            asked["hidden-field"] += 1
            continue
        wants = "password" if kind == "password" else ""
        if kind in ("submit", "button", "image"):
            words.append(names[:60])
            continue
        for name, pattern in _ASKED.items():
            if pattern.search(names):
                wants = wants or name
                asked[f"asks-{name}"] += 1
        asked["asks-password"] += int(kind == "password")
        words.append(f"{kind}-{wants or 'other'}")
    if asked["asks-password"] and all(element.name != "form" for element in elements):
        asked["password-without-form"] = 1
    return " ".join(words), dict(asked)


def _reach(kind: str, targets: list[str], own: _Address) -> dict[str, int]:
    counts = Counter(f"{kind}-{where}" for where in own.places_of(targets))
    if targets:
        share = counts[f"{kind}-other"] / len(targets)
        counts[f"{kind}s-mostly-other"] = int(share > 0.6)
    return dict(counts)
