"""Deployment: files, Ray, Spark, DuckDB and Polars beside the scorer itself; then HTTP and Kafka.

Everything runs on this machine at once; ratios and CPU time count.
"""

import json
import os
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import services
from benchmarks.measure import Spent, spend, table
from buckler.dataset import read_dataset
from buckler.runtime import load
from buckler.serving.engines import TableScorer
from buckler.serving.scan import ScanOptions, scan
from buckler.tasks import Task, get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted

TASK = get_task("url-threat")
ENGINE_ROWS = 5_000_000
COLUMNS = ["what", "events/s", "CPU us an event", "share of the scorer's", "remark"]


def run(data: Path) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle, urls = train_bundle(data, folder, TASK)
        cheap = replace(TASK, name="url-threat-v1", normalizer="url-v1", max_bytes=512)
        light, _ = train_bundle(data, folder, cheap)
        of_light = [*_raw(light, urls, "url-v1"), *_files(light, urls, folder, "url-v1")]
        _shares(of_light)
        rows = _raw(bundle, urls, "url-v3")
        rows += _files(bundle, urls, folder, "url-v3")
        rows += _engines(bundle, urls, folder)
        rows += services.measure(bundle, urls, folder)
        _shares(rows)
        table(COLUMNS, [*of_light, *rows])


def run_services(data: Path) -> None:
    """Print the rows of the scorer, of HTTP and of Kafka alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle, urls = train_bundle(data, folder, TASK)
        rows = _raw(bundle, urls, "url-v3") + services.measure(bundle, urls, folder)
        _shares(rows)
        table(COLUMNS, rows)


def _shares(rows: list[list[str]]) -> None:
    """Put behind each rate its share of the first, which is the scorer's."""
    raw = float(rows[0][1].replace(",", ""))
    for row in rows:
        row.insert(3, f"{float(row[1].replace(',', '')) / raw:.2f}" if row[1] else "")


def train_bundle(data: Path, folder: Path, task: Task) -> tuple[Path, pa.Array]:
    events = read_dataset([data / "url" / "threat-train.parquet"], task)
    rng = np.random.default_rng(0)
    some = events.take(np.sort(rng.permutation(len(events))[:60_000]))
    bundle = folder / f"{task.name}.buckler"
    write_fitted(bundle, fit_student(some, StudentSpec("ngram", {}, folds=3)))
    return bundle, pq.read_table(data / "url" / "threat-test.parquet")["url"].combine_chunks()


def repeat_to(urls: pa.Array, n: int) -> pa.Array:
    return pa.concat_arrays([urls] * (n // len(urls) + 1)).slice(0, n).cast(pa.string())


def _raw(bundle: Path, urls: pa.Array, what: str) -> list[list[str]]:
    scorer, many = load(bundle), repeat_to(urls, 500_000)
    best = min(spend(lambda: scorer.score(many)) for _ in range(3))
    return [_row(f"{what}: scorer, Arrow column, one thread", best, len(many))]


def _row(name: str, spent: Spent, n_events: int = ENGINE_ROWS, remark: str = "") -> list[str]:
    cpu = "" if spent.cpu_s is None else f"{spent.cpu_s / n_events * 1e6:.2f}"
    return [name, f"{n_events / spent.seconds:,.0f}", cpu, remark]


# --- files --------------------------------------------------------------------------------------


def _files(bundle: Path, urls: pa.Array, folder: Path, what: str) -> list[list[str]]:
    scorer, n = load(bundle), 1_000_000
    many = pa.table({"url": repeat_to(urls, n)})
    pq.write_table(many, folder / "in.parquet")
    with (folder / "in.jsonl").open("w") as file:
        for text in many["url"].to_pylist():
            file.write(json.dumps({"url": text}) + "\n")
    options = ScanOptions(("url",), with_text=False, overwrite=True, threads=1)
    rows = []
    for source, target in (("parquet", "parquet"), ("jsonl", "parquet"), ("jsonl", "jsonl")):
        work = partial(scan, scorer, [folder / f"in.{source}"], folder / f"out.{target}", options)
        best = min(spend(work) for _ in range(3))
        rows.append(_row(f"{what}: scan of {source} to {target}, one thread", best, n))
    return rows


# --- engines ------------------------------------------------------------------------------------


def _engines(bundle: Path, urls: pa.Array, folder: Path) -> list[list[str]]:
    many = pa.table({"url": repeat_to(urls, ENGINE_ROWS)})
    scorer = TableScorer(bundle)
    rows = [_row("TableScorer on a table", spend(lambda: scorer(many)))]
    try:
        rows += _polars_and_duckdb(bundle, many)
        rows += _ray(bundle, many)
        rows += _spark(bundle, many, folder)
    except ImportError as error:
        print(f"left out: {error}")
    return rows


def _polars_and_duckdb(bundle: Path, many: pa.Table) -> list[list[str]]:
    import duckdb
    import polars as pl

    from buckler.serving.engines import duckdb as of_duckdb
    from buckler.serving.engines import polars as of_polars

    frame = pl.from_arrow(many)
    expression = of_polars.verdict(pl.col("url"), bundle)
    of_frame = spend(lambda: frame.lazy().select(expression).collect())
    connection = duckdb.connect()
    connection.execute("set threads to 1")
    of_duckdb.register(connection, bundle)
    connection.register("urls", many)
    query = "select count(*) from urls where buckler_score(url) > 0.5"
    of_query = spend(lambda: connection.execute(query).fetchall())
    return [_row("Polars expression", of_frame), _row("DuckDB function, one thread", of_query)]


def _ray(bundle: Path, many: pa.Table) -> list[list[str]]:
    import ray

    from buckler.serving.engines.ray import score

    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    dataset = ray.data.from_arrow([many.slice(i, 250_000) for i in range(0, len(many), 250_000)])
    dataset = dataset.materialize()
    score(dataset.limit(1000), bundle).materialize()  # workers start
    spent = spend(lambda: score(dataset, bundle, batch_size=None).materialize())
    ray.shutdown()
    spent = spent._replace(cpu_s=None)  # of other processes
    return [_row("Ray Data, one CPU", spent, remark="blocks in its object store")]


def _spark(bundle: Path, many: pa.Table, folder: Path) -> list[list[str]]:
    from pyspark.sql import SparkSession

    from buckler.serving.engines.spark import score

    os.environ["PYSPARK_PYTHON"] = sys.executable
    pq.write_table(many, folder / "spark.parquet", row_group_size=250_000)
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "50000")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    frame = session.read.parquet(str(folder / "spark.parquet"))

    def work() -> None:
        scored = score(frame, bundle)
        scored.write.format("noop").mode("overwrite").save()

    def without() -> None:
        frame.mapInArrow(lambda batches: batches, frame.schema).write.format("noop").mode(
            "overwrite"
        ).save()

    work()  # the JVM warms up
    spent, bare = spend(work), spend(without)
    session.stop()
    spent = spent._replace(cpu_s=None)  # of other processes
    rate = f"{ENGINE_ROWS / bare.seconds:,.0f}/s without verdicts: Spark's way to Python and back"
    return [_row("Spark mapInArrow, local[1]", spent, remark=rate)]
