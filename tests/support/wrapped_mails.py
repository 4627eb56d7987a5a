"""Writers of mails inside other formats: opaque S/MIME and winmail.dat."""

import struct

SIGNED, DATA, ENVELOPED = (bytes.fromhex(f"2a864886f70d0107{n}") for n in ("02", "01", "03"))


def ber(tag: int, content: bytes, *, is_open: bool = False) -> bytes:
    """One element; an open one has no length and ends with two zeros."""
    if is_open:
        return bytes([tag, 0x80]) + content + b"\0\0"
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes(4, "big")
    return bytes([tag, 0x84]) + size + content


def signed_mail(content: bytes, *, kind: bytes = SIGNED, is_open: bool = False) -> bytes:
    """Opaque S/MIME; an open one is cut into pieces, as programs that stream write it."""
    octets = ber(0x04, content)
    if is_open:
        pieces = [content[at : at + 10] for at in range(0, len(content), 10)]
        octets = ber(0x24, b"".join(ber(0x04, piece) for piece in pieces), is_open=True)
    wrapped = ber(0x30, ber(0x06, DATA) + ber(0xA0, octets, is_open=is_open), is_open=is_open)
    signed = ber(0x30, ber(2, b"\1") + ber(0x31, b"") + wrapped + ber(0x31, b""), is_open=is_open)
    return ber(0x30, ber(0x06, kind) + ber(0xA0, signed, is_open=is_open), is_open=is_open)


def attribute(level: int, name: int, value: bytes) -> bytes:
    return (
        struct.pack("<BII", level, name, len(value)) + value + struct.pack("<H", sum(value) & 65535)
    )


def properties(values: "list[tuple[int, int, bytes | int]]") -> bytes:
    """A block of MAPI properties: type, name and value of each."""
    block = struct.pack("<I", len(values))
    for kind, name, value in values:
        block += struct.pack("<HH", kind, name)
        if name >= 0x8000:
            block += bytes(16) + struct.pack("<II", 1, 4) + "a\0".encode("utf-16-le")
        if isinstance(value, int):
            block += struct.pack("<I", value)
        else:
            block += struct.pack("<II", 1, len(value)) + value + bytes(-len(value) % 4)
    return block


def winmail(*attributes: bytes, code_page: int = 1252) -> bytes:
    first = attribute(1, 0x00069007, struct.pack("<II", code_page, 0))
    return b"\x78\x9f\x3e\x22" + b"\1\0" + first + b"".join(attributes)
