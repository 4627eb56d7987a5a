"""`buckler study`: what each technique brings, measured on public data over several seeds."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.bundle.writer import write_whole
from buckler.cli.console import err, out, step_progress
from buckler.errors import InputError, SettingsError
from buckler.study import categories, coverage, efficiency, noisy
from buckler.study.results import Results

PARTS = {
    "coverage": coverage.run,
    "efficiency": efficiency.run,
    "noisy": noisy.run,
    "categories": categories.run,
}


def study(
    data: Annotated[Path, typer.Argument(help="Folder with url, command_line, email, teacher.")],
    part: Annotated[
        list[str] | None,
        typer.Option(help="coverage, efficiency, noisy, categories; by default all."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to work.")] = Path("study"),
    seeds: Annotated[int, typer.Option(help="How many.", min=1, max=20)] = 3,
) -> None:
    """Measure distillation, noise handling, selection and specimens; a stopped study goes on."""
    parts = part or list(PARTS)
    for name in parts:
        if name not in PARTS:
            raise SettingsError(f"no part {name!r} of the study; there are {', '.join(PARTS)}")
    if not data.is_dir():
        raise InputError(f"{data}: no folder")
    results = Results(output / "results.jsonl")
    pages = []
    with step_progress() as progress:
        bar = progress.add_task("starting")
        for name in parts:
            tables = PARTS[name](
                data,
                output,
                results,
                seeds,
                lambda text: progress.update(bar, description=text),
            )
            pages += [table.markdown() for table in tables]
    page = "\n".join(pages)
    write_whole(output / "study.md", page.encode())
    out.print(page)
    err.print(f"{output / 'study.md'}: the tables; {output / 'results.jsonl'}: every figure")
