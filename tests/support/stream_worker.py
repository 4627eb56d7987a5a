"""A `buckler stream kafka` process against a broker on loopback."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager


@contextmanager
def worker(broker, bundle, folder, topic, **chosen):
    """Start a worker; kill it when the block ends."""
    client = {
        "fetch.wait.max.ms": 20,
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500,
        "reconnect.backoff.max.ms": 500,
        "topic.metadata.refresh.interval.ms": 1000,
    }
    lines = [f'brokers = "{broker.address}"', f'topic = "{topic}"']
    lines += [f"{name} = {json.dumps(value)}" for name, value in chosen.items()]
    lines += ["[client]", *(f'"{name}" = {value}' for name, value in client.items())]
    number = time.monotonic_ns()
    file, log = folder / f"{number}.toml", folder / f"{number}.log"
    file.write_text("\n".join(lines))
    command = [sys.executable, "-m", "buckler.cli.main", "stream", "kafka"]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*command, "-b", str(bundle), "--settings", str(file)], stdout=stderr, stderr=stderr
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
    deadline = time.monotonic() + seconds
    while words not in process.log.read_text():
        assert time.monotonic() < deadline, process.log.read_text()
        time.sleep(0.1)
