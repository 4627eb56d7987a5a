"""Services: HTTP and a Kafka worker, with load generator and broker on the same machine.

The clock says what this machine does with all of them at once, the CPU time of the service what
it needs itself.
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measure import cpu_seconds
from buckler.errors import BucklerError

SECONDS, LATENCY_SECONDS = 6.0, 10.0
BATCH = 1000
RATE = 500
N_MESSAGES = 600_000
BUCKLER = [sys.executable, "-c", "from buckler.cli.main import main; main()"]


def measure(bundle: Path, urls: pa.Array, folder: Path) -> list[list[str]]:
    """Return rows: what, events a second, CPU time of the service for each in us, remark."""
    return _kafka(bundle, urls, folder) + _http(bundle, urls, folder)


def _repeat(urls: pa.Array, n: int) -> list[str]:
    return (urls.to_pylist() * (n // len(urls) + 1))[:n]


# --- Kafka --------------------------------------------------------------------------------------


def _kafka(bundle: Path, urls: pa.Array, folder: Path) -> list[list[str]]:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    try:
        from tests.support.kafka_broker import kafka_broker
    except ImportError as error:
        print(f"left out: {error}")
        return []
    values = [json.dumps({"url": u}).encode() for u in _repeat(urls, N_MESSAGES)]
    settings = folder / "stream.toml"
    with kafka_broker(folder) as broker:
        broker.topics("in", "in.verdicts", "in.dead")
        started = time.perf_counter()
        broker.produce("in", values)
        produced = N_MESSAGES / (time.perf_counter() - started)
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
        progress = list(_follow_metrics(settings, worker.pid))
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    (t0, cpu0, n0), (t1, cpu1, n1) = progress[0], progress[-1]
    remark = f"one worker, first batches aside; the generator put in {produced:,.0f}/s"
    cpu = f"{(cpu1 - cpu0) / (n1 - n0) * 1e6:.2f}"
    return [
        ["Kafka: topic to verdicts, acknowledged", f"{(n1 - n0) / (t1 - t0):,.0f}", cpu, remark]
    ]


def _follow_metrics(settings: Path, pid: int) -> Iterator[tuple[float, float, float]]:
    """Yield time, CPU time and events done, as the worker and its metrics tell them."""
    import tomllib
    from urllib.request import urlopen

    port = tomllib.loads(settings.read_text())["metrics_port"]
    last = 0.0
    deadline = time.monotonic() + 120
    while last < N_MESSAGES and time.monotonic() < deadline:
        time.sleep(0.05)
        try:
            page = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2).read().decode()
        except OSError:
            continue
        line = next(x for x in page.splitlines() if x.startswith("buckler_stream_events "))
        done = float(line.split()[1])
        if done != last:
            last = done
            yield time.perf_counter(), cpu_seconds(pid), done


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# --- HTTP ---------------------------------------------------------------------------------------


@contextmanager
def _server(bundle: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """Yield the port and the process of a server."""
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
    yield int(json.loads(lines[0])["address"].rsplit(":", 1)[1]), process.pid
    process.terminate()
    process.wait(30)


def _http(bundle: Path, urls: pa.Array, folder: Path) -> list[list[str]]:
    texts = _repeat(urls, BATCH)
    sink = pa.BufferOutputStream()
    batch = pa.table({"url": texts})
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_table(batch)
    bodies = {
        "JSON, texts": ("application/json", json.dumps({"texts": texts}).encode()),
        "JSON, objects": (
            "application/json",
            json.dumps({"events": [{"url": text} for text in texts]}).encode(),
        ),
        "NDJSON": (
            "application/x-ndjson",
            "\n".join(json.dumps({"url": t}) for t in texts).encode(),
        ),
        "Arrow": ("application/vnd.apache.arrow.stream", sink.getvalue().to_pybytes()),
    }
    rows = []
    with _server(bundle, folder) as (port, pid):
        for name, (media, body) in bodies.items():
            cpu_s = cpu_seconds(pid)
            n, seconds = asyncio.run(_closed(port, _request(media, body), SECONDS))
            cpu = f"{(cpu_seconds(pid) - cpu_s) / n / BATCH * 1e6:.2f}"
            remark = f"batches of {BATCH:,}, 4 connections"
            rows.append([f"HTTP, {name}", f"{n * BATCH / seconds:,.0f}", cpu, remark])
        single = [
            _request("application/json", json.dumps({"text": t}).encode()) for t in texts[:200]
        ]
        asyncio.run(_open(port, single, RATE, 2))
        latencies = asyncio.run(_open(port, single, RATE, LATENCY_SECONDS))
    p50, p99, worst = np.quantile(latencies, [0.5, 0.99, 1]) * 1000
    rows.append(
        [
            f"HTTP, one event a request at {RATE}/s",
            "",
            "",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst:.1f} ms, from when each was due; "
            f"{int(RATE * LATENCY_SECONDS) - len(latencies)} refused",
        ]
    )
    return rows


def _request(media: str, body: bytes) -> bytes:
    head = f"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: {media}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _ask(reader, writer, request: bytes) -> bool:
    """Ask, and read the answer; return False where the server is too busy for one."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b" ", 2)[1]
    if status not in (b"200", b"429"):
        raise BucklerError(head.decode())
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return status == b"200"


async def _closed(port: int, request: bytes, seconds: float) -> tuple[int, float]:
    """Ask as fast as answers come, on four connections."""
    done = 0
    started = time.perf_counter()

    async def one() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        while time.perf_counter() - started < seconds:
            is_answered = await _ask(reader, writer, request)
            done += is_answered  # in a statement without await, which others would run into
        writer.close()

    await asyncio.gather(*(one() for _ in range(4)))
    return done, time.perf_counter() - started


async def _open(port: int, requests: list[bytes], rate: int, seconds: float) -> list[float]:
    """Ask at a steady rate whatever the answers do; return seconds of each from when it was due."""
    free: asyncio.Queue = asyncio.Queue()
    for _ in range(32):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    latencies: list[float] = []
    started = time.perf_counter()

    async def one(due: float, request: bytes) -> None:
        connection = await free.get()
        if await _ask(*connection, request):
            latencies.append(time.perf_counter() - due)
        free.put_nowait(connection)

    tasks = []
    for number in range(int(rate * seconds)):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due, requests[number % len(requests)])))
    await asyncio.gather(*tasks)
    return latencies
