"""`buckler select`: which events of a pool to ask the teacher about."""

from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from buckler.cli.console import err, out, step_progress
from buckler.cli.options import Seed, TaskName, TextColumn
from buckler.dataset import ColumnNames, read_dataset
from buckler.errors import OutputError, SettingsError
from buckler.readers.quarantine import Quarantine
from buckler.runtime import load
from buckler.tasks import get_task
from buckler.training.selection import SelectionMethod, choose_events


def select(
    pool: Annotated[list[Path], typer.Argument(help="Files or folders of unlabeled events.")],
    task: TaskName,
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
    text_column: TextColumn = None,
    seed: Seed = 0,
) -> None:
    """Choose the events whose labels would teach most.

    Near-duplicates are selected once.
    """
    the_task = get_task(task)
    with Quarantine() as quarantine, step_progress() as progress:
        bar = progress.add_task("reading")
        events = read_dataset(
            pool,
            the_task,
            ColumnNames(text=text_column),
            labeled=False,
            quarantine=quarantine,
        )
        known = read_dataset(labeled, the_task, ColumnNames(text=text_column)) if labeled else None
        progress.update(bar, description="scoring")
        probabilities = None
        if bundle is not None:
            scorer = load(bundle)
            if list(scorer.classes) != the_task.class_names:
                raise SettingsError(f"{bundle}: a bundle of other classes than task {task!r}")
            verdicts = scorer.score(events.raw_texts)
            probabilities = verdicts.probabilities.astype(np.float64)
        progress.update(bar, description="choosing")
        chosen = choose_events(
            events, number, by, probabilities=probabilities, labeled=known, seed=seed
        )
    serves = np.bincount(chosen.duplicate_of, minlength=len(events))[chosen.rows]
    table = events.table.take(pa.array(chosen.rows))
    table = table.append_column("serves", pa.array(serves))
    try:
        pq.write_table(table, output)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written ({error})") from error
    out.print(
        f"{len(chosen.rows):,} of {len(events):,} events: {output}; their labels serve "
        f"{int(serves.sum()):,} with near-duplicates"
    )
    if quarantine.count:
        err.print(quarantine.summary())
