"""`buckler run`: a recipe, stage by stage."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from buckler import pipeline
from buckler.cli.console import show_steps
from buckler.cli.results import print_run
from buckler.pipeline import Listener


def run(
    recipe: Annotated[Path, typer.Argument(help="Recipe file.")] = Path("buckler.toml"),
) -> None:
    """Run a recipe from events to a bundle and a report.

    A second run reuses the stages that are done.
    """
    with run_progress() as listener:
        finished = pipeline.run(recipe, listener)
    print_run(finished)


@contextmanager
def run_progress() -> Iterator[Listener]:
    """Give a listener that shows the stage at work."""
    with show_steps("starting") as on_step:
        size_bytes = 0

        def show_epoch(name: str, number: int, loss: float, validation_loss: float) -> None:
            held_out = (
                f", held out {validation_loss:.4f}" if validation_loss == validation_loss else ""
            )
            on_step(f"train: {name}, epoch {number}, loss {loss:.4f}{held_out}")

        def show_bytes(new_bytes: int) -> None:
            nonlocal size_bytes
            size_bytes += new_bytes
            on_step(f"read: {size_bytes / 1e6:,.0f} MB")

        yield Listener(on_step, show_bytes, show_epoch)
