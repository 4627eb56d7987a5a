"""Format check: a draft must parse as an event of its task."""

import re
import shlex
from urllib.parse import urlsplit

from buckler.errors import InputError
from buckler.normalize.html_scan import scan_html
from buckler.normalize.mail_headers import decode_words, first_value
from buckler.normalize.mime import parse_message
from buckler.synthesis.template import Combination
from buckler.tasks import Task

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PROGRAM = re.compile(r"[\w$&%(.\"'^+@~/\\:{-]")
_SLOT = re.compile(r"\[\[|\]\]|<(?:insert|your|placeholder)[^>]{0,40}>", re.IGNORECASE)
_MIN_BODY = 20
_MIN_PAGE_WORDS = 2
_MAX_COMMAND_CHARACTERS = 8191  # what the Windows shell takes


def find_format_error(text: str, combination: Combination, task: Task) -> str | None:
    """Return the fault in the format of a draft; None if there is none."""
    if not text.strip():
        return "empty"
    if _CONTROL.search(text):
        return "control characters"
    if _SLOT.search(text):
        return "an unfilled slot"
    if task.medium == "url":
        return _url(text)
    if task.medium == "command-line":
        return _command(text, combination)
    if task.medium == "message":
        return _message(text)
    if task.medium == "html":
        return _page(text, combination, task)
    if task.medium == "row":
        return _row(text, task)
    return None


def _url(text: str) -> str | None:
    if re.search(r"\s", text):
        return "white space in a URL"
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "no URL"
    if not host or ("." not in host and ":" not in host and not host.isdigit()):
        return "a URL without a host"
    return None


def _command(text: str, combination: Combination) -> str | None:
    if len(text) > _MAX_COMMAND_CHARACTERS:
        return "longer than a command line"
    if not _PROGRAM.match(text):
        return "no program at its start"
    tool = combination.attributes.get("tool")
    # Transforms may hide the name of the tool; that is what they are for.
    if tool and not combination.transforms and tool.lower() not in text.lower():
        return "without its tool"
    if text.count("'") + text.count('"') and not combination.transforms:
        try:
            shlex.split(text, posix=False)
        except ValueError:
            return "quotes that do not close"
    return None


def _row(text: str, task: Task) -> str | None:
    try:
        task.normalize([text])
    except InputError:
        return "no row of features, or one without a value"
    return None


def _page(text: str, combination: Combination, task: Task) -> str | None:
    if not re.search(r"<(?:html|body|form|div|table)\b", text[:4096], re.IGNORECASE):
        return "no page"
    if len(scan_html(text).text.split()) < _MIN_PAGE_WORDS:
        return "a page that shows nothing"
    if combination.label in task.positive and not re.search(
        r"<(?:input|textarea)\b", text, re.IGNORECASE
    ):
        return "a fake page that asks for nothing"
    return None


def _message(text: str) -> str | None:
    parts = parse_message(text)
    for header in ("from", "subject"):
        if not decode_words(first_value(parts[0].headers, header)):
            return f"a message without {header.title()}"
    if max((len(part.text.strip()) for part in parts if part.is_shown), default=0) < _MIN_BODY:
        return "a message without a body"
    if any(part.is_attachment for part in parts):
        return "an attachment"
    return None
