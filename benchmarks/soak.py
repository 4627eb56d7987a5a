"""A soak of the HTTP service: `python -m benchmarks.soak --minutes 30`.

Single URLs come at four times the rate that the server keeps, beside hostile requests, slow
clients, and bundle files that change every few seconds, sound and damaged. In the first third the
server is killed or told to stop, and starts anew. Clients that ask again until they are answered
check every verdict, to the bit, against the bundle that the answer names.
"""

import argparse
import http.client
import json
import multiprocessing
import random
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from benchmarks.measure import machine_line
from benchmarks.overload import load, report, start_server
from tests.serving.fuzz_http import write_conversation
from tests.support.made_up import made_up_bundle, made_up_table

_BATCH = 20
_SLOW = 300
_RELOAD_S, _STOP_S = 3.0, 10.0
_REST_S = 0.02  # of checking and hostile clients: most of the load is single URLs
_HEAD = b"POST /v1/score HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\n"


class Soak:
    """A server under everything at once, and what was seen."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._live = folder, folder / "live.buckler"
        self._sound = [folder / "a" / "live.buckler", folder / "b" / "live.buckler"]
        urls = made_up_table(200, np.random.default_rng(7))["url"].to_pylist()
        self._urls: list[str] = urls
        self._expected: dict[str, dict[str, float]] = {}  # digest -> URL -> score
        for number, path in enumerate(self._sound):
            path.parent.mkdir()
            scorer = made_up_bundle(path, number)
            scores = map(float, scorer.score(urls).scores)
            self._expected[scorer.sha256] = dict(zip(urls, scores, strict=True))
        shutil.copy(self._sound[0], self._live)
        self.process, self.port = start_server(self._live, folder / "log", _free_port())
        self.seen: Counter[str] = Counter()
        self.memory: list[int] = []
        self._last_stop = "no stop"
        self._done = threading.Event()

    def run(self, seconds: float) -> None:
        """Do everything at once for so long, then stop the server."""
        base = load(self.port, None, 8, 3.0)
        rate = 4 * len(base[200]) / 3.0
        print(f"{rate:,.0f} single URLs a second: four times the closed loop")
        work: list[Callable[[], None]] = [self._check] * 4 + [self._attack] * 2
        work += [self._drip, self._reload, lambda: self._stop_again_and_again(seconds / 3)]
        threads = [threading.Thread(target=each, daemon=True) for each in work]
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            for thread in threads:
                thread.start()
            loading = pool.apply_async(load, (self.port, rate, 500, seconds))
            while not loading.ready():
                self._note_memory()
                loading.wait(1.0)
            self._done.set()
            for thread in threads:
                thread.join()
            report("single URLs", loading.get())
        self.process.send_signal(signal.SIGTERM)
        print(f"stopped with code {self.process.wait(60)}")

    # --- clients ------------------------------------------------------------------------------

    def _check(self) -> None:
        """Ask for batches until each event is answered; compare each score to the bit."""
        client, rng = None, random.Random(threading.get_ident())  # noqa: S311
        while not self._done.is_set():
            urls = rng.sample(self._urls, _BATCH)
            body = "\n".join(json.dumps({"url": url}) for url in urls)
            self.seen["events asked"] += _BATCH
            while True:
                try:
                    if client is None:
                        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                        client.connect()
                except OSError:
                    client = None
                    time.sleep(0.1)
                    continue
                try:
                    headers = {"content-type": "application/x-ndjson"}
                    client.request("POST", "/v1/score", body, headers)
                    reply = client.getresponse()
                    content = reply.read()
                except (OSError, http.client.HTTPException):
                    self.seen[f"requests without an answer after {self._last_stop}"] += 1
                    client = None
                    continue
                self.seen[f"batches: status {reply.status}"] += 1
                if reply.will_close:
                    client = None
                if reply.status == 200:
                    break
                time.sleep(0.1)
            scores = [json.loads(line)["score"] for line in content.splitlines()]
            expected = self._expected[str(reply.headers["x-buckler-bundle"])]
            right = sum(
                np.float32(score) == np.float32(expected[url])
                for score, url in zip(scores, urls, strict=True)
            )
            self.seen["events answered once, with the right score"] += int(right)
            time.sleep(_REST_S)

    def _attack(self) -> None:
        """Send what no client should, and big bodies."""
        rng = random.Random(threading.get_ident())  # noqa: S311
        big = _HEAD.replace(b"50", b"%d" % (8 << 20)) + b"[" * (8 << 20)
        while not self._done.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as client:
                client.settimeout(5)
                for piece in [big] if rng.random() < 0.01 else write_conversation(rng):
                    client.sendall(piece)
                client.shutdown(socket.SHUT_WR)
                answer = client.recv(1 << 16)
                self.seen[f"hostile: {answer[9:12].decode('latin-1') or 'closed'}"] += 1
            time.sleep(_REST_S)

    def _drip(self) -> None:
        """Hold connections by heads and bodies that come a byte at a time."""
        slow: list[socket.socket] = []
        while not self._done.is_set():
            with suppress(OSError):
                while len(slow) < _SLOW:
                    client = socket.create_connection(("127.0.0.1", self.port))
                    client.sendall(_HEAD if len(slow) % 2 else _HEAD[:30])
                    slow.append(client)
            for client in list(slow):
                try:
                    client.send(b"x")
                except OSError:
                    self.seen["slow clients that were cut off"] += 1
                    slow.remove(client)
                    client.close()
            time.sleep(1.0)
        for client in slow:
            client.close()

    # --- the server ---------------------------------------------------------------------------

    def _reload(self) -> None:
        """Change the bundle file, every third time for a damaged one."""
        turn = 0
        while not self._done.wait(_RELOAD_S):
            turn += 1
            new = self._folder / "new"
            shutil.copy(self._sound[turn % 2], new)
            if turn % 3 == 0:
                data = bytearray(new.read_bytes())
                data[len(data) // 2] ^= 1
                new.write_bytes(data)
            new.replace(self._live)
            self.seen["damaged bundles" if turn % 3 == 0 else "new bundles"] += 1

    def _stop_again_and_again(self, seconds: float) -> None:
        """Kill the server or tell it to stop, in turn, and start it anew."""
        end, turn = time.monotonic() + seconds, 0
        while time.monotonic() < end - _STOP_S and not self._done.wait(_STOP_S):
            turn += 1
            kind = signal.SIGKILL if turn % 2 else signal.SIGTERM
            self._last_stop = kind.name
            self.process.send_signal(kind)
            self.process.wait(60)
            self.seen[f"stops by {kind.name}"] += 1
            self._start()

    def _start(self) -> None:
        while True:
            with suppress(
                RuntimeError
            ):  # a damaged bundle lies there, and no server starts with it
                log = self._folder / f"log-{time.monotonic_ns()}"
                self.process, self.port = start_server(self._live, log, self.port)
                self.memory.clear()
                return
            time.sleep(0.2)

    def _note_memory(self) -> None:
        with suppress(OSError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            for line in status.splitlines():  # none of a process that is gone
                if line.startswith("VmRSS"):
                    self.memory.append(int(line.split()[1]) >> 10)


def _free_port() -> int:
    """Return a port that no client gets for its own end while the server is away."""
    for port in range(20_000, 30_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("no free port")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    minutes = parser.parse_args().minutes
    print(machine_line())
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder))
        try:
            soak.run(minutes * 60)
        finally:
            with suppress(subprocess.SubprocessError, OSError):
                soak.process.kill()
    for name, count in sorted(soak.seen.items()):
        print(f"{name}: {count:,}")
    quarter = max(1, len(soak.memory) // 4)
    for name, part in (("first", soak.memory[:quarter]), ("last", soak.memory[-quarter:])):
        print(f"memory since the last start, {name} quarter: median {statistics.median(part):.0f} "
              f"MiB, most {max(part)} MiB")  # fmt: skip


if __name__ == "__main__":
    main()
