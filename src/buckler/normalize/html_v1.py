"""html-v1: text, forms, links and scripts of a page. Nothing is fetched or run.

The input is the source of a page and, after a separator, its address. Without one, the comment
that browsers write into saved pages gives the address. Fields: page, title, forms, marks, hosts,
scripts, hidden text, visible text.
"""

import codecs
import re
from collections import Counter
from typing import Any
from urllib.parse import urljoin

from buckler.extras import import_extra
from buckler.normalize.brands import BRANDS, LURES
from buckler.normalize.charsets import decode_page, encode_text
from buckler.normalize.disguise import undisguise
from buckler.normalize.html_limits import limit_html
from buckler.normalize.mime import join_fields
from buckler.normalize.sites import host_and_path, site_of

MAX_PAGE_BYTES = 2 << 20
MAX_ELEMENTS = 2000  # of a kind
_MAX_SCRIPT = 1 << 16
_SAVED_FROM = re.compile(r"<!--\s{0,4}saved from url=\(\d{4}\)(\S{1,2048})", re.I)
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?![.\d])|font-size\s*:\s*0(?![.\d])"
    r"|(?:left|top|text-indent)\s*:\s*-\d{3,}",
    re.I,
)
_CALLS = re.compile(r"\b([A-Za-z_$][\w$]{1,30})\s{0,4}\(")
_TELLING = frozenset(
    (
        *("eval", "atob", "unescape", "fromCharCode", "write", "decodeURIComponent", "fetch"),
        *("open", "send", "ajax", "post", "submit", "preventDefault", "setTimeout", "assign"),
        *("replace", "getElementById", "querySelector", "addEventListener", "createElement"),
        *("sendBeacon", "importScripts", "Function", "WebSocket", "debugger", "setInterval"),
    )
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


def html_fields(raw: str | bytes) -> str:
    """Return the eight fields, joined by the field separator; never raises on any page.

    Raises
    ------
    MissingExtraError
        If the extra `formats` is not installed.
    """
    lexbor = import_extra("selectolax.lexbor", "reading web pages", "formats")
    source, address = _source(raw)
    page = "/".join(host_and_path(address)) if address else ""
    try:
        tree = lexbor.LexborHTMLParser(limit_html(source))
        return join_fields(_fields(tree, source, address, page))
    except (lexbor.SelectolaxError, ValueError, RecursionError, AttributeError, TypeError):
        text, _, _ = undisguise(source)
        return join_fields([page, "", "", "unparsed", "", "", "", text])


def _source(raw: str | bytes) -> tuple[str, str]:
    """Return the page as text, and its address or an empty string."""
    body, _, address = (encode_text(raw) if isinstance(raw, str) else raw).partition(b"\x1f")
    if isinstance(raw, bytes) and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        body, address = raw, b""  # the separator's byte is half of a letter
    text = decode_page(body[:MAX_PAGE_BYTES], "utf-8" if isinstance(raw, str) else "")
    known = address.decode("utf-8", "replace").strip()
    if not known:
        saved = _SAVED_FROM.search(text[:4096])
        known = saved[1] if saved is not None else ""
    return text, known


def _fields(tree: Any, source: str, address: str, page: str) -> list[str]:
    site = site_of(page.partition("/")[0])
    scripts = tree.css("script")[:MAX_ELEMENTS]
    code = " ".join(s.text() for s in scripts if "src" not in s.attributes)[:_MAX_SCRIPT]
    resources = _targets(tree, "script", "src") + _targets(tree, "img", "src")
    resources += _targets(tree, "link", "href") + _targets(tree, "iframe", "src")
    links = _targets(tree, "a", "href")
    title = " ".join((tree.css_first("title").text() if tree.css_first("title") else "").split())
    forms, form_marks = _forms(tree, address, site)
    icons = [t for t in _targets(tree, "link[rel~=icon]", "href") if t]
    refresh = len(tree.css("meta[http-equiv=refresh]"))
    pictures, frames = len(tree.css("img")), len(tree.css("iframe"))
    hidden = _take_hidden(tree)
    for name in ("script", "style", "noscript", "template"):
        for node in tree.css(name):
            node.decompose()
    body = tree.body
    text, unseen, mixed = undisguise(body.text(separator=" ") if body is not None else "")
    text = " ".join(text.split())
    title, _, title_mixed = undisguise(title)
    counts = Counter(
        {
            **form_marks,
            **_reach("resource", resources, address, site),
            **_reach("link", links, address, site),
            **_reach("icon", icons, address, site),
            "invisible": unseen,
            "lookalike": mixed + title_mixed,
            "refresh": refresh,
            "frame": frames,
            "inline-script": min(9, len(code) // 2000),
            "no-address": int(not address),
            "long-encoded": len(re.findall(r"[A-Za-z0-9+/]{200,}", source[:MAX_PAGE_BYTES])),
            "no-context-menu": int("contextmenu" in source.lower()),
        }
    )
    start = f"{title} {text[:4000]}".lower()
    named = [brand for brand in BRANDS if len(brand) > 3 and brand in start.replace(" ", "")]
    counts["brand"] = len(named)
    if page:
        counts["brand-of-other-site"] = sum(brand not in site for brand in named)
        counts["brand-in-title-not-site"] = sum(
            brand in title.lower() and brand not in site for brand in BRANDS if len(brand) > 3
        )
    counts["lure"] = sum(lure in start for lure in LURES)
    words = len(text.split())
    size = ("empty", "few", "some", "many")[sum(words >= n for n in (10, 80, 500))]
    marks = [_grade(name, n) for name, n in counts.items() if n > 0]
    marks += [
        f"text-{size}",
        f"pictures-{('none', 'few', 'many')[(pictures > 0) + (pictures > 8)]}",
    ]
    hosts = Counter(_host(target) for target in resources + links)
    calls = Counter(c for c in _CALLS.findall(code) if c in _TELLING)
    return [
        page[:256],
        title[:256],
        forms[:1024],
        " ".join(marks),
        " ".join(h for h, _ in hosts.most_common(24) if h)[:1024],
        " ".join(_grade(name, n) for name, n in calls.items()),
        hidden[:512],
        text,
    ]


def _grade(name: str, n: int) -> str:
    return name if n == 1 else f"{name}-{'some' if n < 8 else 'many'}"


def _targets(tree: Any, selector: str, attribute: str) -> list[str]:
    found = []
    for node in tree.css(selector)[:MAX_ELEMENTS]:
        value = node.attributes.get(attribute)
        if value is not None:
            found.append(value.strip()[:2048])
    return found


def _forms(tree: Any, address: str, site: str) -> tuple[str, dict[str, int]]:
    """Return the forms in words, and counts of the requested data."""
    words: list[str] = []
    asked: Counter[str] = Counter()
    for form in tree.css("form")[:64]:
        action = (form.attributes.get("action") or "").strip()
        where = _where(action, address, site)
        words.append(f"form-{(form.attributes.get('method') or 'get').lower()[:5]} to-{where}")
        asked[f"form-{where}"] += 1
        words += [b.text().strip()[:40] for b in form.css("button")[:8]]
    for field in tree.css("input, select, textarea")[:256]:
        kind = (field.attributes.get("type") or "text").lower()[:16]
        names = " ".join(
            field.attributes.get(name) or ""
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
    if not tree.css_first("form") and asked["asks-password"]:
        asked["password-without-form"] = 1
    return " ".join(words), dict(asked)


def _where(target: str, address: str, site: str) -> str:
    lowered = target.lower()
    if not target or lowered.startswith("#"):
        return "nowhere"
    if lowered.startswith(("javascript:", "data:", "mailto:")):
        return lowered.partition(":")[0]
    host = _host(urljoin(address, target) if address else target)
    if not host:
        return "own"
    return "own" if site and site_of(host) == site else "other"


def _reach(kind: str, targets: list[str], address: str, site: str) -> dict[str, int]:
    counts = Counter(f"{kind}-{_where(target, address, site)}" for target in targets)
    if targets:
        share = counts[f"{kind}-other"] / len(targets)
        counts[f"{kind}s-mostly-other"] = int(share > 0.6)
    return dict(counts)


def _take_hidden(tree: Any) -> str:
    """Remove hidden elements from the tree, and return their text."""
    found = []
    for node in tree.css("[hidden], [style]")[:MAX_ELEMENTS]:
        attributes = node.attributes
        if "hidden" in attributes or _HIDING.search((attributes.get("style") or "")[:2000]):
            found.append(node.text(separator=" ")[:2000])
            node.decompose()
    return " ".join(" ".join(found).split())


def _host(target: str) -> str:
    if not re.match(r"(?:[a-z][a-z0-9+.-]{0,20}:)?//", target, re.I):
        return ""
    return host_and_path(target)[0]
