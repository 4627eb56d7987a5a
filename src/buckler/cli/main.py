"""The `buckler` command."""

import os
import sys

import typer

from buckler import __version__
from buckler.cli import attack as attack_command
from buckler.cli import bundle, cascade, data, demo, doctor, init, label, labels, pretrain, score
from buckler.cli import capacity as capacity_command
from buckler.cli import evaluate as evaluate_command
from buckler.cli import learn as learn_command
from buckler.cli import monitor as monitor_command
from buckler.cli import registry as registry_command
from buckler.cli import review as review_command
from buckler.cli import run as run_command
from buckler.cli import scan as scan_command
from buckler.cli import select as select_command
from buckler.cli import serve as serve_command
from buckler.cli import stream as stream_command
from buckler.cli import synth as synth_command
from buckler.cli import train as train_command
from buckler.cli import triage as triage_command
from buckler.cli.console import err, out, safe
from buckler.errors import BucklerError
from buckler.serving.scan import ScanInterruptedError

START, MAKE, USE = "Start here", "Make a bundle", "Use a bundle"

app = typer.Typer(
    name="buckler",
    help="Small, fast, calibrated classifiers for security events: URLs, mails, any text.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("demo", rich_help_panel=START)(demo.demo)
app.command("init", rich_help_panel=START)(init.init)
app.command("doctor", rich_help_panel=START)(doctor.doctor)
app.add_typer(data.app, name="data", rich_help_panel=START)
app.command("label", rich_help_panel=MAKE)(label.label)
app.add_typer(labels.app, name="labels", rich_help_panel=MAKE)
app.command("select", rich_help_panel=MAKE)(select_command.select)
app.command("synth", rich_help_panel=MAKE)(synth_command.synth)
app.command("synthetic-examples", rich_help_panel=MAKE)(synth_command.show)
app.command("run", rich_help_panel=MAKE)(run_command.run)
app.command("train", rich_help_panel=MAKE)(train_command.train)
app.command("pretrain", rich_help_panel=MAKE)(pretrain.pretrain)
app.command("cascade", rich_help_panel=MAKE)(cascade.cascade)
app.command("eval", rich_help_panel=MAKE)(evaluate_command.evaluate)
app.command("attack", rich_help_panel=MAKE)(attack_command.attack)
app.command("score", rich_help_panel=USE)(score.score)
app.command("scan", rich_help_panel=USE)(scan_command.scan)
app.command("stream", rich_help_panel=USE)(stream_command.stream)
app.command("monitor", rich_help_panel=USE)(monitor_command.monitor)
app.add_typer(review_command.app, name="review", rich_help_panel=USE)
app.command("learn", rich_help_panel=MAKE)(learn_command.learn)
app.add_typer(registry_command.app, name="registry", rich_help_panel=USE)
app.command("capacity", rich_help_panel=USE)(capacity_command.capacity)
app.command("serve", rich_help_panel=USE)(serve_command.serve)
app.command("triage", rich_help_panel=USE)(triage_command.triage)
app.command("verify", rich_help_panel=USE)(bundle.verify)
app.add_typer(bundle.app, name="bundle", rich_help_panel=USE)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"buckler {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_print_version, is_eager=True
    ),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Take the options that come before a command."""


def main() -> None:
    """Run the command line; errors become one line and an exit code."""
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    try:
        code = app(arguments, standalone_mode=False, prog_name="buckler")
        sys.stdout.flush()
        return int(code) if isinstance(code, int) else 0
    except ScanInterruptedError as error:
        err.print(str(error))
        return 130
    except BucklerError as error:
        if debug:
            raise
        err.print(f"error: {safe(str(error), 2000)}", style="red")
        return 2
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return 130
    except KeyboardInterrupt:
        if debug:
            raise
        err.print("interrupted; what was finished stays, run the same command again to go on")
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if hasattr(error, "format_message"):  # a wrong option or argument
            err.print(f"error: {safe(error.format_message(), 500)}", style="red")
            return 2
        if debug:
            raise
        err.print(
            f"internal error: {type(error).__name__}: {safe(str(error), 300)} "
            "(--debug, before the command, shows more; please report it)",
            style="red",
        )
        return 70


if __name__ == "__main__":
    main()
