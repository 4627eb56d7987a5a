"""The group of an event: what must not stand on both sides of a split."""

import re
from functools import lru_cache

from publicsuffixlist import PublicSuffixList

_SENDER = re.compile(rb"^from:[^\r\n]{0,998}?@([a-z0-9.-]{1,253})", re.I | re.M)
_MAX_HEADER_BYTES = 1 << 16


def group_of(text: bytes, normalized: bytes, group_by: str) -> str | None:
    """Return the group of one event by the task's rule; None where it has none."""
    if group_by == "registered-domain":
        return registered_domain(normalized.partition(b"\x1f")[0])
    if group_by == "page-domain":  # the first field of a page's form is its host and path
        return registered_domain(normalized.partition(b"\x1f")[0].partition(b"/")[0]) or None
    if group_by == "sender-domain":
        match = _SENDER.search(text[:_MAX_HEADER_BYTES])
        return registered_domain(match.group(1).lower()) if match else None
    return None


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=True)


@lru_cache(maxsize=1 << 16)
def registered_domain(host: bytes) -> str:
    """Return the registered domain of a normalized host; private suffixes count as suffixes.

    The Public Suffix List is the copy inside the installed package: no network.
    """
    name = host.decode("utf-8", "replace").rpartition("@")[2]
    name = name.rsplit(":", 1)[0] if name.rsplit(":", 1)[-1].isdigit() else name
    if name.replace(".", "").isdigit() or len(name) > 253:
        return name[:253]
    try:
        name_in_list = name.encode("idna").decode() if not name.isascii() else name
    except UnicodeError:
        return name
    return _suffixes().privatesuffix(name_in_list) or name
