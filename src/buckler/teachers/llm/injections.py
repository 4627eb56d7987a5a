"""Texts that an attacker might plant to turn a verdict, for the probe."""

import base64
import codecs
from collections.abc import Callable
from functools import cache
from importlib.resources import as_file, files

from pydantic import BaseModel, ConfigDict, Field

from buckler.settings_file import read_settings


class Injection(BaseModel):
    """One text that an attacker might plant.

    Attributes
    ----------
    family
        The move: override, role, authority, markup, answer, persuasion, example or task.
    language
        ISO 639-1.
    disguise
        How it is written: plain, or the name of an encoding.
    text
        ``{good}`` stands for the label that the attacker wants.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    language: str = "en"
    disguise: str = "plain"
    text: str = Field(min_length=1)

    @property
    def name(self) -> str:
        """Family, language and disguise."""
        return f"{self.family}/{self.language}/{self.disguise}"

    def written(self, good: str) -> str:
        """Return the text as it is planted."""
        return _DISGUISES[self.disguise](self.text.replace("{good}", good))


class _Injections(BaseModel):
    model_config = ConfigDict(extra="forbid")

    injection: list[Injection]


@cache
def injections() -> list[Injection]:
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
