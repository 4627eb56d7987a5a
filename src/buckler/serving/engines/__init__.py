"""Scoring inside Ray, Spark, DuckDB and Polars."""
