"""`buckler select`: which events of a pool to ask the teacher about."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import err, out, show_steps
from buckler.training.selection import SelectionMethod, SelectionSettings
from buckler.training.selection import select as select_events


def select(
    pool: Annotated[list[Path], typer.Argument(help="Files or folders of unlabeled events.")],
    task: opt.TaskName,
    number: Annotated[
        int, typer.Option("--number", "-n", help="Number of events to choose.", min=1)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Parquet file to write.")],
    by: Annotated[
        SelectionMethod, typer.Option(help="Method of selection.")
    ] = SelectionMethod.BADGE,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", "-b", help="Bundle that scores the pool (uncertain, badge)."),
    ] = None,
    labeled: Annotated[
        list[Path] | None, typer.Option(help="Labeled files to differ from (diverse).")
    ] = None,
    text_column: opt.TextColumn = None,
    seed: opt.Seed = 0,
) -> None:
    """Choose the events whose labels would teach most.

    Near-duplicates are selected once.
    """
    with show_steps("reading") as on_step:
        found = select_events(
            pool,
            task,
            number,
            output,
            SelectionSettings(by, bundle, labeled or (), text_column, seed),
            on_step=on_step,
        )
    out.print(
        f"{found.n_chosen:,} of {found.n_pool:,} events: {output}; their labels serve "
        f"{found.n_served:,} with near-duplicates"
    )
    if found.quarantine:
        err.print(found.quarantine)
