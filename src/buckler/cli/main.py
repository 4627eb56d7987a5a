"""The `buckler` command: lists the commands, and imports one when it is called."""

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from buckler import __version__
from buckler.cli.console import err, out, safe
from buckler.errors import BucklerError, ScanInterruptedError

if TYPE_CHECKING:
    from typer._click import Command, Context

COMMANDS = {
    "Start here": {
        "demo": "Adapt a bundle to a mailbox that it has never seen, with recorded answers.",
        "init": "Write a recipe to start from, and a task file for a task of your own.",
        "tasks": "List the tasks: what they decide, their classes, and the columns that they read.",
        "doctor": "Check this installation; exit with code 1 if anything is wrong.",
        "data": "List and get public data sets; show synthetic examples.",
    },
    "Make a bundle": {
        "adapt": "Adapt a bundle to a stream of your own, with a teacher or your labels.",
        "label": "Ask a teacher about events and keep its annotations in the label store.",
        "labels": "Import, export and merge the annotations of the label store.",
        "select": "Choose the events whose labels would teach most.",
        "synthesize": "Write synthetic examples, filter them, and measure whether they help.",
        "run": "Run a recipe from events to a bundle and a report.",
        "train": "Train, evaluate and bundle labeled files without a recipe.",
        "cascade": "Join bundles: each passes on the events that it is unsure of.",
        "evaluate": "Measure a bundle on labeled test data.",
        "agree": "Bound how far a bundle agrees with its teacher.",
        "attack": "Disguise positive events as attackers would, and measure the recall.",
        "learn": "Train again and promote the bundle if it is better; exit with code 1 if not.",
    },
    "Use a bundle": {
        "models": "List the ready-made bundles.",
        "score": "Score a few texts and explain the scores.",
        "scan": "Score files of any size; exit with code 1 if every row was set aside.",
        "stream": "Score events as they arrive.",
        "serve": "Serve bundles over HTTP.",
        "escalate": "Answer events with a bundle where it is sure, and with its teacher elsewhere.",
        "refresh": "Sample a stream, annotate, retrain, and promote or refuse the candidate.",
        "monitor": "Compare current events with reference events: drift and quality.",
        "triage": "Join alerts to incidents and rank them by the probability of an attack.",
        "review": "Run the web application in which analysts label events.",
        "registry": "Promote bundles to production and roll them back.",
        "capacity": "Estimate cores, memory, network and cost for a rate of events.",
        "verify": "Check a bundle in every way there is.",
        "bundle": "Show, sign and verify a bundle.",
    },
}
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_CALLED = "buckler.cli.called"
# A command stands in the module of its name, as a function of its name or as `app`; these do not.
_HOMES = {"verify": ("bundle", "verify"), "escalate": ("agree", "escalate")}


def load_command(name: str) -> "Command":
    """Import the module of a command and return the command."""
    module_name, attribute = _HOMES.get(name, (name, name))
    module = import_module(f"buckler.cli.{module_name}")
    holder = typer.Typer(rich_markup_mode="rich")
    if name not in _HOMES and hasattr(module, "app"):
        holder.add_typer(module.app, name=name, help=_help_of(name))
    else:
        holder.command(name)(getattr(module, attribute))
    return get_group(holder).commands[name]


def _help_of(name: str) -> str:
    return next(commands[name] for commands in COMMANDS.values() if name in commands)


class _LazyGroup(TyperGroup):
    """A group that imports a command when it is called, not when it is listed."""

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> "tuple[str | None, Command | None, list[str]]":
        """Return the command itself in place of its line in the list."""
        name, _, rest = super().resolve_command(ctx, args)
        command = load_command(str(name))
        ctx.meta[_CALLED] = _subcommand(command, rest)
        return name, command, rest


def _subcommand(command: "Command", arguments: list[str]) -> "Command":
    for argument in arguments:
        if isinstance(command, TyperGroup) and argument in command.commands:
            command = command.commands[argument]
    return command


def _option_of(error: BucklerError, command: "Command | None") -> str:
    """Return a hint at the option that sets what the error names; empty where there is none."""
    for parameter in command.params if command is not None else ():
        if parameter.name == error.field and parameter.opts[0].startswith("-"):
            return f" (option {parameter.opts[0]})"
    return ""


app = typer.Typer(
    name="buckler",
    cls=_LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
)


def _print_version(asked: bool) -> None:
    if asked:
        out.print(f"buckler {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Small, fast, calibrated classifiers for security events: URLs, mails, any text."""


def main() -> None:
    """Run the command line; errors become one line and an exit code."""
    sys.exit(run_command_line(sys.argv[1:]))


def run_command_line(arguments: Sequence[str]) -> int:
    """Run a command and return the exit code; ``--debug`` before the command shows tracebacks."""
    debug, meta = False, dict[str, "Command"]()
    try:
        group = _list_commands()
        with group.make_context("buckler", list(arguments)) as context:
            debug, meta = context.params["debug"], context.meta
            group.invoke(context)
        if sys.stdout is not None:  # it is closed in some services
            sys.stdout.flush()
        return 0
    except ScanInterruptedError as error:
        err.print(str(error))
        return 130
    except BucklerError as error:
        if debug:
            raise
        option = _option_of(error, meta.get(_CALLED))
        err.print(f"error: {safe(str(error), 2000)}{option}", style="red")
        return 2
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return 130
    except KeyboardInterrupt:
        if debug:
            raise
        err.print("interrupted; finished work is kept: run the same command again to resume")
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        _discard_output()
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_SPACE and error.filename is None:
            _discard_output()
            err.print(f"error: standard output cannot be written: {error.strerror}", style="red")
            return 2
        if hasattr(error, "format_message"):  # a wrong option or argument
            if message := error.format_message():  # empty where only the help is shown
                err.print(f"error: {safe(message, 500)}", style="red")
            return 2
        if debug:
            raise
        err.print(
            f"internal error: {type(error).__name__}: {safe(str(error), 300)} "
            "(--debug, before the command, shows more; please report it)",
            style="red",
        )
        return 70


def _discard_output() -> None:
    """Send what standard output still holds nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _list_commands() -> TyperGroup:
    group = get_group(app)
    group.commands = {
        name: TyperCommand(name, help=text, rich_help_panel=panel)
        for panel, commands in COMMANDS.items()
        for name, text in commands.items()
    }
    return group


if __name__ == "__main__":
    main()
