"""DuckDB: functions for SQL."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from buckler.serving.tables import TableJudge

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def register(
    connection: "DuckDBPyConnection", bundle: str | Path, name: str = "buckler", **options: Any
) -> None:
    """Make SQL functions of a bundle: ``NAME_score(text)``, ``_label(text)``, ``_detected(text)``.

    They work on columns, a vector at a time; NULL gives NULL.

    Parameters
    ----------
    options
        Of `TableJudge`: target_fpr, trusted_key.

    Raises
    ------
    BucklerError
        If the bundle cannot be used.
    """
    from duckdb.func import FunctionNullHandling, PythonUDFType

    judge = TableJudge(bundle, "text", prefix="", **options)
    for what, kind in (("score", "FLOAT"), ("label", "VARCHAR"), ("detected", "BOOLEAN")):
        connection.create_function(
            f"{name}_{what}",
            partial(_judged, judge, what),
            ["VARCHAR"],
            kind,
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )


def _judged(judge: TableJudge, what: str, text: pa.ChunkedArray) -> pa.ChunkedArray:
    return judge.columns(pa.table({"text": text}))[what]
