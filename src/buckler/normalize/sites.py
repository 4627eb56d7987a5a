"""Targets of links: host, path, and an approximate registered domain.

An endpoint has no Public Suffix List, and comparing two hosts of one mail or page needs none.
"""

from buckler import _kernel

_SECOND_LEVEL = frozenset(("ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"))


_URL_V3, _MAX_BYTES = 5, 771  # the kernel's number of url-v3, and the length limit


def host_and_path(address: str) -> tuple[str, str]:
    """Return host and path as in ``url-v3``: unwrapped, with addresses and look-alikes resolved."""
    host, path = _kernel.normalize(_URL_V3, address, _MAX_BYTES).split(b"\x1f")[:2]
    return host.decode("utf-8", "replace"), path.decode("utf-8", "replace")


def site_of(host: str) -> str:
    """Return the last two labels; three below ``co.uk`` and the like."""
    labels = host.lower().strip(".").split(".")
    n = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-n:])
