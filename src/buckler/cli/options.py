"""Options that several commands share."""

from typing import Annotated

import typer

BudgetUsd = Annotated[float | None, typer.Option(help="Spend at most so many dollars.", min=0)]
BudgetTokens = Annotated[int | None, typer.Option(help="Spend at most so many tokens.", min=0)]
