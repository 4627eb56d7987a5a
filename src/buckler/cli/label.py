"""`buckler label`: ask a teacher, and keep what it says."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli.console import err, out, safe, step_progress
from buckler.evaluation.metrics import wilson
from buckler.events import Quarantine, collect_events
from buckler.labels import LabelStore
from buckler.tasks import get_task
from buckler.teachers import get_teacher
from buckler.teachers.run import label_events


def label(
    data: Annotated[list[Path], typer.Argument(help="Files or folders of events.")],
    task: Annotated[str, typer.Option("--task", "-t", help="A task, or a .toml file of your own.")],
    teacher: Annotated[str, typer.Option(help="Who is asked: rules or recorded.")],
    settings: Annotated[
        Path, typer.Option("--settings", help="The teacher's file: rules, or recorded opinions.")
    ],
    store: Annotated[
        str,
        typer.Option("--store", "-s", help="A file, or a PostgreSQL URL.", envvar="BUCKLER_LABELS"),
    ] = "labels.db",
    text_column: Annotated[str | None, typer.Option(help="Name of the text column.")] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Name of a label column, to compare with.")
    ] = None,
) -> None:
    """Ask a teacher about events, once for each; its opinions go to the label store."""
    the_task = get_task(task)
    who = get_teacher(teacher, settings, the_task)
    with LabelStore(store) as opened, Quarantine() as quarantine, step_progress() as progress:
        bar = progress.add_task("reading")
        events = collect_events(
            data,
            the_task,
            text_column=text_column,
            label_column=label_column,
            quarantine=quarantine,
        )
        done = 0

        def advance(n: int) -> None:
            nonlocal done
            done += n
            progress.update(bar, description=f"asking: {done:,} of {len(events):,}")

        result = label_events(opened, who, events, the_task, on_progress=advance)
    name = f"{safe(who.labeler.name)} {safe(who.labeler.version)}".strip()
    out.print(
        f"{name}: {result.events:,} events, {result.known:,} judged before, "
        f"{result.new:,} new opinions, {result.silent:,} without one"
    )
    if result.compared:
        share = wilson(result.agreed, result.compared)
        out.print(
            f"agrees with {share.value:.3f} ({share.low:.3f} to {share.high:.3f}) of "
            f"{result.compared:,} labels of the data"
        )
    if quarantine.count:
        err.print(quarantine.summary())
