"""`buckler run`: a recipe, stage by stage."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli.console import step_progress
from buckler.cli.results import print_run
from buckler.pipeline.recipe import Recipe
from buckler.pipeline.recipe_file import read_recipe
from buckler.pipeline.run import Run, run_recipe


def run(
    recipe: Annotated[Path, typer.Argument(help="The recipe.")] = Path("buckler.toml"),
) -> None:
    """Run a recipe from events to a bundle and a report; stages that are done are not redone."""
    print_run(run_with_progress(read_recipe(recipe)))


def run_with_progress(recipe: Recipe) -> Run:
    """Run a recipe and show which stage works."""
    with step_progress() as progress:
        bar = progress.add_task("starting")

        def epoch(name: str, number: int, loss: float, validation_loss: float) -> None:
            held_out = (
                f", held out {validation_loss:.4f}" if validation_loss == validation_loss else ""
            )
            progress.update(
                bar, description=f"train: {name}, pass {number}, loss {loss:.4f}{held_out}"
            )

        size_read = 0

        def read(size_bytes: int) -> None:
            nonlocal size_read
            size_read += size_bytes
            progress.update(bar, description=f"read: {size_read / 1e6:,.0f} MB")

        return run_recipe(
            recipe,
            on_read=read,
            on_stage=lambda name: progress.update(bar, description=name),
            on_epoch=epoch,
        )
