"""Rich text of Outlook messages: compressed ([MS-OXRTFCP]), and HTML inside it ([MS-OXRTFEX])."""

import re
import struct
from typing import NamedTuple

from buckler.normalize.charsets import decode_text

_DICTIONARY = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern "
    b"\\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier"
    b"{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,9})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([^\\{}\r\n]+)",
    re.S,
)
_SKIPPED = frozenset(
    (b"fonttbl", b"colortbl", b"stylesheet", b"info", b"pict", b"object", b"pntext", b"themedata")
)
_SPACES = {
    b"par": b"\n",
    b"line": b"\n",
    b"tab": b"\t",
    b"row": b"\n",
    b"cell": b" ",
    b"nbsp": b" ",
}
_LITERALS = {
    b"{": b"{",
    b"}": b"}",
    b"\\": b"\\",
    b"~": b" ",
    b"_": b"-",
    b"\n": b"\n",
    b"\r": b"\n",
}
_SIGNS = {
    **{b"lquote": "\u2018", b"rquote": "\u2019", b"ldblquote": "\u201c", b"rdblquote": "\u201d"},
    **{b"bullet": "\u2022", b"endash": "\u2013", b"emdash": "\u2014"},
}


class RichText(NamedTuple):
    """Text, and the HTML page that the rich text was made of; each may be empty."""

    text: str
    page: str


def read_rich_text(data: bytes, limit: int) -> RichText:
    """Return what compressed rich text holds; never raises."""
    source = decompress(data, limit)
    text = _text_of(source)
    return RichText("", text) if b"\\fromhtml" in source[:4096] else RichText(text, "")


def decompress(data: bytes, limit: int) -> bytes:
    """Return the first bytes of compressed rich text."""
    if len(data) < 16:
        return b""
    size, kind = struct.unpack_from("<4xI4s4x", data)
    size = min(size, limit)
    if kind != b"LZFu":
        return data[16 : 16 + size] if kind == b"MELA" else b""
    out = bytearray(_DICTIONARY)  # the window of 4,096 bytes is the end of it
    size += len(out)
    position = 16
    while position < len(data) and len(out) < size:
        control, position = data[position], position + 1
        for bit in range(8):
            if not control >> bit & 1:
                out += data[position : position + 1]
                position += 1
                continue
            reference = int.from_bytes(data[position : position + 2], "big")
            position += 2
            back = (len(out) - (reference >> 4)) % 4096
            if back == 0 or position > len(data):  # the mark of the end
                return bytes(out[len(_DICTIONARY) : size])
            for _ in range((reference & 15) + 2):
                out.append(out[-back] if back <= len(out) else 0)
    return bytes(out[len(_DICTIONARY) : size])


class _Group(NamedTuple):
    """State that ends with a group: content to leave out, and the length of a fallback."""

    is_skipped: bool = False
    is_markup: bool = False
    fallback: int = 1


def _text_of(source: bytes) -> str:
    """Return the text of rich text; of HTML inside, tags and text without what only RTF shows."""
    out = bytearray()  # UTF-16; bytes of the code page wait in `encoded`
    encoded = bytearray()
    label, groups, group = "windows-1252", [], _Group()
    is_optional, unread = False, 0

    def write(text: str) -> None:
        nonlocal encoded
        out.extend(decode_text(bytes(encoded), label).encode("utf-16-le", "surrogatepass"))
        out.extend(text.encode("utf-16-le", "surrogatepass"))
        encoded = bytearray()

    for match in _TOKEN.finditer(source):
        word, number, code, sign, brace, text = match.groups()
        if brace == b"{":
            groups.append(group)
            is_optional = False
        elif brace == b"}":
            group = groups.pop() if groups else _Group()
        elif sign == b"*":
            is_optional = True
        elif word is not None:
            value = int(number) if number else None
            if word in _SKIPPED or (is_optional and word != b"htmltag"):
                group = group._replace(is_skipped=True)
            elif word == b"htmlrtf":
                group = group._replace(is_markup=value != 0)
            elif word == b"uc":
                group = group._replace(fallback=max(0, value or 0))
            elif word == b"ansicpg" and value:
                label = f"cp{value}"
            elif not (group.is_skipped or group.is_markup):
                if word == b"u" and value is not None:
                    write(chr(value & 0xFFFF))
                    unread = group.fallback
                elif word in _SPACES:
                    encoded += _SPACES[word]
                elif word in _SIGNS:
                    write(_SIGNS[word])
            is_optional = False
        elif not (group.is_skipped or group.is_markup):
            piece = bytes([int(code, 16)]) if code else text or _LITERALS.get(sign, b"")
            encoded += piece[unread:]
            unread = max(0, unread - len(piece))
    write("")
    return out.decode("utf-16-le", "replace")
