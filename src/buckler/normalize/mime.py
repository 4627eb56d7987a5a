"""MIME messages, bounded: parts, texts and headers of whatever a mail contains, without errors."""

import binascii
import codecs
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

MAX_MESSAGE_BYTES = 1 << 20
MAX_PARTS = 64
MAX_TEXT_CHARACTERS = 1 << 16
MAX_HEADER_CHARACTERS = 2048
_SEPARATOR = "\x1f"
# Python codecs that are no charsets of mail; some take quadratic time.
_NOT_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})


def join_fields(fields: list[str]) -> str:
    """Join fields; a separator inside one becomes a space."""
    return _SEPARATOR.join(field.replace(_SEPARATOR, " ") for field in fields)


def parse_message(raw: str | bytes) -> tuple[Message | None, bytes]:
    """Parse the first MiB of a mail; return the message, or None, and the bytes."""
    if isinstance(raw, str):
        raw = raw.encode("utf-8", "surrogateescape" if _only_escapes(raw) else "surrogatepass")
    raw = _without_mbox_line(raw[:MAX_MESSAGE_BYTES])
    return _parse(raw), raw


def _only_escapes(text: str) -> bool:
    return all(0xDC80 <= ord(c) <= 0xDCFF for c in text if 0xD800 <= ord(c) <= 0xDFFF)


def _without_mbox_line(raw: bytes) -> bytes:
    """Drop the "From " line that mbox files and some archives put before the headers."""
    if raw.startswith(b"From "):
        return raw.partition(b"\n")[2]
    return raw


def _parse(raw: bytes) -> Message | None:
    # The parser recurses for each nested multipart and tries every open boundary on every line.
    if raw.lower().count(b"boundary") > MAX_PARTS:
        return None
    try:
        return message_from_bytes(raw)
    except (RecursionError, ValueError, LookupError, AttributeError, TypeError, IndexError):
        return None


def parts(message: Message) -> list[Message]:
    """Return all parts, at most MAX_PARTS, depth first, without recursion."""
    flat: list[Message] = []
    waiting: list[Message] = [message]
    while waiting and len(flat) < MAX_PARTS:
        part = waiting.pop()
        flat.append(part)
        payload = part.get_payload()
        if part.is_multipart() and isinstance(payload, list):
            waiting.extend(p for p in reversed(payload) if isinstance(p, Message))
    return flat


def text_of(part: Message) -> str:
    """Return a part's text by its charset, else as UTF-8, else as Latin-1."""
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError, binascii.Error):
        payload = None
    if not isinstance(payload, bytes):
        return str(part.get_payload() or "")
    charset = part.get_param("charset")
    for encoding in (charset if isinstance(charset, str) else "utf-8", "utf-8"):
        try:
            return _decode(payload, encoding)
        except (LookupError, ValueError):
            continue
    return payload.decode("latin-1")


def _decode(payload: bytes, charset: str) -> str:
    if codecs.lookup(charset).name.replace("-", "_") in _NOT_CHARSETS:
        raise LookupError(charset)
    return payload.decode(charset)


def decode_words(value: str) -> str:
    """Decode the encoded words of a header; invalid bytes become replacement characters."""
    value = value[:MAX_HEADER_CHARACTERS]
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value)
    except (HeaderParseError, ValueError, binascii.Error):
        return value
    decoded = []
    for piece, charset in pieces:
        if isinstance(piece, bytes):
            try:
                piece = _decode(piece, charset or "latin-1")
            except (LookupError, ValueError):
                piece = piece.decode("utf-8", "replace")
        decoded.append(piece)
    return "".join(decoded)
