"""`buckler pretrain`: a `minibert` learns the language of unlabeled events."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli.console import out, step_progress
from buckler.cli.options import Seed, TaskName, TextColumn
from buckler.cli.train import settings_of
from buckler.dataset import ColumnNames, read_dataset
from buckler.students.student import get_student
from buckler.students.torch.minibert import MiniBertStudent
from buckler.students.torch.pretraining import pretrain as pretrain_student
from buckler.tasks import get_task


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
    student = get_student("minibert", {**settings_of(setting or []), "seed": seed})
    assert isinstance(student, MiniBertStudent)  # noqa: S101 - what the name stands for
    with step_progress() as progress:
        bar = progress.add_task("reading")
        events = read_dataset(data, get_task(task), ColumnNames(text=text_column), labeled=False)

        def tell(epoch: int, loss: float) -> None:
            text = f"epoch {epoch}/{student.epochs}: {loss:.3f} nats a hidden byte"
            progress.update(bar, description=text)

        progress.update(bar, description=f"learning from {len(events):,} events")
        losses = pretrain_student(student, events.texts, output, tell)
    out.print(f"hidden bytes cost {losses[0]:.3f} nats in the first epoch, {losses[-1]:.3f} now")
    out.print(f'weights {output}; in a recipe: [student] family = "minibert", pretrained = "…"')
