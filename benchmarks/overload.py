"""HTTP under overload: a rate that the server cannot keep, and clients that send nothing.

The rate is fixed beforehand (an open loop), so a slow server does not slow its clients down. Both
processes run on one core each.
"""

import json
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.support.made_up import made_up_bundle

_SECONDS = 6.0
_CONNECTIONS = 1000
_SLOW = 1000
_BODY = json.dumps({"text": "http://login.example.com/verify.php?id=123"}).encode()
_REQUEST = b"POST /v1/score HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)


def run(data: Path) -> None:  # noqa: ARG001 - the interface of the sections
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as port:
        _load(port, rate=None, connections=8, seconds=2)
        base = _load(port, rate=None, connections=8, seconds=_SECONDS / 2)
        rate = len(base[200]) / (_SECONDS / 2)
        print(f"closed loop, 8 clients: {rate:,.0f} requests a second")
        for times in (0.5, 1, 2, 4):
            _report(f"{times:g} x", _load(port, rate * times, _CONNECTIONS, _SECONDS))
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(_SLOW)]
        for number, client in enumerate(slow):
            client.sendall(_REQUEST[: 10 if number % 2 else -5])
        _report(f"0.5 x while {_SLOW:,} slow clients connect", _load(port, rate / 2, 100, 5))
        _report(f"0.5 x beside {_SLOW:,} slow clients", _load(port, rate / 2, 100, 3))


def _report(name: str, found: dict[int, list[float]]) -> None:
    for status, seconds in sorted(found.items()):
        p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
        print(f"{name}: {status}: {len(seconds):,} answers, p50 {p50:.1f} ms, p99 {p99:.1f} ms")


@contextmanager
def _server(folder: Path) -> Iterator[int]:
    bundle = folder / "url.buckler"
    made_up_bundle(bundle, 0)
    code = "from buckler.cli.main import main; main()"
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", str(bundle), "--port", "0"], stderr=file
        )
    try:
        while not (lines := [li for li in log.read_text().splitlines() if '"listening"' in li]):
            time.sleep(0.1)
        yield int(json.loads(lines[0])["address"].rpartition(":")[2])
    finally:
        process.terminate()
        process.wait()


def _load(
    port: int, rate: float | None, connections: int, seconds: float
) -> dict[int, list[float]]:
    """Return status -> seconds until each answer. A rate of None asks again at each answer."""
    selector = selectors.DefaultSelector()
    found: dict[int, list[float]] = defaultdict(list)
    free: dict[socket.socket, None] = {}  # in the order in which they became free
    sent: dict[socket.socket, float] = {}
    partial: dict[socket.socket, bytes] = {}

    def connect() -> None:
        client = socket.create_connection(("127.0.0.1", port))
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client, selectors.EVENT_READ)
        free[client] = None

    for _ in range(connections):
        connect()
    start, asked = time.perf_counter(), 0
    while (now := time.perf_counter() - start) < seconds or sent:
        due = len(free) if rate is None else int(now * rate) - asked
        while due > 0 and free and now < seconds:
            client = next(iter(free))
            del free[client]
            sent[client] = time.perf_counter()
            client.send(_REQUEST)
            asked, due = asked + 1, due - 1
        for key, _ in selector.select(0.001):
            client = key.fileobj
            part = client.recv(4096)
            answer = partial.pop(client, b"") + part
            if client in sent and part:
                if not _is_whole(answer):
                    partial[client] = answer
                    continue
                found[int(answer[9:12])].append(time.perf_counter() - sent.pop(client))
                free[client] = None
            else:
                free.pop(client, None)
                sent.pop(client, None)
                selector.unregister(client)
                client.close()
                connect()
        if now > seconds + 30:
            break
    for client in [key.fileobj for key in selector.get_map().values()]:
        client.close()
    return found


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    size = re.search(rb"content-length: (\d+)", head)
    return size is not None and len(body) == int(size[1])
