"""email-v1, first half: from a raw message to the fields that are judged.

Fields, in order: subject, visible text, links, attachments (name and type). Headers that tell the
mail system or the year rather than the intent (Received, X-Mailer, dates, ids) are left out.
"""

import binascii
import codecs
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

from buckler.normalize.html_text import links, visible_text

MAX_MESSAGE_BYTES = 1 << 20
MAX_PARTS = 64
MAX_TEXT_CHARACTERS = 1 << 16
MAX_HEADER_CHARACTERS = 2048
MAX_LINKS = 64
_SEPARATOR = "\x1f"
# Codecs that are no charsets of mail; some of them take quadratic time.
_NOT_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})


def email_fields(raw: str | bytes) -> str:
    """Return subject, text, links and attachments, joined by the field separator.

    Never raises on any input: what cannot be parsed as MIME is judged as the text that it is.
    """
    message, data = parsed(raw)
    if message is None:
        return joined(["", data.decode("utf-8", "replace"), "", ""])
    texts: list[str] = []
    targets: list[str] = []
    attachments: list[str] = []
    size = 0
    for part in parts(message):
        if size >= MAX_TEXT_CHARACTERS:
            break
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        name = header(part.get_filename() or "")
        if name or part.get_content_maintype() != "text":
            attachments.append(f"{name} {kind}")
            continue
        text = text_of(part)
        if kind == "text/html":
            targets += links(text, MAX_LINKS - len(targets)) if len(targets) < MAX_LINKS else []
            text = visible_text(text)
        texts.append(text[: MAX_TEXT_CHARACTERS - size])
        size += len(texts[-1])
    subject = header(str(message.get("subject", "")))
    return joined([subject, " ".join(texts), " ".join(targets), " ".join(attachments)])


def joined(fields: list[str]) -> str:
    """Join fields; a separator inside one becomes a space."""
    return _SEPARATOR.join(field.replace(_SEPARATOR, " ") for field in fields)


def parsed(raw: str | bytes) -> tuple[Message | None, bytes]:
    """Return the first MiB as a message (None where it cannot be one), and as bytes."""
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
    found: list[Message] = []
    waiting: list[Message] = [message]
    while waiting and len(found) < MAX_PARTS:
        part = waiting.pop()
        found.append(part)
        payload = part.get_payload()
        if part.is_multipart() and isinstance(payload, list):
            waiting.extend(p for p in reversed(payload) if isinstance(p, Message))
    return found


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


def header(value: str) -> str:
    """Decode a header's encoded words; bytes that make no sense become replacement characters."""
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
