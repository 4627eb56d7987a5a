"""Help texts: one style for every option of every command."""

import re

import pytest
from typer.core import TyperGroup

from buckler.cli.main import COMMANDS, load_command

_WEAK = re.compile(r"^(Of|What|How|Whether|Which|Where|Who)\b")


def commands_in(name, command):
    if not isinstance(command, TyperGroup):
        return [(name, command)]
    return [
        pair
        for sub, inner in command.commands.items()
        for pair in commands_in(f"{name} {sub}", inner)
    ]


NAMES = [name for group in COMMANDS.values() for name in group]


@pytest.mark.parametrize("name", NAMES)
def test_help_texts_are_sentences_that_open_with_a_noun_or_a_verb(name):
    for full_name, command in commands_in(name, load_command(name)):
        texts = {full_name: command.help or ""}
        texts |= {f"{full_name} {p.name}": getattr(p, "help", "") or "" for p in command.params}
        for where, text in texts.items():
            assert text, where
            assert not _WEAK.match(text), f"{where}: {text}"
            assert text[0].isupper() or not text[0].isalpha(), f"{where}: {text}"
            assert text.endswith((".", "…")), f"{where}: {text}"
            assert len(text.split("\n")[0]) <= 130, f"{where}: {text}"
