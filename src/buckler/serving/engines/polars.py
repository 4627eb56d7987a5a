"""Polars: verdicts for a DataFrame, and an expression for lazy queries."""

from pathlib import Path
from typing import TYPE_CHECKING

from buckler.serving.engines.tables import TableScorer, as_table_scorer

if TYPE_CHECKING:
    from polars import DataFrame, Expr, Series


def score(
    frame: "DataFrame", bundle: str | Path | TableScorer, column: str | None = None
) -> "DataFrame":
    """Return a DataFrame with verdicts behind its columns.

    `bundle` is a .buckler file, or a `TableScorer` with options of its own; `column` names the
    text, by default the usual names of the bundle's task.
    """
    import polars

    scored = polars.from_arrow(as_table_scorer(bundle, column)(frame.to_arrow()))
    if not isinstance(scored, polars.DataFrame):
        raise TypeError("a table became no frame")
    return scored


def verdict(text: "Expr", bundle: str | Path | TableScorer) -> "Expr":
    """Return an expression: a struct of label, score, detected and further answers of the
    bundle.
    """
    import polars

    scorer = as_table_scorer(bundle)

    def score_series(series: "Series") -> "Series":
        table = scorer.score_column(series.to_arrow())
        return polars.DataFrame(table).to_struct(series.name)

    empty = scorer.score_column(polars.Series("x", [], polars.String).to_arrow())
    return text.map_batches(score_series, return_dtype=polars.DataFrame(empty).to_struct("x").dtype)
