"""DuckDB: functions for SQL."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from buckler.serving.engines.tables import TableScorer, as_table_scorer

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def register(
    connection: "DuckDBPyConnection", bundle: str | Path | TableScorer, name: str = "buckler"
) -> None:
    """Make SQL functions of a bundle: ``NAME_score(text)``, ``_label(text)``, ``_detected(text)``
    and ``_error(text)``, the reason why a text has no verdict.

    They work on columns, a vector at a time. The verdict of NULL is NULL.

    `bundle` is a .buckler file, or a `TableScorer` with options of its own.
    """
    from duckdb.func import FunctionNullHandling, PythonUDFType

    scorer = as_table_scorer(bundle)
    for field, kind in (
        ("score", "FLOAT"),
        ("label", "VARCHAR"),
        ("detected", "BOOLEAN"),
        ("error", "VARCHAR"),
    ):
        connection.create_function(
            f"{name}_{field}",
            partial(_score, scorer, field),
            ["VARCHAR"],
            kind,
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )


def _score(scorer: TableScorer, field: str, text: pa.ChunkedArray) -> pa.ChunkedArray:
    return scorer.score_column(text)[field]
