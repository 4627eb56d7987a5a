"""Structure of a page in a dozen facts that hold across collections: the features of its form.

They say where a form posts to, where links and resources lead, whose brand the title names. A fact
selects one row of the table of `ngram`, whatever its name or value, so it counts as much as any
other. Words differ by collection, language and brand; these facts differ less.
"""

import bisect
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from buckler._kernel import words_in
from buckler.normalize.brands import LONG_BRANDS
from buckler.normalize.html_scan import Element
from buckler.normalize.sites import Link, site_of

_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 4096)
_ENDINGS = frozenset(("php", "asp", "aspx", "jsp", "do", "htm", "html"))
_NO_LINK = frozenset(("", "fragment", "script", "none"))
_RESOURCES = frozenset(("script", "img", "link", "iframe", "frame"))
_WITH_PATH = frozenset(("absolute", "relative", "root"))
_SHARES = ("none", "few", "less than half", "half or more", "nearly all")
_ADDRESSES = {
    "": "the page itself",
    "absolute": "a full address",
    "absolute-own": "the site that most links lead to",
    "contact": "a mail or phone",
    "data": "inline data",
    "fragment": "a place in the page",
    "local": "a file of the browser",
    "none": "nowhere",
    "relative": "a file beside the page",
    "root": "an address of the same site",
    "script": "a script",
}
_BRAND_PLACES = {
    "absent": "a brand in the title to which nothing on the page leads",
    "linked": "a brand in the title, to which links or resources lead but not most links",
    "none": "no brand in the title",
    "own": "a brand in the title, to which most links lead",
}
_COUNTED = {
    "link-hosts": "hosts in links",
    "links": "links",
    "title-words": "words in the title",
    "words": "words of text",
}
_SHARED = {
    "links-from-root": "links to an address of the same site",
    "links-nowhere": "links that lead nowhere",
    "links-relative": "links to files beside the page",
    "resources-absolute": "resources from a full address",
    "resources-from-root": "resources from the same site",
    "resources-relative": "resources beside the page",
}


def page_facts(page: Sequence[tuple[Element, Link]], title: str, n_words: int) -> list[str]:
    """Return the facts of a page, as ``name=value``.

    Parameters
    ----------
    page
        Elements, and what their targets are; the last form is the one that counts.
    title
        Title, as `html-v1` reads it.
    n_words
        Number of words of the visible text.
    """
    links = [link for element, link in page if element.name == "a"]
    resources = [
        link for element, link in page if element.name in _RESOURCES and link.kind != "none"
    ]
    to, source = _shares(links), _shares(resources)
    linked, used = _hosts(links), _hosts(resources)
    sites: Counter[str] = Counter()
    for host, n in linked.items():
        sites[site_of(host)] += n
    main = max(sites, key=lambda site: sites[site]) if sites else ""
    return [
        f"posts={_posting(page)}",
        f"links={_step(len(links))}",
        f"links-nowhere={to(_NO_LINK)}",
        f"links-from-root={to({'root'})}",
        f"links-relative={to({'relative'})}",
        f"link-hosts={_step(len(linked))}",
        f"resources-absolute={source({'absolute'})}",
        f"resources-relative={source({'relative'})}",
        f"resources-from-root={source({'root'})}",
        f"icon={_icon(page, main)}",
        f"title-brand={_brand(title, main, {*sites, *map(site_of, used)})}",
        f"title-words={_step(len(title.split()))}",
        f"words={_step(n_words // 4)}",
    ]


def is_password(element: Element) -> bool:
    """Tell whether an element is a field that asks for a password."""
    kind = element.attributes.get("type", "").strip().lower()
    return element.name == "input" and kind == "password"


def describe_fact(fact: str) -> str:
    """Return a fact as people read it."""
    name, _, value = fact.partition("=")
    if name == "posts":
        kind, _, ending = value.partition(".")
        if kind == "no-form":
            return "no form"
        return f"a form that posts to {_ADDRESSES[kind]}{ending and f' (.{ending})'}"
    if name == "icon":
        return "no icon" if value == "no-icon" else f"an icon from {_ADDRESSES[value]}"
    if name == "title-brand":
        return _BRAND_PLACES[value]
    if name in _COUNTED:
        least = _STEPS[int(value) - 1] * (4 if name == "words" else 1) if int(value) else 0
        return f"{least} or more {_COUNTED[name]}" if least else f"hardly any {_COUNTED[name]}"
    what = _SHARED[name]
    if value == "no":
        return f"no {what.split(' ')[0]}"
    return f"{what}: {_SHARES[int(value)]}"


def encode_facts(facts: Iterable[str]) -> str:
    """Return facts as features of a normalized text: a letter and 18 bits of a checksum each."""
    numbers = (zlib.crc32(fact.encode()) for fact in facts)
    return "".join("a" + "".join(chr(0x30 + (n >> s & 63)) for s in (0, 6, 12)) for n in numbers)


def _shares(links: Sequence[Link]) -> Callable[[Iterable[str]], str]:
    """Return a function that gives the share of kinds of addresses, in quarters."""
    counts = Counter([link.kind for link in links])

    def share(kinds: Iterable[str]) -> str:
        n = sum(counts[kind] for kind in kinds)
        return "no" if not links else str(n and 1 + min(3, 4 * n // len(links)))

    return share


def _hosts(links: Iterable[Link]) -> Counter[str]:
    return Counter([link.host for link in links if link.host and link.kind == "absolute"])


def _posting(page: Sequence[tuple[Element, Link]]) -> str:
    """Return where the last form posts to: kind and ending."""
    form = next((item for item in reversed(page) if item[0].name == "form"), None)
    if form is None:
        return "no-form"
    target, kind = form[0].target or "", _kind(form[1])
    path = target.lower().partition("?")[0].partition("#")[0].partition(";")[0]
    ending = path.rpartition("/")[2].rpartition(".")[2]
    return f"{kind}.{ending}" if ending in _ENDINGS and kind in _WITH_PATH else kind


def _kind(link: Link) -> str:
    return "contact" if link.kind in ("mail", "phone") else link.kind


def _icon(page: Iterable[tuple[Element, Link]], main: str) -> str:
    """Return how the address of the icon is written, and whether links lead to its site."""
    for element, link in page:
        if element.name == "link" and "icon" in element.attributes.get("rel", "").lower():
            own = link.kind == "absolute" and main and link.host and main == site_of(link.host)
            return f"{link.kind}-own" if own else _kind(link)
    return "no-icon"


def _brand(title: str, main: str, sites: Iterable[str]) -> str:
    """Return whether the title names a brand, and whether links or resources lead to it."""
    named = words_in(title.lower().replace(" ", ""), LONG_BRANDS)
    if not named:
        return "none"
    if any(brand in main for brand in named):
        return "own"
    return "linked" if any(brand in site for brand in named for site in sites) else "absent"


def _step(n: int) -> int:
    return bisect.bisect_right(_STEPS, n)
