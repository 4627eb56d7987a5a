"""Engines: scoring inside Ray, Spark, DuckDB, Polars, and anything else that holds Arrow tables.

All of them score by a `TableScorer`: the bundle is verified where the query is made, and its
content travels to the workers. The scores are those of the runtime, to the bit. A bundle that
cannot be used, and a table without a text column, raise a `BucklerError`.
"""

from buckler.serving.engines.tables import TableScorer

__all__ = ["TableScorer"]
