"""About the registered domain of a host, without the Public Suffix List.

An endpoint has no list, and for comparing two hosts of one mail or page it needs none.
"""

_SECOND_LEVEL = frozenset(("ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"))


def site_of(host: str) -> str:
    """Return the last two labels; three below ``co.uk`` and the like."""
    labels = host.lower().strip(".").split(".")
    n = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-n:])
