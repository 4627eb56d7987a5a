"""`buckler pretrain`: a `minibert` learns the language of unlabeled events."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli.console import out, show_steps
from buckler.cli.options import Seed, TaskName, TextColumn
from buckler.cli.train import settings_of
from buckler.students.torch import pretraining


def pretrain(
    data: Annotated[
        list[Path], typer.Argument(help="Files or folders of events; labels are not read.")
    ],
    task: TaskName,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File of weights to write: .safetensors.")
    ],
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting of the student, as NAME=VALUE; may be repeated."),
    ] = None,
    text_column: TextColumn = None,
    seed: Seed = 0,
) -> None:
    """Pre-train a minibert on unlabeled events."""
    with show_steps("reading") as on_step:
        losses = pretraining.pretrain(
            data,
            task,
            output,
            {**settings_of(setting or []), "seed": seed},
            text_column=text_column,
            on_step=on_step,
        )
    out.print(f"hidden bytes cost {losses[0]:.3f} nats in the first epoch, {losses[-1]:.3f} now")
    out.print(f'weights {output}; in a recipe: [student] family = "minibert", pretrained = "…"')
