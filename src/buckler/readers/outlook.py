"""Reads Outlook messages (.msg) as the internet messages that they were: headers, bodies, names."""

import struct
import zlib
from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from typing import Any, TypeVar

from buckler.errors import InputError, MissingExtraError
from buckler.readers.mail import MailFileReader
from buckler.readers.reader import READERS, ColumnSpec

MAX_FILE_BYTES = 64 << 20
MAX_BODY_CHARACTERS = 1 << 20
MAX_ATTACHMENTS = 64
_KEPT = ("To", "Cc", "Reply-To", "Date", "Message-ID", "Authentication-Results")
# Errors that the parser and its parts raise on a damaged file.
_DAMAGE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError),
    *(OSError, RuntimeError, StopIteration, TypeError, ValueError, struct.error, zlib.error),
)
_Value = TypeVar("_Value")
_POLICY = policy.default.clone(linesep="\n", cte_type="8bit", max_line_length=998)


@READERS.add
class OutlookReader(MailFileReader):
    """One Outlook message a file; of attachments, only their names and types are kept."""

    name = "msg"
    medium = "message"
    suffixes = (".msg",)
    most_bytes = MAX_FILE_BYTES + 1

    def event(self, data: bytes, spec: ColumnSpec) -> bytes:  # noqa: ARG002 (no columns)
        """Return the message as the internet message that it was."""
        if len(data) > MAX_FILE_BYTES:
            raise InputError("message larger than 64 MiB")
        raw = _as_internet_message(data)
        if raw is None:
            raise InputError("not a sound Outlook message")
        return raw


def _as_internet_message(data: bytes) -> bytes | None:
    """Return an RFC 5322 message; None where the file is no Outlook message."""
    try:
        from oxmsg import Message
    except ImportError as error:
        raise MissingExtraError("reading .msg files", "formats") from error
    source = _read(lambda: Message.load(data), None)
    if source is None:
        return None
    message = EmailMessage(policy=_POLICY)
    known: dict[str, object] = _read(lambda: source.message_headers, {})
    headers = {name.lower(): value for name, value in known.items()}
    _set(message, "From", _read(lambda: source.sender, None) or headers.get("from"))
    _set(message, "Subject", _read(lambda: source.subject, None))
    for name in _KEPT:
        _set(message, name, headers.get(name.lower()))
    plain = _clean(_read(lambda: source.body, None) or "")[:MAX_BODY_CHARACTERS]
    message.set_content(plain or "\n", charset="utf-8", cte="8bit")
    page = _clean(_read(lambda: source.html_body, None) or "")[:MAX_BODY_CHARACTERS]
    if page:
        message.add_alternative(page, subtype="html", charset="utf-8", cte="8bit")
    attachments: list[Any] = _read(lambda: list(source.attachments), [])
    for attachment in attachments[:MAX_ATTACHMENTS]:
        _name_attachment(message, attachment)
    return message.as_bytes()


def _name_attachment(message: EmailMessage, attachment: Any) -> None:
    name = _clean(_read(lambda: attachment.file_name, None) or "attachment")
    kind = _read(lambda: attachment.mime_type, None) or "application/octet-stream"
    main, _, sub = str(kind).partition("/")
    if not (main.isalnum() and sub.replace("-", "").replace(".", "").replace("+", "").isalnum()):
        main, sub = "application", "octet-stream"
    if main in ("text", "message", "multipart"):
        main = "application"
    message.add_attachment(b"", maintype=main, subtype=sub, filename=" ".join(name.split())[:255])


def _read(get: Callable[[], _Value], otherwise: _Value) -> _Value:
    """Return a property, or `otherwise` where this file has it damaged."""
    try:
        return get()
    except _DAMAGE:
        return otherwise


def _set(message: EmailMessage, name: str, value: object) -> None:
    text = " ".join(_clean(str(value or "")).split())[:2048]
    if text:
        try:
            message[name] = text
        except (ValueError, IndexError, AttributeError):  # a header that no policy can write
            message[name] = "".join(c for c in text if c.isascii() and c.isprintable())


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "")
