"""`buckler data`: named public data sets, and files of synthetic examples."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli import synthesize
from buckler.cli.console import err, out
from buckler.dataset.public_data import PUBLIC_DATA, get_public_data
from buckler.errors import OutputError

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_data() -> None:
    """List the data sets that Buckler knows."""
    for data in PUBLIC_DATA.values():
        fetched = "" if data.archives else " (from a local copy)"
        out.print(f"{data.name}{fetched}")
        out.print(f"  {data.description}")
        out.print(f"  task {data.task}; license: {data.license}")
        out.print(f"  from: {data.origin}")
        out.print(f"  know before use: {data.noise}")


app.command("show")(synthesize.show)


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(help="Name of the data set.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Parquet file to write.")],
    from_folder: Annotated[
        Path | None, typer.Option("--from", help="Folder with a local copy.")
    ] = None,
    overwrite: opt.Overwrite = False,
) -> None:
    """Write a data set to a Parquet file; what is fetched is checked against a known digest."""
    if output.exists() and not overwrite:
        raise OutputError(
            f"{output} exists; give another name, or overwrite it", path=output, field="overwrite"
        )
    rows = get_public_data(name, output, from_folder=from_folder, on_step=err.print)
    out.print(f"{rows:,} rows: {output} (license: {PUBLIC_DATA[name].license})")
