"""Targets of links: host, path, and an approximate registered domain.

An endpoint has no Public Suffix List, and comparing two hosts of one mail or page needs none.
"""

import re

from buckler import _kernel

_SECOND_LEVEL = frozenset(("ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"))


_URL_V3, _MAX_BYTES = 5, 771  # the kernel's number of url-v3, and the length limit


def host_and_path(address: str) -> tuple[str, str]:
    """Return host and path as in ``url-v3``: unwrapped, with addresses and look-alikes resolved."""
    host, path = _kernel.normalize(_URL_V3, address, _MAX_BYTES).split(b"\x1f")[:2]
    return host.decode("utf-8", "replace"), path.decode("utf-8", "replace")


_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.I)
_WEB = frozenset(("http", "https", "ftp", "ws", "wss"))
_ENDS = "".join(map(chr, range(0x21)))  # dropped at both ends
_SLASHES = "/\\"
_BREAKS = str.maketrans("", "", "\t\n\r")


def resolve(base: str, target: str) -> str:
    """Return a link's target as the URL standard resolves it; a relative one without a base stays.

    Slashes may lean either way, and be any number behind a web scheme.
    """
    scheme, rest = _split_scheme(target)
    own, place = _split_scheme(base) if base else ("", "")
    if scheme and scheme not in _WEB:
        return f"{scheme}:{rest}"
    inner = rest.lstrip(_SLASHES)
    slashes = len(rest) - len(inner)
    if scheme and (scheme != own or slashes > 1):
        return f"{scheme}://{inner}"
    if own not in _WEB and (own or slashes > 1 or not place):
        return f"//{inner}" if slashes > 1 else rest
    if slashes > 1:
        return f"{own}://{inner}"
    start = f"{own}://" if own else "//"
    if own or place[:2].replace("\\", "/") == "//":
        authority, path = re.findall(r"[/\\]*([^/\\?#]*)([^?#]*)", place)[0]
    else:
        start, authority, path = "", "", re.split(r"[?#]", place)[0]
    path = path.replace("\\", "/") or ("/" if start else "")
    if slashes:
        path = ""
    elif rest[:1] not in ("?", "#", ""):
        path = path[: path.rfind("/") + 1]
    return f"{start}{authority}{path}{rest}"


def resolve_in_page(base: str, target: str) -> str:
    """Return a target resolved by a page's ``base``; without one, only cleaned."""
    return resolve(base, target) if base else _clean(target)


def _clean(address: str) -> str:
    address = address.strip(_ENDS)
    return address if address.isprintable() else address.translate(_BREAKS)


def _split_scheme(address: str) -> tuple[str, str]:
    address = _clean(address)
    scheme = _SCHEME.match(address)
    return (scheme[1].lower(), address[scheme.end() :]) if scheme is not None else ("", address)


def site_of(host: str) -> str:
    """Return the last two labels; three below ``co.uk`` and the like."""
    labels = host.lower().strip(".").split(".")
    n = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-n:])
