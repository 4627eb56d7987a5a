"""MIME messages as mail programs show them: parts and texts, in linear time, without errors.

The standard library's parser follows the grammar: what breaks it (a line without a colon, a folded
boundary, a second padded base64 block) takes bodies and links out of sight, and attackers choose
to break it. This one accepts what mail programs accept.
"""

import re
from binascii import Error, a2b_uu
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from buckler._kernel import base64_bytes, base64_lines, line_feeds, quoted_bytes
from buckler.normalize.charsets import decode_text, encode_page, encode_text, is_in_charset
from buckler.normalize.mail_headers import (
    Headers,
    charset_of,
    decode_words,
    first_value,
    parameters,
    read_headers,
)
from buckler.normalize.mail_wrappers import signed_content, tnef_message
from buckler.normalize.outlook_message import internet_message

MAX_MESSAGE_BYTES = 1 << 20
MAX_PARTS = 1000
MAX_DEPTH = 32
MAX_TEXT_CHARACTERS = 1 << 16
_MAX_BOUNDARIES = 4
_SEPARATOR = "\x1f"
_TYPE = re.compile(r"([\w.+-]{1,64})\s{0,8}/\s{0,8}([\w.+-]{1,100})", re.A)
_COMMENT = re.compile(rb"\([^()]*\)")
# A line that may be a boundary where the header names none that occurs.
_DELIMITER = re.compile(rb"^--([^\n]{1,200}?)[ \t]*\n(?=content-[a-z-]{1,40}[ \t]*:)", re.I | re.M)
_ENCODING = re.compile(rb"base64|quoted.?printable|uue", re.I)
_ASCII = bytes(range(128))
_FLOWED = re.compile(r"(?<!\n--) \n ?")  # a line that goes on; "-- " stands before a signature
_PRINTED = bytes(c for c in range(256) if c >= 32 or c in b"\0\t\n\f\r\x0e\x0f\x1b")
_BLANK = b" \t\n\0"
_MESSAGES = frozenset(
    ("message/rfc822", "message/global", "message/news", "message/partial", "application/eml")
)
# Formats that hold a part: reader, media types, ending of names, and whether it is a message.
_WRAPPERS: tuple[tuple[Callable[[bytes], bytes | None], tuple[str, ...], str, bool], ...] = (
    (internet_message, ("application/vnd.ms-outlook",), ".msg", True),
    (tnef_message, ("application/ms-tnef", "application/vnd.ms-tnef"), "winmail.dat", False),
    (signed_content, ("application/pkcs7-mime", "application/x-pkcs7-mime"), ".p7m", False),
)


def join_fields(fields: list[str]) -> str:
    """Join fields; a separator inside one becomes a space."""
    return _SEPARATOR.join([field.replace(_SEPARATOR, " ") for field in fields])


@dataclass(frozen=True)
class Part:
    """One part of a message.

    Attributes
    ----------
    headers
        Values by name in lower case.
    kind
        Media type in lower case, such as ``text/html``.
    body
        Content as transferred.
    names
        File names, each once; first the one that most mail programs show.
    span
        Starts of headers and of body, and the end, in the bytes that were parsed; None inside an
        encoded part.
    is_message
        The part is a message of its own: the whole one, or an attached one.
    is_container
        The parts that follow are parts of this one, which has no text.
    """

    headers: Headers
    kind: str
    body: bytes
    names: list[str]
    span: tuple[int, int, int] | None
    is_message: bool = False
    is_container: bool = False

    @property
    def is_html(self) -> bool:
        """The text is HTML."""
        return self.kind in ("text/html", "text/x-amp-html")

    @property
    def is_shown(self) -> bool:
        """Mail programs show the part as text of the message."""
        if self.is_container or not self.kind.startswith("text/"):
            return False
        if self.is_message:
            return True
        value = first_value(self.headers, "content-disposition")
        if b"(" in value:
            value = _COMMENT.sub(b"", value)
        disposition = value.strip(b" \"'").lower()
        if disposition.startswith(b"attachment"):
            return False
        usual = self.is_html or self.kind == "text/plain" or disposition.startswith(b"inline")
        return usual or not self.names

    @property
    def is_attachment(self) -> bool:
        """Mail programs show the part by its name, or by its type."""
        if self.is_container:
            return bool(self.names) and not self.kind.startswith("multipart/")
        return not self.is_shown or bool(self.names)

    @property
    def subject(self) -> str:
        """Subject of a message."""
        return decode_words(first_value(self.headers, "subject"), charset_of(self.headers))

    @property
    def text(self) -> str:
        """Content by transfer encoding and charset."""
        if self.is_html:
            return self.page.decode("utf-8", "surrogatepass")
        data, tail = _decode_pieces(self.headers, self.body)
        label = charset_of(self.headers)
        text = decode_text(data, label)
        if tail:
            text = f"{text}\n{_decode_tail(tail, label)}"
        if self._is_flowed:
            text = _FLOWED.sub("", text)
        return text.replace("\0", "") if "\0" in text else text

    @property
    def page(self) -> bytes:
        """Content of an HTML part as UTF-8."""
        data, tail = _decode_pieces(self.headers, self.body)
        label = charset_of(self.headers)
        page = encode_page(data, label)
        if tail:
            page += b"\n" + _decode_tail(tail, label).encode("utf-8", "surrogatepass")
        return page.replace(b"\0", b"") if b"\0" in page else page

    @property
    def _is_flowed(self) -> bool:
        """Lines are broken anywhere, also within links (RFC 3676 with ``DelSp``)."""
        value = first_value(self.headers, "content-type")
        if self.kind != "text/plain" or b"delsp" not in value.lower():
            return False
        given = {name.lower(): values[-1].lower() for name, values in parameters(value).items()}
        return given.get("format") == "flowed" and given.get("delsp") == "yes"


@dataclass(frozen=True)
class _Section:
    """Bytes to read as a part, their offset in the message, and what stands around them."""

    data: bytes
    offset: int | None = 0
    kind: str = "text/plain"
    is_message: bool = True
    depth: int = 0

    def cut(self, begin: int, end: int) -> "_Section":
        """Return a piece of the section."""
        offset = self.offset + begin if self.offset is not None else None
        return _Section(self.data[begin:end], offset, self.kind, self.is_message, self.depth)


def parse_message(raw: str | bytes) -> list[Part]:
    """Return the message itself, then its parts, depth first; at most MAX_PARTS."""
    waiting = [_Section(message_bytes(raw))]
    parts: list[Part] = []
    while waiting and len(parts) < MAX_PARTS:
        part, inner = _read(waiting.pop())
        parts.append(part)
        waiting += reversed(inner)
    return parts


def message_bytes(raw: str | bytes) -> bytes:
    """Return the first MiB of a message in UTF-8 without byte order mark, lines ended by LF."""
    raw = (encode_text(raw) if isinstance(raw, str) else raw)[:MAX_MESSAGE_BYTES]
    if raw.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        raw = decode_text(raw).encode("utf-8", "surrogatepass")[:MAX_MESSAGE_BYTES]
    if b"\r" in raw:
        raw = line_feeds(raw)
    return raw


def message_headers(raw: str | bytes) -> Headers:
    """Return the headers of a message by name in lower case."""
    return read_headers(message_bytes(raw).lstrip(_BLANK))[0]


def _read(section: _Section) -> tuple[Part, list[_Section]]:
    """Return a part, and the sections that are parts of it."""
    data, offset, depth = section.data, section.offset, section.depth + 1
    start = len(data) - len(data.lstrip(_BLANK)) if section.is_message else 0
    headers, begin = read_headers(data, start)
    span = (offset + start, offset + begin, offset + len(data)) if offset is not None else None
    kind = _kind_of(headers, section.kind)
    body, names = data[begin:], _names_of(headers)
    part = Part(headers, kind, body, names, span, section.is_message)
    inner: list[_Section] = []
    if depth <= MAX_DEPTH and kind.startswith("multipart/"):
        inner = _sections_of(part, depth)
    elif depth <= MAX_DEPTH and _is_attached_message(part):
        inner = [_decode_section(part, "text/plain", True, depth)]
    elif depth <= MAX_DEPTH and (unwrapped := _unwrap(part, depth)):
        inner = [unwrapped]
    if inner:
        return Part(headers, kind, body, names, span, section.is_message, is_container=True), inner
    if kind.startswith("multipart/"):  # without parts it is shown as text
        return Part(headers, "text/plain", body, names, span, section.is_message), []
    return part, []


def _names_of(headers: Headers) -> list[str]:
    found: list[str] = []
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        for value in headers.get(header, ()):
            if b"name" in value.lower():
                found += parameters(value).get(parameter, [])
    decoded = (decode_words(name.encode("utf-8", "replace")) for name in found)
    return [name for name in dict.fromkeys(decoded) if name]


def _kind_of(headers: Headers, default: str) -> str:
    for value in headers.get("content-type", ()):
        start = value[:256]
        start = _COMMENT.sub(b"", start) if b"(" in start else start
        text = start.decode("ascii", "replace").strip(" \t\"';<").lower()
        if match := _TYPE.match(text):
            return f"{match[1]}/{match[2]}"
        if text.startswith("multipart"):
            return "multipart/mixed"
    return default


def _is_attached_message(part: Part) -> bool:
    if part.is_message:
        return part.kind in _MESSAGES
    return part.kind in _MESSAGES or any(name.lower().endswith(".eml") for name in part.names)


def _unwrap(part: Part, depth: int) -> _Section | None:
    """Return what a part of another format holds: Outlook's, or signed S/MIME."""
    if part.kind.startswith("text/") and not part.names:
        return None
    for read, kinds, ending, is_message in _WRAPPERS:
        if part.kind in kinds or any(name.lower().endswith(ending) for name in part.names):
            data = read(_decode_transfer(part.headers, part.body))
            return (
                _Section(message_bytes(data), None, "text/plain", is_message, depth)
                if data
                else None
            )
    return None


def _decode_section(part: Part, kind: str, is_message: bool, depth: int) -> _Section:
    """Return the decoded content of a part as a section."""
    data = _decode_transfer(part.headers, part.body)
    if data is part.body:
        return _Section(data, part.span[1] if part.span else None, kind, is_message, depth)
    return _Section(message_bytes(data), None, kind, is_message, depth)


def _sections_of(part: Part, depth: int) -> list[_Section]:
    """Return the parts of a multipart, cut at the first of its boundaries that occurs."""
    kind = "message/rfc822" if part.kind == "multipart/digest" else "text/plain"
    offset = part.span[1] if part.span is not None else None
    for is_encoded in (False, True):  # nothing forbids to encode it
        if is_encoded:
            whole = _decode_section(part, kind, False, depth)
        else:
            whole = _Section(part.body, offset, kind, False, depth)
        for boundary in _boundaries(part.headers, whole.data):
            for exact in (True, False):
                if spans := _spans(whole.data, b"--" + boundary, exact):
                    return [whole.cut(begin, end) for begin, end in spans]
    return []


def _boundaries(headers: Headers, body: bytes) -> Iterator[bytes]:
    """Yield what may be the boundary: as named in any reading, else as it looks in the body."""
    found: list[str] = []
    for value in headers.get("content-type", ())[:_MAX_BOUNDARIES]:
        for name in parameters(value).get("boundary", ())[:_MAX_BOUNDARIES]:
            bare = _COMMENT.sub(b"", name.encode("utf-8", "replace")).decode()
            found += [name.rstrip(), " ".join(name.split()), bare.strip(), name.partition(" ")[0]]
    for name in dict.fromkeys(found):
        if name:
            yield name.encode("utf-8", "replace")
    if likely := _DELIMITER.search(body):
        yield likely[1]


def _spans(body: bytes, delimiter: bytes, exact: bool) -> list[tuple[int, int]]:
    """Return where parts begin and end; a part after the closing delimiter counts too."""
    spans: list[tuple[int, int]] = []
    begin, at = -1, 0 if body.startswith(delimiter) else body.find(b"\n" + delimiter) + 1
    opened = at > 0 or body.startswith(delimiter)
    while opened and len(spans) < MAX_PARTS:
        line_end = body.find(b"\n", at)
        line_end = line_end if line_end >= 0 else len(body)
        rest = body[at + len(delimiter) : line_end].strip()
        if not exact or rest in (b"", b"--"):
            closing = rest.startswith(b"--")
            if begin < 0 and closing and not spans:
                begin = 0  # only the end is marked
            if begin >= 0 and (at - begin > 4 or body[begin:at].strip()):
                spans.append((begin, max(begin, at - 1)))
            begin = -1 if closing else min(line_end + 1, len(body))
        at = body.find(b"\n" + delimiter, line_end) + 1
        opened = at > 0
    if begin >= 0 and len(spans) < MAX_PARTS:
        spans.append((begin, len(body)))
    return spans


def _decode_tail(tail: bytes, label: str) -> str:
    return decode_text(tail, "" if is_in_charset(tail, "") else label)


def _decode_transfer(headers: Headers, body: bytes) -> bytes:
    """Return the content of a body; the body itself where it is not encoded."""
    data, tail = _decode_pieces(headers, body)
    return data + b"\n" + tail if tail else data


def _decode_pieces(headers: Headers, body: bytes) -> tuple[bytes, bytes]:
    """Return the content of a body, and the plain text that follows it."""
    named = b" ".join(headers.get("content-transfer-encoding", ()))
    if b"(" in named:
        named = _COMMENT.sub(b"", named)
    found = _ENCODING.search(named)
    if found is None:
        return body, b""
    if found[0].lower() == b"base64":
        return _decode_base64_text(body, charset_of(headers))
    if found[0][:1] in b"qQ":
        return quoted_bytes(body), b""
    return _decode_uu(body), b""


def _decode_base64_text(body: bytes, label: str) -> tuple[bytes, bytes]:
    """Decode base64; plain text that follows, such as the footer of a list, stays."""
    end, text = base64_lines(body)
    for start in (*([end] if end else []), *([text] if text >= 0 else [])):
        head, tail = body[:start], body[start:]
        if tail.strip() and _is_text(tail, base64_bytes(head), label):
            return base64_bytes(head), tail
    return base64_bytes(body), b""


def _is_text(tail: bytes, head: bytes, label: str) -> bool:
    """Tell whether decoding makes noise of text; what may hold a link never counts as noise."""
    decoded = base64_bytes(tail)
    if b"//" in decoded:
        return False
    if 4 * len(tail.translate(None, _ASCII)) > len(tail):
        return True
    if len(decoded.translate(None, _PRINTED)) * 64 > len(decoded):
        return True
    if not head:
        return False
    if is_in_charset(head, label) and not is_in_charset(decoded, label):
        return True
    high, usual = (
        len(data.translate(None, _ASCII)) / len(data) for data in (decoded or b"-", head)
    )
    return high > 1 / 4 and usual < 1 / 8


def _decode_uu(body: bytes) -> bytes:
    decoded: list[bytes] = []
    for line in body.partition(b"begin ")[2].split(b"\n")[1:]:
        if line.strip() in (b"end", b"`"):
            break
        try:
            decoded.append(a2b_uu(line))
        except Error:  # some encoders pad too much
            length = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
            with suppress(Error):
                decoded.append(a2b_uu(line[:length]))
    return b"".join(decoded) or body
