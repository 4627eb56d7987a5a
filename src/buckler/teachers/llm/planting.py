"""Plants a text in an event as an attacker would: where that kind of event has room for it."""

from email import message_from_bytes
from email.charset import QP, Charset
from email.message import Message
from html import escape
from urllib.parse import quote

from buckler.errors import SettingsError
from buckler.tasks import Task

_MAX_PARTS = 64


def plant(task: Task, raw: bytes, text: str) -> bytes:
    """Return the event with `text` in it; its meaning as an attack stays.

    A URL gets a parameter, a command line a remark, a message another paragraph (hidden, in HTML).

    Raises
    ------
    SettingsError
        If the task's events are rows of features, which have no room for a text.
    """
    if task.medium not in _PLANTERS:
        raise SettingsError(
            f"task {task.name!r} judges rows of features: nothing to plant a text in"
        )
    return _PLANTERS[task.medium](raw, text)


def _in_url(raw: bytes, text: str) -> bytes:
    joint = b"&" if b"?" in raw else b"?"
    return raw + joint + b"note=" + quote(text, safe="").encode()


def _in_command_line(raw: bytes, text: str) -> bytes:
    windows = b"\\" in raw or b".exe" in raw.lower() or b"powershell" in raw.lower()
    remark = b" & rem " if windows else b" # "
    line, separator, context = raw.partition(b"\x1f")
    planted = " ".join(text.split("\n")).encode("utf-8", "replace")
    return line + remark + planted + separator + context


def _in_page(raw: bytes, text: str) -> bytes:
    page, separator, address = raw.partition(b"\x1f")
    paragraph = f"\n<p>{escape(text)}</p>\n".encode("utf-8", "replace")
    return page + paragraph + separator + address


def _in_text(raw: bytes, text: str) -> bytes:
    return raw + b"\n" + text.encode("utf-8", "replace")


def _in_message(raw: bytes, text: str) -> bytes:
    try:
        message = message_from_bytes(raw)
        for number, part in enumerate(message.walk()):
            if number == _MAX_PARTS:
                break
            if part.get_content_maintype() == "text" and not part.get_filename():
                _append(part, text)
                return message.as_bytes()
    except (LookupError, ValueError, AttributeError, TypeError):
        pass  # a message that cannot be parsed is text
    return _in_text(raw, text)


def _append(part: Message, text: str) -> None:
    payload = part.get_payload(decode=True)
    body = (
        payload.decode(part.get_content_charset() or "utf-8", "replace")
        if isinstance(payload, bytes)
        else ""
    )
    if part.get_content_type() == "text/html":
        body += f'\n<p style="display:none">{escape(text)}</p>'
    else:
        body += f"\n\n{text}\n"
    charset = Charset("utf-8")
    charset.body_encoding = QP
    del part["Content-Transfer-Encoding"]
    part.set_payload(body.encode("utf-8", "replace").decode(), charset)


_PLANTERS = {
    "url": _in_url,
    "command-line": _in_command_line,
    "message": _in_message,
    "html": _in_page,
    "text": _in_text,
}
