"""Defanging: makes synthetic examples harmless by reserved names and addresses and inert payloads.

Names end in ``.example``, ``.test`` or ``.invalid``, or belong to ``example.com`` and its siblings
(RFC 2606, RFC 6761). Addresses are those for documentation (RFC 5737, RFC 3849). Long encoded blobs
become encoded remarks of similar length. A real name keeps its labels and loses only its suffix, so
that a student can still learn from it.
"""

import base64
import ipaddress
import re
from collections.abc import Callable
from hashlib import sha256

_RESERVED_SUFFIXES = ("example", "test", "invalid", "localhost")
_RESERVED_NAMES = ("example.com", "example.net", "example.org")
_RESERVED_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        # For documentation,
        *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"),
        # this machine, and what no router on the internet forwards.
        *("127.0.0.0/8", "0.0.0.0/8", "255.255.255.255/32", "::1/128", "::/128"),
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("fe80::/10", "fc00::/7"),
    )
)
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_DOTTED = rf"{_LABEL}(?:\.{_LABEL}){{1,12}}"
# A name counts as a host after a scheme, a share or an at sign.
_CALLED = re.compile(
    rf"(?P<before>(?:[a-z][a-z0-9+.-]{{1,12}}:)?//(?:[^\s/@\"'<>]{{1,80}}@)?|@|\\\\)(?P<host>{_DOTTED})",
    re.IGNORECASE,
)
# Elsewhere only with a suffix that is no usual end of a file's name.
_BARE = re.compile(
    rf"(?<![\w.@/\\-])(?P<host>{_DOTTED}(?<=\.com|\.net|\.org|.\.io|.\.ru|.\.cn|info|\.biz|\.xyz|\.top|"
    rf"\.dev|.\.de|.\.fr|.\.uk|.\.eu|.\.co))(?![\w\\.-])",
    re.IGNORECASE,
)
_DOS_PROGRAMS = re.compile(
    r"\A(?:command|more|tree|chcp|format|mode|diskcopy|win|edit)\.com\Z", re.I
)
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_IPV6 = re.compile(r"\[[0-9a-fA-F:.]{2,45}\]")
_NUMERIC_HOST = re.compile(r"(?<=//)(?:0x[0-9a-f]{8}|\d{8,10})(?=[/:?#\s\"']|\Z)", re.IGNORECASE)
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{40,}={0,2}")
_HEX = re.compile(
    r"(?:\\x[0-9a-fA-F]{2}|0x[0-9a-fA-F]{2},\s?){12,}|(?<![0-9a-fA-F])[0-9a-fA-F]{80,}"
)
_REMARK = "Write-Output 'synthetic';"


def defang(text: str) -> str:
    """Return a text with every name, address and blob replaced that is not harmless."""
    text = _BASE64.sub(_defang_base64, text)
    text = _HEX.sub(lambda m: m[0][: m[0].find("x") + 1] + "00" if "x" in m[0] else "0" * 80, text)
    text = _CALLED.sub(lambda m: m["before"] + _reserved_host(m["host"]), text)
    text = _BARE.sub(lambda m: _reserved_host(m["host"]), text)
    text = _IPV4.sub(lambda m: _reserved_address(m[0]), text)
    text = _NUMERIC_HOST.sub("3405803778", text)  # 203.0.113.2
    return _IPV6.sub(lambda m: m[0] if _is_reserved_address(m[0][1:-1]) else "[2001:db8::2]", text)


def find_unsafe(text: str) -> str | None:
    """Return the first part of a text that is not harmless; None if all is."""
    checks: tuple[tuple[re.Pattern[str], str | int, Callable[[str], bool]], ...] = (
        (_CALLED, "host", _is_reserved_host),
        (_BARE, "host", _is_reserved_host),
        (_IPV4, 0, _is_reserved_address),
        (_IPV6, 0, lambda address: _is_reserved_address(address[1:-1])),
        (_BASE64, 0, _is_remark),
    )
    for pattern, group, is_harmless in checks:
        for found in pattern.finditer(text):
            if not is_harmless(found[group]):
                return found[group][:60]
    found_hex = _HEX.search(text)
    if found_hex and set(found_hex[0]) - set("0x\\, "):
        return found_hex[0][:60]
    return None


def _is_reserved_host(host: str) -> bool:
    if _IPV4.fullmatch(host) or _DOS_PROGRAMS.match(host):
        return True  # addresses are checked separately
    host = host.lower().rstrip(".")
    return host.rsplit(".", 1)[-1] in _RESERVED_SUFFIXES or any(
        host == name or host.endswith("." + name) for name in _RESERVED_NAMES
    )


def _reserved_host(host: str) -> str:
    if _is_reserved_host(host):
        return host
    labels = host.split(".")
    # Also what stands before a country, as in co.uk.
    drop = 2 if len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3 else 1
    return ".".join([*labels[:-drop], "example"])


def _is_reserved_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True  # no address at all: a version, such as 1.2.3.400
    return any(address.version == n.version and address in n for n in _RESERVED_NETWORKS)


def _reserved_address(text: str) -> str:
    if _is_reserved_address(text):
        return text
    digest = sha256(text.encode()).digest()
    network = ("192.0.2", "198.51.100", "203.0.113")[digest[0] % 3]
    return f"{network}.{digest[1] % 254 + 1}"


def harmless_base64(n_characters: int) -> str:
    """Return about `n_characters` of base64 that encode a remark, repeated."""
    size = max(3, n_characters * 3 // 4)
    remark = (_REMARK * (size // len(_REMARK) + 1)).encode("utf-16-le")
    remark = remark[: size - size % 6]
    return base64.b64encode(remark).decode("ascii")


def _defang_base64(found: re.Match[str]) -> str:
    if _is_remark(found[0]) or found[0].isalpha() or ("/" in found[0] and found[0].islower()):
        return found[0]
    return harmless_base64(min(len(found[0]), 4096))


def _is_remark(blob: str) -> bool:
    if blob.isalpha() or ("/" in blob and blob.islower()):
        return True  # a path, or letters without a number among them: no code
    try:
        content = base64.b64decode(blob + "=" * (-len(blob) % 4))
    except ValueError:
        return True  # not decodable
    plain = content.replace(b"\0", b"")
    expected = (_REMARK * (len(plain) // len(_REMARK) + 2)).encode()
    return plain == expected[: len(plain)]


# --- for training, in memory only ----------------------------------------------------------------

_USUAL_SUFFIXES = ("com",) * 10 + ("net", "org", "info", "io", "co", "ru", "de", "fr", "eu", "xyz")
_RESERVED_HOST = re.compile(rf"(?P<stem>{_LABEL}(?:\.{_LABEL}){{0,12}})\.example(?![\w.-])", re.I)
_DOCUMENTATION = re.compile(r"(?<![\d.])(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}(?![\d.])")


def refang(text: str) -> str:
    """Return a text as a student sees it: usual suffixes and addresses in place of reserved ones.

    Otherwise every synthetic example would reveal itself, and ``.example`` would become a sign of
    attack. The result becomes features at once and is never written anywhere. The choice depends
    only on the name.
    """

    def add_suffix(found: re.Match[str]) -> str:
        pick = sha256(found["stem"].lower().encode()).digest()[0]
        return f"{found['stem']}.{_USUAL_SUFFIXES[pick % len(_USUAL_SUFFIXES)]}"

    def choose_address(found: re.Match[str]) -> str:
        a, b, c, d = sha256(found[0].encode()).digest()[:4]
        return f"{a % 150 + 30}.{b}.{c}.{d}"

    return _DOCUMENTATION.sub(choose_address, _RESERVED_HOST.sub(add_suffix, text))
