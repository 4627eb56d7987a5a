"""Where a link leads: host and path, and about the registered domain.

Without the Public Suffix List: an endpoint has none, and for comparing two hosts of one mail or
page it needs none.
"""

from buckler import _kernel

_SECOND_LEVEL = frozenset(("ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"))


_URL_V2, _BYTES = 4, 768  # the kernel's number of the form, and where it is cut


def host_and_path(address: str) -> tuple[str, str]:
    """Return host and path as in ``url-v2``: wrappers taken off, addresses and look-alikes read."""
    host, path = _kernel.normalize(_URL_V2, address, _BYTES).split(b"\x1f")[:2]
    return host.decode("utf-8", "replace"), path.decode("utf-8", "replace")


def site_of(host: str) -> str:
    """Return the last two labels; three below ``co.uk`` and the like."""
    labels = host.lower().strip(".").split(".")
    n = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-n:])
