"""Spark: verdicts for a DataFrame by `mapInArrow`, and functions for SQL."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from buckler.serving.engines.tables import TableScorer, as_table_scorer

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def score(
    frame: "DataFrame", bundle: str | Path | TableScorer, column: str | None = None
) -> "DataFrame":
    """Return a DataFrame with verdicts behind its columns.

    The bundle's content travels with the function and is loaded once in each worker process.

    `bundle` is a .buckler file, or a `TableScorer` with options of its own; `column` names the
    text, by default the usual names of the bundle's task.
    """
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructType

    scorer = as_table_scorer(bundle, column)

    def score_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from scorer(pa.Table.from_batches([batch])).to_batches()

    added = from_arrow_schema(scorer.schema)
    return frame.mapInArrow(score_batches, StructType([*frame.schema.fields, *added.fields]))


def register(
    spark: "SparkSession", bundle: str | Path | TableScorer, name: str = "buckler"
) -> None:
    """Make SQL functions of a bundle: ``NAME_score(text)``, ``_label(text)``,
    ``_detected(text)`` and ``_error(text)``, the reason why a text has no verdict.
    """
    from pyspark.sql.functions import arrow_udf

    scorer = as_table_scorer(bundle)
    for field, kind in (
        ("score", "float"),
        ("label", "string"),
        ("detected", "boolean"),
        ("error", "string"),
    ):
        spark.udf.register(f"{name}_{field}", arrow_udf(_score_field(scorer, field), kind))


def _score_field(scorer: TableScorer, field: str) -> Callable[[pa.Array], pa.Array]:
    """Return a function of one argument: Spark reads its type hints."""

    def score_text(text: pa.Array) -> pa.Array:
        return scorer.score_column(text)[field].combine_chunks()

    return score_text
