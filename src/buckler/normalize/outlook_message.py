"""Outlook messages ([MS-OXMSG]) as the internet messages that they were: headers, bodies, names."""

import re
import struct
from base64 import encodebytes
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from urllib.parse import quote

from buckler.normalize.charsets import decode_page, decode_text
from buckler.normalize.compound_file import MAGIC, CompoundFile, Path
from buckler.normalize.mail_headers import Headers, first_value, read_headers
from buckler.normalize.rich_text import read_rich_text

MAX_PLAIN_BYTES = 1 << 18
MAX_PAGE_BYTES = 1 << 20
MAX_ATTACHMENTS = 64  # of a message and of those inside
MAX_ATTACHED_BYTES = 16 << 20
_MAX_DEPTH = 8
_MAX_TEXT_BYTES = 1 << 16
_KEPT = ("To", "Sender", "Reply-To", "Date", "Authentication-Results")
CODE_PAGES = {
    **{437: "ibm437", 850: "ibm850", 852: "ibm852", 866: "ibm866", 874: "windows-874"},
    **{932: "shift_jis", 936: "gbk", 949: "euc-kr", 950: "big5", 1200: "utf-16le"},
    **{10000: "macintosh", 20127: "us-ascii", 20866: "koi8-r", 21866: "koi8-u"},
    **{20932: "euc-jp", 50220: "iso-2022-jp", 50221: "iso-2022-jp", 50222: "iso-2022-jp"},
    **{50225: "iso-2022-kr", 51932: "euc-jp", 51936: "gbk", 51949: "euc-kr", 52936: "hz-gb-2312"},
    **{54936: "gb18030", 65000: "utf-7", 65001: "utf-8"},
    **{page: f"windows-{page}" for page in range(1250, 1259)},
    **{28590 + part: f"iso-8859-{part}" for part in range(1, 17)},
}
_KIND = re.compile(r"(?!multipart/|message/|text/)[\w.+-]{1,64}/[\w.+-]{1,64}\Z", re.I | re.A)
# Properties by number.
_SUBJECT, _SENT, _HEADERS, _DELIVERED = 0x0037, 0x0039, 0x007D, 0x0E06
_SENDER_NAMES, _SENDER_ADDRESSES = (0x0042, 0x0C1A), (0x5D02, 0x5D01, 0x0065, 0x0C1F)
_BODY, _RTF, _HTML, _CODE_PAGE, _INTERNET_CODE_PAGE = 0x1000, 0x1009, 0x1013, 0x3FFD, 0x3FDE
_DATA, _METHOD, _NAMES, _MIME = 0x3701, 0x3705, (0x3707, 0x3704, 0x3001), 0x370E


def internet_message(data: bytes) -> bytes | None:
    """Return an RFC 5322 message; None where the bytes are no Outlook message."""
    return _convert(data, 0, iter(range(MAX_ATTACHMENTS)))


def _convert(data: bytes, depth: int, turns: Iterator[int]) -> bytes | None:
    try:
        message = _Storage(CompoundFile(data), ())
    except (ValueError, struct.error):
        return None
    return _compose(message, depth, turns) if message.has_properties else None


class Properties:
    """Properties of a message or an attachment, wherever Outlook keeps them.

    Attributes
    ----------
    label, page_label
        Charset labels of texts, and of the page.
    """

    label, page_label = "", ""

    def stream(self, name: int, kind: int, limit: int) -> bytes:
        """Return the bytes of a property of this kind."""
        raise NotImplementedError

    def text(self, *names: int, limit: int = _MAX_TEXT_BYTES) -> str:
        """Return the first of these texts that is not empty."""
        for name in names:
            if data := self.stream(name, 0x001F, limit):
                return data.decode("utf-16-le", "replace").replace("\0", "")
            if data := self.stream(name, 0x001E, limit):
                return decode_text(data, self.label or self.page_label).replace("\0", "")
        return ""


class _Storage(Properties):
    """Properties in a compound file."""

    def __init__(self, file: CompoundFile, path: Path, label: str = "", page: str = "") -> None:
        self.file, self.path = file, path
        head = 8 if path and path[-1].startswith("__ATTACH") else 24 if path else 32
        stream = (*path, "__PROPERTIES_VERSION1.0")
        self.has_properties = stream in file.streams
        self._fixed: dict[int, bytes] = {}
        entries = file.read(stream, 1 << 16)[head:]
        for _, number, value in struct.iter_unpack("<HH4x8s", entries[: len(entries) // 16 * 16]):
            self._fixed.setdefault(number, value)
        self.label = CODE_PAGES.get(self.number(_CODE_PAGE), label)
        self.page_label = CODE_PAGES.get(self.number(_INTERNET_CODE_PAGE), page)

    def inner(self, name: str) -> "_Storage":
        """Return a storage inside."""
        return _Storage(self.file, (*self.path, name), self.label, self.page_label)

    def number(self, name: int) -> int:
        """Return a number; 0 where there is none."""
        return int.from_bytes(self._fixed.get(name, b"")[:4], "little")

    def time(self, name: int) -> str:
        """Return a point in time as mail writes it."""
        ticks = int.from_bytes(self._fixed.get(name, b""), "little")  # of 100 ns, since 1601
        try:
            moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
        except OverflowError:
            return ""
        return format_datetime(moment) if ticks else ""

    def stream(self, name: int, kind: int, limit: int) -> bytes:
        """Return the bytes of a property of this kind."""
        return self.file.read((*self.path, f"__SUBSTG1.0_{name:04X}{kind:04X}"), limit)


def _compose(message: _Storage, depth: int, turns: Iterator[int]) -> bytes:
    """Return the message; `turns` ends with the last attachment to read."""
    headers = read_headers(message.text(_HEADERS).replace("\r\n", "\n").encode("utf-8", "replace"))[
        0
    ]
    parts = [*bodies(message), *_attachments(message, depth, turns)]
    return b"\n".join([*_headers(message, headers), join_parts(parts)])


def join_parts(parts: list[bytes]) -> bytes:
    """Return a multipart, from its header lines on."""
    boundary = sha256(b"".join(parts)).hexdigest().encode()  # no content holds its own digest
    lines = [b"MIME-Version: 1.0", b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\n']
    body = b"".join(b"--" + boundary + b"\n" + part + b"\n" for part in parts)
    return b"\n".join([*lines, body + b"--" + boundary + b"--\n"])


def _headers(message: _Storage, headers: Headers) -> Iterator[bytes]:
    """Yield the header lines: as transported, else from the properties."""
    address = message.text(*_SENDER_ADDRESSES)
    name = message.text(*_SENDER_NAMES).replace('"', "'")
    sender = f'"{name}" <{address}>' if "@" in address else f'"{name}"' if name else ""
    known = {
        "From": first_value(headers, "from") or _as_header(sender),
        "Subject": _as_header(message.text(_SUBJECT)) or first_value(headers, "subject"),
        **{name: first_value(headers, name.lower()) for name in _KEPT},
    }
    known["Date"] = known["Date"] or (message.time(_SENT) or message.time(_DELIVERED)).encode()
    for field, value in known.items():
        if value:
            yield field.encode() + b": " + b" ".join(value.split())


def _as_header(text: str) -> bytes:
    return " ".join(text.split()).encode("utf-8", "replace")


def bodies(message: Properties) -> Iterator[bytes]:
    """Yield the parts of the text and of the page."""
    plain = message.text(_BODY, limit=MAX_PLAIN_BYTES)
    data = message.stream(_HTML, 0x0102, MAX_PAGE_BYTES)
    page = (
        decode_page(data, message.page_label) if data else message.text(_HTML, limit=MAX_PAGE_BYTES)
    )
    if not page:
        rich = read_rich_text(message.stream(_RTF, 0x0102, MAX_PAGE_BYTES), MAX_PAGE_BYTES)
        page, plain = rich.page, plain or rich.text
    for kind, text in (("plain", plain), ("html", page)):
        if text.strip():
            head = f"Content-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
            yield (head + text.replace("\r\n", "\n")).encode("utf-8", "replace")


def _attachments(message: _Storage, depth: int, turns: Iterator[int]) -> Iterator[bytes]:
    """Yield a part for each attachment; of messages with their content."""
    names = sorted(message.file.storages.get(message.path, ()))
    for name in names:
        if not name.startswith("__ATTACH") or next(turns, None) is None:
            continue
        attachment = message.inner(name)
        head = _name_lines(attachment.text(*_NAMES))[1]
        embedded = attachment.inner(f"__SUBSTG1.0_{_DATA:04X}000D")
        data = attachment.stream(_DATA, 0x0102, MAX_ATTACHED_BYTES)
        attached = None
        if depth < _MAX_DEPTH:
            if embedded.has_properties:
                attached = _compose(embedded, depth + 1, turns)
            elif data.startswith(MAGIC):
                attached = _convert(data, depth + 1, turns)
        if attached is not None:
            yield b"Content-Type: message/rfc822\n" + head + b"\n" + attached
        else:
            yield attached_file(attachment, data)


def attached_file(attachment: Properties, data: bytes) -> bytes:
    """Return the part of an attached file: of a mail with its content, of others the name."""
    file_name, head = _name_lines(attachment.text(*_NAMES))
    if file_name.lower().endswith(".eml"):
        head += b"Content-Transfer-Encoding: base64\n"
        return b"Content-Type: message/rfc822\n" + head + b"\n" + encodebytes(data)
    kind = _KIND.match(attachment.text(_MIME)) or _KIND.match("application/octet-stream")
    return f"Content-Type: {kind[0] if kind else ''}\n".encode() + head + b"\n"


def _name_lines(name: str) -> tuple[str, bytes]:
    file_name = quote(" ".join(name.split())[:255], safe="")
    head = f"Content-Disposition: attachment; filename*=utf-8''{file_name}\n"
    return file_name, head.encode()
