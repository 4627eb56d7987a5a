"""The terminal: prints text of events safely, and shows progress only on a terminal."""

import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table

from buckler.cli.terminal import safe as safe

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

out = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, emoji=False, markup=False, soft_wrap=True)


@contextmanager
def byte_progress(title: str) -> "Iterator[tuple[Progress, TaskID]]":
    """Show a bar over bytes with a rate of rows; nothing without a terminal."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TextColumn("{task.fields[rate]:,.0f} rows/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as progress:
        yield progress, progress.add_task(title, total=None, rows=0, rate=0.0)


@contextmanager
def show_steps(first: str) -> Iterator[Callable[[str], None]]:
    """Show which step runs, until a call names the next; nothing without a terminal."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=err,
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as progress:
        bar = progress.add_task(first)
        yield lambda text: progress.update(bar, description=text)


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], right: Container[str] = ()
) -> None:
    """Print rows under their headings, if there are any; columns in `right` are numbers."""
    table = Table(box=None, pad_edge=False, show_header=bool(headings))
    for heading in headings:
        justify: Literal["left", "right"] = "right" if heading in right else "left"
        table.add_column(heading, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)
