"""Deployment: files, HTTP, Kafka, Ray, Spark, DuckDB and Polars beside the scorer itself.

Everything runs on this machine at once, load generator and broker included; ratios count.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import table
from buckler.dataset import read_dataset
from buckler.errors import BucklerError
from buckler.runtime import load
from buckler.serving.engines import TableScorer
from buckler.serving.scan import ScanOptions, scan
from buckler.tasks import Task, get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted

TASK = get_task("url-threat")
SECONDS = 6.0
BATCH = 1000
RATE = 500
ENGINE_ROWS = 5_000_000
BUCKLER = [sys.executable, "-c", "from buckler.cli.main import main; main()"]


def run(data: Path) -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle, urls = train_bundle(data, folder, TASK)
        cheap = replace(TASK, name="url-threat-v1", normalizer="url-v1", max_bytes=512)
        light, _ = train_bundle(data, folder, cheap)
        first = _raw(light, urls, "url-v1")
        of_light = [*first, *_files(light, urls, folder, "url-v1")]
        _shares(of_light)
        rows = _raw(bundle, urls, "url-v3")
        rows += _files(bundle, urls, folder, "url-v3")
        rows += _engines(bundle, urls, folder)
        rows += _kafka(bundle, urls, folder)
        rows += _http(bundle, urls, folder)
        _shares(rows)
        table(["what", "events/s", "share of the scorer's", "remark"], [*of_light, *rows])


def _shares(rows: list[list[str]]) -> None:
    """Put behind each rate its share of the first, which is the scorer's."""
    raw = float(rows[0][1].replace(",", ""))
    for row in rows:
        row.insert(2, f"{float(row[1].replace(',', '')) / raw:.2f}" if row[1] else "")


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
    best = min(_seconds(lambda: scorer.score(many)) for _ in range(3))
    return [[f"{what}: scorer, Arrow column, one thread", f"{len(many) / best:,.0f}", ""]]


def _seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


# --- files --------------------------------------------------------------------------------------


def _files(bundle: Path, urls: pa.Array, folder: Path, what: str) -> list[list[str]]:
    scorer, n = load(bundle), 1_000_000
    many = pa.table({"url": repeat_to(urls, n)})
    pq.write_table(many, folder / "in.parquet")
    with (folder / "in.jsonl").open("w") as file:
        for text in many["url"].to_pylist():
            file.write(json.dumps({"url": text}) + "\n")
    rows = []
    settings, target = (
        ScanOptions(("url",), with_text=False, overwrite=True),
        folder / "out.parquet",
    )
    for name in ("in.parquet", "in.jsonl"):
        source = folder / name
        work = partial(scan, scorer, [source], target, settings)
        best = min(_seconds(work) for _ in range(3))
        rows.append(
            [f"{what}: scan of {name.removeprefix('in.')} to Parquet", f"{n / best:,.0f}", ""]
        )
    return rows


# --- engines ------------------------------------------------------------------------------------


def _engines(bundle: Path, urls: pa.Array, folder: Path) -> list[list[str]]:
    many = pa.table({"url": repeat_to(urls, ENGINE_ROWS)})
    scorer = TableScorer(bundle)
    rows = [_row("TableScorer on a table", _seconds(lambda: scorer(many)))]
    try:
        rows += _polars_and_duckdb(bundle, many)
        rows += _ray(bundle, many)
        rows += _spark(bundle, many, folder)
    except ImportError as error:
        print(f"left out: {error}")
    return rows


def _row(name: str, seconds: float, remark: str = "") -> list[str]:
    return [name, f"{ENGINE_ROWS / seconds:,.0f}", remark]


def _polars_and_duckdb(bundle: Path, many: pa.Table) -> list[list[str]]:
    import duckdb
    import polars as pl

    from buckler.serving.engines import duckdb as of_duckdb
    from buckler.serving.engines import polars as of_polars

    frame = pl.from_arrow(many)
    expression = of_polars.verdict(pl.col("url"), bundle)
    seconds = _seconds(lambda: frame.lazy().select(expression).collect())
    connection = duckdb.connect()
    connection.execute("set threads to 1")
    of_duckdb.register(connection, bundle)
    connection.register("urls", many)
    query = "select count(*) from urls where buckler_score(url) > 0.5"
    sql = _seconds(lambda: connection.execute(query).fetchall())
    return [_row("Polars expression", seconds), _row("DuckDB function, one thread", sql)]


def _ray(bundle: Path, many: pa.Table) -> list[list[str]]:
    import ray

    from buckler.serving.engines.ray import score

    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    dataset = ray.data.from_arrow([many.slice(i, 250_000) for i in range(0, len(many), 250_000)])
    dataset = dataset.materialize()
    score(dataset.limit(1000), bundle).materialize()  # workers start
    seconds = _seconds(lambda: score(dataset, bundle, batch_size=None).materialize())
    ray.shutdown()
    return [_row("Ray Data, one CPU", seconds, "blocks in its object store")]


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
    seconds, bare = _seconds(work), _seconds(without)
    session.stop()
    rate = f"{ENGINE_ROWS / bare:,.0f}/s without verdicts: Spark's way to Python and back"
    return [_row("Spark mapInArrow, local[1]", seconds, rate)]


# --- Kafka --------------------------------------------------------------------------------------


def _kafka(bundle: Path, urls: pa.Array, folder: Path) -> list[list[str]]:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    try:
        from tests.support.kafka_broker import kafka_broker
    except ImportError as error:
        print(f"left out: {error}")
        return []
    n = 300_000
    values = [json.dumps({"url": u}).encode() for u in repeat_to(urls, n).to_pylist()]
    settings = folder / "stream.toml"
    with kafka_broker(folder) as broker:
        broker.topics("in", "in.verdicts", "in.dead")
        started = time.perf_counter()
        broker.produce("in", values)
        produced = n / (time.perf_counter() - started)
        settings.write_text(
            f'brokers = "{broker.address}"\ntopic = "in"\nbatch_events = 20000\n'
            f"metrics_port = {_free_port()}\n[client]\n"
            '"fetch.wait.max.ms" = 20\n"queued.min.messages" = 200000\n'
        )
        log = (folder / "stream.log").open("wb")
        worker = subprocess.Popen(
            [*BUCKLER, "stream", "kafka", "-b", str(bundle), "--settings", str(settings)],
            stderr=log,
        )
        times = follow_metrics(settings, n)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    (t0, c0), (t1, c1) = times[0], times[-1]
    rate = (c1 - c0) / (t1 - t0) if t1 > t0 else float("nan")
    remark = f"one worker, first batch aside; the generator put in {produced:,.0f}/s"
    return [["Kafka: topic to verdicts, acknowledged", f"{rate:,.0f}", remark]]


def follow_metrics(settings: Path, n: int) -> list[tuple[float, float]]:
    """Return (time, events done) as the worker's metrics tell them."""
    import tomllib
    from urllib.request import urlopen

    port = tomllib.loads(settings.read_text())["metrics_port"]
    found: list[tuple[float, float]] = []
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            page = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2).read().decode()
        except OSError:
            time.sleep(0.1)
            continue
        line = next(x for x in page.splitlines() if x.startswith("buckler_stream_events "))
        done = float(line.split()[1])
        if done and (not found or done != found[-1][1]):
            found.append((time.perf_counter(), done))
        if done >= n:
            break
        time.sleep(0.02)
    return found


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# --- HTTP ---------------------------------------------------------------------------------------


@contextmanager
def _server(bundle: Path, folder: Path):
    log = folder / "serve.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*BUCKLER, "serve", str(bundle), "--port", "0"], stderr=stderr, stdout=stderr
        )
    for _ in range(400):
        lines = [x for x in log.read_text().splitlines() if '"listening"' in x]
        if lines:
            break
        time.sleep(0.05)
    yield int(json.loads(lines[0])["address"].rsplit(":", 1)[1])
    process.terminate()
    process.wait(30)


def _http(bundle: Path, urls: pa.Array, folder: Path) -> list[list[str]]:
    texts = repeat_to(urls, BATCH).to_pylist()
    sink = pa.BufferOutputStream()
    batch = pa.table({"url": texts})
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_table(batch)
    bodies = {
        "JSON": ("application/json", json.dumps({"texts": texts}).encode()),
        "NDJSON": (
            "application/x-ndjson",
            "\n".join(json.dumps({"url": t}) for t in texts).encode(),
        ),
        "Arrow": ("application/vnd.apache.arrow.stream", sink.getvalue().to_pybytes()),
    }
    rows = []
    with _server(bundle, folder) as port:
        for name, (media, body) in bodies.items():
            n, seconds = asyncio.run(_closed(port, _request(media, body), SECONDS))
            remark = f"batches of {BATCH:,}, 4 connections"
            rows.append([f"HTTP, {name}", f"{n * BATCH / seconds:,.0f}", remark])
        single = [
            _request("application/json", json.dumps({"text": t}).encode()) for t in texts[:200]
        ]
        asyncio.run(_open(port, single, RATE, 2))
        latencies = asyncio.run(_open(port, single, RATE, 10))
    p50, p99, worst = np.quantile(latencies, [0.5, 0.99, 1]) * 1000
    rows.append(
        [
            f"HTTP, one event a request at {RATE}/s",
            "",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst:.1f} ms, from when each was due",
        ]
    )
    return rows


def _request(media: str, body: bytes) -> bytes:
    head = f"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: {media}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _ask(reader, writer, request: bytes) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise BucklerError(head.decode())
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)


async def _closed(port: int, request: bytes, seconds: float) -> tuple[int, float]:
    """Ask as fast as answers come, on four connections."""
    done = 0
    started = time.perf_counter()

    async def one() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        while time.perf_counter() - started < seconds:
            await _ask(reader, writer, request)
            done += 1
        writer.close()

    await asyncio.gather(*(one() for _ in range(4)))
    return done, time.perf_counter() - started


async def _open(port: int, requests: list[bytes], rate: int, seconds: float) -> list[float]:
    """Ask at a steady rate whatever the answers do; return seconds from when each was due."""
    free: asyncio.Queue = asyncio.Queue()
    for _ in range(32):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    latencies: list[float] = []
    started = time.perf_counter()

    async def one(due: float, request: bytes) -> None:
        connection = await free.get()
        await _ask(*connection, request)
        latencies.append(time.perf_counter() - due)
        free.put_nowait(connection)

    tasks = []
    for number in range(int(rate * seconds)):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due, requests[number % len(requests)])))
    await asyncio.gather(*tasks)
    return latencies
