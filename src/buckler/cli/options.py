"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

BudgetUsd = Annotated[float | None, typer.Option(help="Spend at most so many dollars.", min=0)]
BudgetTokens = Annotated[int | None, typer.Option(help="Spend at most so many tokens.", min=0)]
ModelSettings = Annotated[
    Path | None, typer.Option("--settings", help="The language model's file.")
]
PaidStore = Annotated[str, typer.Option("--store", "-s", help="Where what was paid for is kept.")]
TrustedKey = Annotated[
    Path | None,
    typer.Option(
        "--trusted-key",
        envvar="BUCKLER_TRUSTED_KEY",
        help="A public key (PEM): use only what its owner has signed.",
    ),
]
