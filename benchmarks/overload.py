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
        load(port, rate=None, connections=8, seconds=2)
        base = load(port, rate=None, connections=8, seconds=_SECONDS / 2)
        rate = len(base[200]) / (_SECONDS / 2)
        print(f"closed loop, 8 clients: {rate:,.0f} requests a second")
        for times in (0.5, 1, 2, 4):
            report(f"{times:g} x", load(port, rate * times, _CONNECTIONS, _SECONDS))
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(_SLOW)]
        for number, client in enumerate(slow):
            client.sendall(_REQUEST[: 10 if number % 2 else -5])
        report(f"0.5 x while {_SLOW:,} slow clients connect", load(port, rate / 2, 100, 5))
        report(f"0.5 x beside {_SLOW:,} slow clients", load(port, rate / 2, 100, 3))


def report(name: str, found: dict[int, list[float]]) -> None:
    for status, seconds in sorted(found.items()):
        p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
        print(f"{name}: {status}: {len(seconds):,} answers, p50 {p50:.1f} ms, p99 {p99:.1f} ms")


@contextmanager
def _server(folder: Path) -> Iterator[int]:
    bundle = folder / "url.buckler"
    made_up_bundle(bundle, 0)
    process, port = start_server(bundle, folder / "log")
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def start_server(bundle: Path, log: Path, port: int = 0) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server, and return its process and port once it listens."""
    code = "from buckler.cli.main import main; main()"
    command = [sys.executable, "-c", code, "serve", str(bundle), "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file)
    while not (lines := [li for li in log.read_text().splitlines() if '"listening"' in li]):
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        time.sleep(0.1)
    return process, int(json.loads(lines[0])["address"].rpartition(":")[2])


def load(port: int, rate: float | None, connections: int, seconds: float) -> dict[int, list[float]]:
    """Return status -> seconds until each answer; 0 stands for requests without one.

    A rate of None asks again at each answer. Connections that end are opened anew.
    """
    selector = selectors.DefaultSelector()
    found: dict[int, list[float]] = defaultdict(list)
    free: dict[socket.socket, None] = {}  # in the order in which they became free
    sent: dict[socket.socket, float] = {}
    partial: dict[socket.socket, bytes] = {}

    def connect() -> None:
        while True:
            try:
                client = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:  # the server starts anew
                time.sleep(0.1)
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client, selectors.EVENT_READ)
        free[client] = None

    def renew(client: socket.socket) -> None:
        free.pop(client, None)
        partial.pop(client, None)
        if client in sent:
            found[0].append(time.perf_counter() - sent.pop(client))
        selector.unregister(client)
        client.close()
        connect()

    for _ in range(connections):
        connect()
    start, asked = time.perf_counter(), 0
    while (now := time.perf_counter() - start) < seconds or sent:
        # Connections that the server has closed are seen before they are used again.
        for key, _ in selector.select(0.001):
            client = key.fileobj
            try:
                part = client.recv(4096)
            except OSError:
                part = b""
            if client not in sent or not part:
                renew(client)
                continue
            answer = partial.pop(client, b"") + part
            if not _is_whole(answer):
                partial[client] = answer
                continue
            found[int(answer[9:12])].append(time.perf_counter() - sent.pop(client))
            if b"connection: close" in answer.lower():
                renew(client)
            else:
                free[client] = None
        due = len(free) if rate is None else int(now * rate) - asked
        while due > 0 and free and now < seconds:
            client = next(iter(free))
            del free[client]
            asked, due = asked + 1, due - 1
            try:
                client.send(_REQUEST)
                sent[client] = time.perf_counter()
            except OSError:
                renew(client)
        if now > seconds + 30:
            break
    for client in [key.fileobj for key in selector.get_map().values()]:
        client.close()
    return found


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    size = re.search(rb"(?i)content-length: (\d+)", head)
    return size is not None and len(body) == int(size[1])
