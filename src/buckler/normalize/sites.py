"""Targets of links: host, path, and an approximate registered domain.

An endpoint has no Public Suffix List, and comparing two hosts of one mail or page needs none.
"""

from collections.abc import Sequence
from typing import NamedTuple

from buckler import _kernel

_SECOND_LEVEL = frozenset(("ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"))
_NO_SITE = {"": "nowhere", "none": "nowhere", "fragment": "nowhere"}
_NO_SITE |= {"script": "javascript", "data": "data", "mail": "mailto"}
_URL_V3, _MAX_BYTES = 5, 771  # the kernel's number of url-v3, and the length limit


def host_and_path(address: str) -> tuple[str, str]:
    """Return host and path as in ``url-v3``: unwrapped, with addresses and look-alikes resolved."""
    host, path = _kernel.normalize(_URL_V3, address, _MAX_BYTES).split(b"\x1f")[:2]
    return host.decode("utf-8", "replace"), path.decode("utf-8", "replace")


class Link(NamedTuple):
    """Target of a link, form or resource.

    Attributes
    ----------
    kind
        Way of writing it: ``absolute``, ``root``, ``relative``, ``fragment``, ``script``, ``data``,
        ``mail``, ``phone``, ``local``; empty where it is, and ``none`` without one.
    host
        Host that it names, or an empty string.
    place
        Destination, seen from its page: ``own`` and ``other`` sites, ``nowhere``, or by a scheme
        ``javascript``, ``data``, ``mailto``.
    """

    kind: str
    host: str
    place: str


def read_links(address: str, site: str, targets: Sequence[str | None]) -> list[Link]:
    """Return what each target of a page is; address and site of the page may be empty."""
    sites: dict[str, str] = {}
    links = []
    for kind, host, reached in _kernel.read_links(address, list(targets)):
        place = _NO_SITE.get(kind, "own" if not reached else "other")
        if site and place == "other":
            if reached not in sites:
                sites[reached] = site_of(reached)
            place = "own" if sites[reached] == site else "other"
        links.append(Link(kind, host, place))
    return links


def site_of(host: str) -> str:
    """Return the last two labels; three below ``co.uk`` and the like."""
    labels = host.lower().strip(".").split(".")
    n = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-n:])
