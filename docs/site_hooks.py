"""Hooks of the site: the options of every command, and docstrings whose colons are doubled."""

import re
from collections.abc import Iterator

from typer.core import TyperGroup

from buckler.cli.main import COMMANDS, load_command

PAGE = "reference/options.md"
_PLACE = re.compile(r"^\[options\]:.*$", re.M)


def on_page_markdown(markdown: str, page, **_) -> str:
    """Put the tables in their place on the page of options."""
    if page.file.src_path != PAGE:
        return markdown
    return _PLACE.sub(lambda _: "\n".join(describe_commands()), markdown)


def on_page_content(html: str, **_) -> str:
    """Take off the colons by which docstrings announce a block of code."""
    return html.replace("<p>::</p>", "").replace("::</p>", ":</p>")


def describe_commands() -> Iterator[str]:
    """Yield the lines of a section for each command."""
    for names in COMMANDS.values():
        for name in names:
            yield from _describe(f"buckler {name}", load_command(name), 2)


def _describe(call: str, command, depth: int) -> Iterator[str]:
    yield f"\n{'#' * depth} `{call}`\n"
    yield (command.help or "").strip() + "\n"
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from _describe(f"{call} {name}", inner, depth + 1)
        return
    rows = [row for parameter in command.params if (row := _row(parameter))]
    if rows:
        yield "| | Meaning | Default |\n| --- | --- | --- |"
        yield from rows


def _row(parameter) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    if not parameter.opts[0].startswith("-"):
        names = f"`{parameter.name.upper()}`"
    text = (getattr(parameter, "help", "") or "").replace("|", "\\|")
    default = parameter.default
    shown = "required" if parameter.required else ""
    if isinstance(default, int | float | str) and not isinstance(default, bool):
        shown = f"`{getattr(default, 'value', default)}`"
    return f"| {names} | {text} | {shown} |" if text else ""
