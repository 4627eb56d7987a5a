"""A `buckler stream kafka` process against a broker on loopback."""

import json
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

from tests.support.cli import Command
from tests.support.waiting import wait_until


@contextmanager
def worker(broker, bundle, folder, topic, **chosen):
    """Start a worker; kill it when the block ends."""
    client = {
        "fetch.wait.max.ms": 20,
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500,
        "reconnect.backoff.max.ms": 500,
        "topic.metadata.refresh.interval.ms": 1000,
        "message.timeout.ms": 8000,
    }
    lines = [f'brokers = "{broker.address}"', f'topic = "{topic}"']
    lines += [f"{name} = {json.dumps(value)}" for name, value in chosen.items()]
    lines += ["[client]", *(f'"{name}" = {value}' for name, value in client.items())]
    number = time.monotonic_ns()
    file, log = folder / f"{number}.toml", folder / f"{number}.log"
    file.write_text("\n".join(lines))
    with log.open("wb") as told, Path(os.devnull).open("rb") as nothing:
        process = Command(
            *("stream", "kafka", "-b", bundle, "--settings", file),
            stdin=nothing,
            stdout=told,
            stderr=told,
            env=os.environ,
        )
    process.log = log
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stop(process):
    """Stop a worker with SIGTERM; it must end without an error."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, process.log.read_text()


def wait_for_log(process, words, seconds=90):
    """Wait until a worker has logged these words."""
    wait_until(lambda: words in process.log.read_text(), timeout_s=seconds, interval_s=0.1)
