"""Spark: verdicts for a DataFrame by `mapInArrow`, and functions for SQL."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from buckler.serving.tables import TableJudge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def score(
    frame: "DataFrame", bundle: str | Path, column: str | None = None, **options: Any
) -> "DataFrame":
    """Return a DataFrame with verdicts behind its columns.

    The bundle's content travels with the function and is loaded once in each worker process.

    Parameters
    ----------
    bundle
        The file, on the driver.
    column
        Name of the text column; by default the usual names of the bundle's task.
    options
        Of `TableJudge`: target_fpr, probabilities, prefix, trusted_key.

    Raises
    ------
    BucklerError
        If the bundle cannot be used.
    """
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructType

    judge = TableJudge(bundle, column, **options)

    def judged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from judge(pa.Table.from_batches([batch])).to_batches()

    added = from_arrow_schema(judge.schema)
    return frame.mapInArrow(judged, StructType([*frame.schema.fields, *added.fields]))


def register(
    spark: "SparkSession", bundle: str | Path, name: str = "buckler", **options: Any
) -> None:
    """Make SQL functions of a bundle: ``NAME_score(text)``, ``_label(text)``, ``_detected(text)``.

    Raises
    ------
    BucklerError
        If the bundle cannot be used.
    """
    from pyspark.sql.functions import arrow_udf

    judge = TableJudge(bundle, "text", prefix="", **options)
    for what, kind in (("score", "float"), ("label", "string"), ("detected", "boolean")):
        spark.udf.register(f"{name}_{what}", arrow_udf(_column(judge, what), kind))


def _column(judge: TableJudge, what: str) -> Callable[[pa.Array], pa.Array]:
    """Return a function of one argument: Spark reads its type hints."""

    def judged(text: pa.Array) -> pa.Array:
        return judge.columns(pa.table({"text": text}))[what].combine_chunks()

    return judged
