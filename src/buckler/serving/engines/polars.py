"""Polars: verdicts for a DataFrame, and an expression for lazy queries."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from buckler.serving.tables import TableJudge

if TYPE_CHECKING:
    from polars import DataFrame, Expr, Series


def score(
    frame: "DataFrame", bundle: str | Path, column: str | None = None, **options: Any
) -> "DataFrame":
    """Return a DataFrame with verdicts behind its columns.

    Parameters
    ----------
    column
        Name of the text column; by default the usual names of the bundle's task.
    options
        Of `TableJudge`: target_fpr, probabilities, prefix, trusted_key.

    Raises
    ------
    BucklerError
        If the bundle cannot be used, or the frame lacks a text column.
    """
    import polars

    judged = polars.from_arrow(TableJudge(bundle, column, **options)(frame.to_arrow()))
    if not isinstance(judged, polars.DataFrame):
        raise TypeError("a table became no frame")
    return judged


def verdict(text: "Expr", bundle: str | Path, **options: Any) -> "Expr":
    """Return an expression: a struct of label, score, detection and what else the bundle says.

    Raises
    ------
    BucklerError
        If the bundle cannot be used.
    """
    import polars

    judge = TableJudge(bundle, "text", prefix="", **options)

    def judged(series: "Series") -> "Series":
        table = judge.columns(pa.table({"text": series.to_arrow()}))
        return polars.DataFrame(pa.table(table)).to_struct(series.name)

    empty = pa.table({f.name: pa.array([], f.type) for f in judge.schema})
    kind = polars.DataFrame(empty).to_struct("x").dtype
    return text.map_batches(judged, return_dtype=kind)
