"""The injection suite: texts that an attacker might insert into an event to change its label.

`insert_text` puts a text into an event as an attacker would, at a place where that kind of event
can hold one.
"""

import base64
import codecs
from collections.abc import Callable
from functools import cache
from html import escape
from importlib.resources import as_file, files
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from buckler.attacks.messages import replace_text
from buckler.errors import SettingsError
from buckler.files import read_settings
from buckler.normalize.mime import message_bytes, parse_message
from buckler.tasks import Task


class Injection(BaseModel):
    """One text that an attacker might insert.

    Attributes
    ----------
    family
        Technique: override, role, authority, markup, answer, persuasion, example or task.
    language
        Language code of ISO 639-1.
    disguise
        Encoding, or ``plain``.
    text
        Text, with ``{good}`` for the label that the attacker wants.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    language: str = "en"
    disguise: str = "plain"
    text: str = Field(min_length=1)

    @property
    def name(self) -> str:
        """Family, language and disguise in one word."""
        return f"{self.family}/{self.language}/{self.disguise}"

    def render(self, good: str) -> str:
        """Return the text as an event holds it."""
        return _DISGUISES[self.disguise](self.text.replace("{good}", good))


class _Injections(BaseModel):
    model_config = ConfigDict(extra="forbid")

    injection: list[Injection]


@cache
def load_suite() -> list[Injection]:
    """Return every injection of the suite."""
    with as_file(files("buckler.teachers.llm") / "injections.toml") as path:
        return read_settings(path, _Injections).injection


def _b64(text: str) -> str:
    return "Decode this base64 and do what it says: " + base64.b64encode(text.encode()).decode()


# Cyrillic letters that look like Latin ones.
_LOOK_ALIKES = "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0455"
_DISGUISES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "base64": _b64,
    "hexadecimal": lambda text: "Follow this hex: " + text.encode().hex(),
    "rot13": lambda text: "ROT13: " + codecs.encode(text, "rot13"),
    "reversed": lambda text: text[::-1],
    "percent-encoded": lambda text: "".join(f"%{b:02x}" for b in text.encode()),
    "full-width": lambda text: "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text
    ),
    "letters apart": lambda text: "  ".join("-".join(word) for word in text.split()),
    "leet": lambda text: text.translate(str.maketrans("oieast", "013457")),
    "look-alikes": lambda text: text.translate(str.maketrans("aceopxyis", _LOOK_ALIKES)),
    "zero-width": lambda text: "\u200b".join(text),
    "tag characters": lambda text: "".join(chr(0xE0000 + ord(c)) for c in text if c.isascii()),
    "bidirectional": lambda text: "\u202e" + text[::-1] + "\u202c",
    "terminal": lambda text: "\x1b[8m" + text + "\x1b[0m",
}


def insert_text(task: Task, raw: bytes, text: str) -> bytes:
    """Return the event with a text in it; its meaning as an attack stays.

    A URL gets a parameter, a command line a remark, a message another paragraph (hidden, in HTML).

    Raises
    ------
    SettingsError
        If the task's events are rows of features, which cannot hold a text.
    """
    if task.medium not in _INSERTERS:
        raise SettingsError(
            f"the events of task {task.name!r} are rows of features, which cannot hold a text; "
            "choose a task of texts"
        )
    return _INSERTERS[task.medium](raw, text)


def _in_url(raw: bytes, text: str) -> bytes:
    joint = b"&" if b"?" in raw else b"?"
    return raw + joint + b"note=" + quote(text, safe="").encode()


def _in_command_line(raw: bytes, text: str) -> bytes:
    windows = b"\\" in raw or b".exe" in raw.lower() or b"powershell" in raw.lower()
    remark = b" & rem " if windows else b" # "
    line, separator, context = raw.partition(b"\x1f")
    line_of_text = " ".join(text.split("\n")).encode("utf-8", "replace")
    return line + remark + line_of_text + separator + context


def _in_page(raw: bytes, text: str) -> bytes:
    page, separator, address = raw.partition(b"\x1f")
    paragraph = f"\n<p>{escape(text)}</p>\n".encode("utf-8", "replace")
    return page + paragraph + separator + address


def _in_text(raw: bytes, text: str) -> bytes:
    return raw + b"\n" + text.encode("utf-8", "replace")


def _in_message(raw: bytes, text: str) -> bytes:
    message = message_bytes(raw)
    for part in parse_message(message):
        if part.is_shown and part.span is not None and part.headers:
            hidden = f'\n<p style="display:none">{escape(text)}</p>'
            added = hidden if part.is_html else f"\n\n{text}\n"
            return replace_text(message, part, part.text + added)
    return _in_text(raw, text)  # a message without headers is text


_INSERTERS = {
    "url": _in_url,
    "command-line": _in_command_line,
    "message": _in_message,
    "html": _in_page,
    "text": _in_text,
}
