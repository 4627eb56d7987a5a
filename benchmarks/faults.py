"""Faults injected under a Kafka worker: events lost, and events that came twice."""

import json
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

from benchmarks.deploy import TASK, repeat_to, train_bundle
from benchmarks.measure import table

RATE = 5_000
SECONDS = 45
N = RATE * SECONDS
BATCH = 500


def run(data: Path) -> None:
    """Print the table."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.support.kafka_broker import kafka_broker
    from tests.support.stream_worker import stop, worker

    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle, urls = train_bundle(data, folder, TASK)
        values = [json.dumps({"url": u}).encode() for u in repeat_to(urls, N).to_pylist()]
        for what, breaking in (
            ("worker killed (kill -9)", _kill),
            ("broker frozen for 3 s (SIGSTOP)", _freeze),
        ):
            with kafka_broker(folder) as broker:
                broker.topics("in", "in.verdicts", "in.dead")
                feeding = threading.Thread(target=_feed, args=(broker, values))
                feeding.start()
                at_work = partial(worker, broker, bundle, folder, "in", batch_events=BATCH)
                times = breaking(broker, at_work, feeding)
                feeding.join()
                with at_work() as process:
                    deadline = time.monotonic() + 120
                    found = _sources(broker)
                    while len(found) < N and time.monotonic() < deadline:
                        found = _sources(broker)
                    stop(process)
                found = _sources(broker)
            twice = sum(found.values()) - len(found)
            rows.append((what, f"{times}", f"{N:,}", f"{N - len(found):,}", f"{twice:,}"))
    print(f"{RATE:,} events/s, batches of {BATCH}")
    table(("fault", "times", "events", "lost", "came twice"), rows)


def _feed(broker, values: list[bytes]) -> None:
    started = time.monotonic()
    for second in range(SECONDS):
        broker.produce("in", values[second * RATE : (second + 1) * RATE])
        time.sleep(max(0.0, started + second + 1 - time.monotonic()))


def _kill(_, at_work, feeding: threading.Thread) -> int:
    """Kill workers that have worked for some seconds, as long as events come."""
    times = 0
    while feeding.is_alive():
        with at_work() as process:
            time.sleep(7)
            process.kill()
            times += 1
    return times


def _freeze(broker, at_work, feeding: threading.Thread) -> int:
    """Freeze the broker again and again under one worker."""
    times = 0
    with at_work():
        time.sleep(7)
        while feeding.is_alive():
            broker.send(signal.SIGSTOP)
            time.sleep(3)
            broker.send(signal.SIGCONT)
            time.sleep(4)
            times += 1
    return times


def _sources(broker) -> Counter:
    messages = broker.consume("in.verdicts", N, 40)
    return Counter(dict(m.headers())["source"] for m in messages)
