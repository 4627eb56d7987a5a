"""Mails inside a part of another format, which mail programs open and show.

Opaque S/MIME (RFC 5652) signs a copy of the mail; Outlook's winmail.dat (TNEF, [MS-OXTNEF]) holds
the text as Outlook keeps it.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from buckler.normalize.outlook_message import (
    CODE_PAGES,
    MAX_ATTACHMENTS,
    Properties,
    attached_file,
    bodies,
    join_parts,
)

_MAX_DEPTH = 16
_MAX_ELEMENTS = 20_000  # of an element; usual pieces are of 1,024 bytes and more
_MAX_MESSAGES = 4  # inside each other
_SIGNED = bytes.fromhex("2a864886f70d010702")
_SEQUENCE, _OCTETS, _OCTETS_IN_PIECES = 0x30, 0x04, 0x24

_TNEF = b"\x78\x9f\x3e\x22"
_NEW_ATTACHMENT, _CODE_PAGE, _TITLE, _FILE = 0x00069002, 0x00069007, 0x00018010, 0x0006800F
_OF_MESSAGE, _OF_ATTACHMENT, _PLAIN_BODY = 0x00069003, 0x00069005, 0x0002800C
_BODY, _DATA, _NAME = 0x1000, 0x3701, 0x3707
_BYTES, _TEXT, _OBJECT = 0x0102, 0x001E, 0x000D
_SEVERAL = 0x1000  # a flag of the type
_SIZES = {**dict.fromkeys((2, 3, 4, 10, 11), 4), **dict.fromkeys((5, 6, 7, 20, 64), 8), 72: 16}


class _Element(NamedTuple):
    tag: int
    begin: int
    end: int
    next: int


def signed_content(data: bytes) -> bytes | None:
    """Return what opaque S/MIME signs, a part with headers; None where it is encrypted or broken.

    The signature is not checked: mail programs show the content whoever signed it.
    """
    try:
        outer = _element(data, 0, len(data))
        kind, content = _first(data, outer, 2)
        if outer.tag != _SEQUENCE or data[kind.begin : kind.end] != _SIGNED:
            return None
        signed = _first(data, content, 1)[0]
        wrapped = next(each for each in _elements(data, signed) if each.tag == _SEQUENCE)
        octets = _first(data, _first(data, wrapped, 2)[1], 1)[0]
    except (ValueError, StopIteration):
        return None
    if octets.tag != _OCTETS_IN_PIECES:
        return data[octets.begin : octets.end] if octets.tag == _OCTETS else None
    pieces = []
    with suppress(ValueError):  # those before damage are kept
        for piece in _elements(data, octets):
            pieces.append(data[piece.begin : piece.end] if piece.tag == _OCTETS else b"")
    return b"".join(pieces)


def _first(data: bytes, parent: _Element, n: int) -> list[_Element]:
    """Return the first elements inside another."""
    elements = _elements(data, parent)
    return [next(elements) for _ in range(n)]


def _elements(data: bytes, parent: _Element) -> Iterator[_Element]:
    at, left = parent.begin, _MAX_ELEMENTS
    while at < parent.end and left:
        element = _element(data, at, parent.end)
        yield element
        at, left = element.next, left - 1


def _element(data: bytes, at: int, end: int, depth: int = 0) -> _Element:
    """Read one element of BER; one that is cut off ends with the data."""
    if end - at < 2 or depth > _MAX_DEPTH or data[at] & 0x1F == 0x1F:
        raise ValueError("no element")
    tag, size, begin = data[at], data[at + 1], at + 2
    if size == 0x80:  # ends behind its last element, with two zeros
        at, left = begin, _MAX_ELEMENTS
        while at < end and data[at : at + 2] != b"\0\0":
            at, left = _element(data, at, end, depth + 1).next, left - 1
            if not left:
                raise ValueError("too many elements")
        return _Element(tag, begin, at, min(at + 2, end))
    if size > 0x80:
        begin, size = begin + size - 0x80, int.from_bytes(data[begin : begin + size - 0x80], "big")
    begin = min(begin, end)
    stop = min(begin + size, end)
    return _Element(tag, begin, stop, stop)


class _TnefProperties(Properties):
    """Properties in winmail.dat, of the message or of one attachment."""

    def __init__(self, label: str = "") -> None:
        self.label = self.page_label = label
        self._values: dict[tuple[int, int], bytes] = {}

    def stream(self, name: int, kind: int, limit: int) -> bytes:
        """Return the bytes of a property of this kind."""
        return self._values.get((name, kind), b"")[:limit]

    def add(self, name: int, kind: int, value: bytes) -> None:
        """Keep a property; the first of its name counts."""
        self._values.setdefault((name, kind), value.rstrip(b"\0") if kind == _TEXT else value)

    def read(self, data: bytes) -> None:
        """Add the properties of a block; what is cut off is left out."""
        try:
            at = 4
            for _ in range(int.from_bytes(data[:4], "little")):
                at = self._read_one(data, at)
        except struct.error:
            return

    def _read_one(self, data: bytes, at: int) -> int:
        kind, name = struct.unpack_from("<HH", data, at)
        at += 4
        if name >= 0x8000:  # with a name of its own
            is_text, size = struct.unpack_from("<16xII", data, at)
            at += 24 + (_round_up(size) if is_text else 0)
        plain_kind, count = kind & ~_SEVERAL, 1
        size = _SIZES.get(plain_kind)
        if size is None or kind & _SEVERAL:
            (count,) = struct.unpack_from("<I", data, at)
            at += 4
        for _ in range(count):
            length = size
            if length is None:
                (length,) = struct.unpack_from("<I", data, at)
                at += 4
            elif at >= len(data):
                raise struct.error("cut off")
            self.add(name, plain_kind, data[at : at + length])
            at += _round_up(length)
        return at


def tnef_message(data: bytes) -> bytes | None:
    """Return what winmail.dat holds, a multipart: text, page, attached mails, names of files."""
    return _convert(data, 0)


def _convert(data: bytes, depth: int) -> bytes | None:
    if not data.startswith(_TNEF):
        return None
    message = _TnefProperties()
    attachments: list[_TnefProperties] = []
    for name, value in _attributes(data):
        holder = attachments[-1] if attachments else message
        if name == _CODE_PAGE:
            label = CODE_PAGES.get(int.from_bytes(value[:4], "little"), "")
            message.label = message.page_label = label
        elif name == _OF_MESSAGE:
            message.read(value)
        elif name == _PLAIN_BODY:
            message.add(_BODY, _TEXT, value)
        elif name == _NEW_ATTACHMENT and len(attachments) < MAX_ATTACHMENTS:
            attachments.append(_TnefProperties(message.label))
        elif name == _OF_ATTACHMENT:
            holder.read(value)
        elif name == _TITLE:
            holder.add(_NAME, _TEXT, value)
        elif name == _FILE:
            holder.add(_DATA, _BYTES, value)
    return join_parts([*bodies(message), *(_attachment(each, depth) for each in attachments)])


def _attachment(attachment: _TnefProperties, depth: int) -> bytes:
    inner = attachment.stream(_DATA, _OBJECT, 1 << 20)[16:]  # behind the id of its interface
    attached = _convert(inner, depth + 1) if depth < _MAX_MESSAGES else None
    if attached is not None:
        return b"Content-Type: message/rfc822\n\n" + attached
    return attached_file(attachment, attachment.stream(_DATA, _BYTES, 1 << 20))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 6
    while at + 9 <= len(data):
        name, size = struct.unpack_from("<II", data, at + 1)
        yield name, data[at + 9 : at + 9 + size]
        at += 9 + size + 2  # a checksum


def _round_up(size: int) -> int:
    return -(-size // 4) * 4
