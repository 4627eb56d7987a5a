"""Options that several commands share, so that each has one name and one help text."""

from pathlib import Path
from typing import Annotated

import typer

BundleArgument = Annotated[Path, typer.Argument(help="Bundle file.")]
BundleOption = Annotated[Path, typer.Option("--bundle", "-b", help="Bundle file.")]
TrustedKey = Annotated[
    Path | None,
    typer.Option(
        "--trusted-key",
        envvar="BUCKLER_TRUSTED_KEY",
        help="Public key file (PEM): only what its owner signed is used.",
    ),
]
TaskName = Annotated[
    str, typer.Option("--task", "-t", help="Name of a task, or a .toml file of your own.")
]
TaskFile = Annotated[
    str | None, typer.Option("--task", "-t", help="TOML file of a task of your own.")
]
TextColumn = Annotated[str | None, typer.Option(help="Name of the text column.")]
LabelColumn = Annotated[str | None, typer.Option(help="Name of the label column.")]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Format of the files, such as csv or mbox; by default the suffix tells.",
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        help="Fields of the event to repeat, such as host,winlog.record_id; may be repeated.",
    ),
]
KeepAll = Annotated[bool, typer.Option("--keep-all", help="Repeat the whole event.")]
Explain = Annotated[
    int, typer.Option("--explain", help="Number of pieces that say why.", min=0, max=100)
]
Index = Annotated[str, typer.Option(help="Index for --as bulk.")]
OnlyDetections = Annotated[bool, typer.Option("--only-detections", help="Write detections alone.")]
TargetFpr = Annotated[
    float | None, typer.Option(help="Decide at the threshold for this false-positive rate.")
]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0)]
BudgetUsd = Annotated[float | None, typer.Option(help="Largest cost, in USD.", min=0)]
BudgetTokens = Annotated[int | None, typer.Option(help="Largest number of tokens.", min=0)]
ModelSettings = Annotated[
    Path | None, typer.Option("--settings", help="Settings file of the language model.")
]
Store = Annotated[
    str,
    typer.Option(
        "--store", "-s", help="Label store: a file, or a PostgreSQL URL.", envvar="BUCKLER_LABELS"
    ),
]
PaidStore = Annotated[
    str, typer.Option("--store", "-s", help="Store of paid answers: a file, or a PostgreSQL URL.")
]


def split_names(given: list[str] | None) -> tuple[str, ...]:
    """Return the names of an option that takes several, with commas or again and again."""
    names = (name.strip() for each in given or () for name in each.split(","))
    return tuple(dict.fromkeys(name for name in names if name))
