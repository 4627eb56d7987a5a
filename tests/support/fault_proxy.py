"""A real HTTP proxy on loopback that does to a server's answers what networks and servers do."""

import asyncio
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

FAULTS = (
    "429",
    "500",
    "503",
    "reset",
    "reset-after",
    "stall",
    "truncated",
    "malformed",
    "html",
    "dropped",
    "shuffled",
    "stranger",
    "not-json",
    "empty",
)


class FaultProxy:
    """Forwards requests to `upstream`; a share of them meets one of `faults`."""

    def __init__(self, upstream: int, faults: Sequence[str], share: float, seed: int) -> None:
        self.upstream, self.faults, self.share = upstream, faults, share
        self.random = random.Random(seed)
        self.met: Counter[str] = Counter()
        self.requests = 0
        self.most_at_once = self.at_once = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, ready: threading.Event, done: asyncio.Event) -> None:
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, limit=1 << 22)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await done.wait()
        server.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read_message(reader):
                self.requests += 1
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    if not await self._answer(request, writer):
                        return
                finally:
                    self.at_once -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            await _close(writer)

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> bool:
        fault = self.random.choice(self.faults) if self.random.random() < self.share else ""
        if fault:
            self.met[fault] += 1
        if fault in ("429", "500", "503"):
            extra = b"Retry-After: 0.05\r\n" if fault == "429" else b""
            writer.write(_response(fault.encode(), b'{"error": {"message": "later"}}', extra))
            await writer.drain()
            return True
        if fault == "reset":
            writer.transport.abort()
            return False
        if fault == "stall":
            await asyncio.sleep(5)
            writer.transport.abort()
            return False
        response = await self._forward(request)
        if fault == "reset-after":
            writer.transport.abort()
            return False
        head, _, body = response.partition(b"\r\n\r\n")
        if fault == "truncated":
            writer.write(head + b"\r\n\r\n" + body[: len(body) // 2])
            await writer.drain()
            writer.transport.close()
            return False
        if fault == "malformed":
            response = _response(b"200", body[:-7] + b"]]]}}}!")
        elif fault == "html":
            response = _response(b"200", b"<html>proxy error</html>", kind=b"text/html")
        elif fault:
            response = _response(b"200", _changed(body, fault, self.random))
        writer.write(response)
        await writer.drain()
        return True

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream, limit=1 << 22)
        try:
            writer.write(request)
            await writer.drain()
            return await _read_message(reader)
        finally:
            await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def _changed(body: bytes, fault: str, rng: random.Random) -> bytes:
    """Change what the model said, in sound HTTP and JSON."""
    answer = json.loads(body)
    for choice in answer.get("choices", []):
        choice.pop("logprobs", None)
        said = json.loads(choice["message"]["content"])
        answers = said.get("answers")
        if fault == "not-json":
            text = "I am sorry, but I cannot help with that."
        elif fault == "empty":
            text = ""
        elif answers is None:
            text = "{}" if fault == "dropped" else choice["message"]["content"]
        else:
            if fault == "dropped":
                answers.pop(rng.randrange(len(answers)))
            elif fault == "shuffled":
                rng.shuffle(answers)
            elif fault == "stranger":
                answers[0]["event"] = "ffffffff"
            text = json.dumps({"answers": answers})
        choice["message"]["content"] = text
    return json.dumps(answer).encode()


def _response(
    status: bytes, body: bytes, extra: bytes = b"", kind: bytes = b"application/json"
) -> bytes:
    return b"HTTP/1.1 %b X\r\nContent-Type: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (
        status,
        kind,
        extra,
        len(body),
        body,
    )


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    if re.search(rb"(?i)transfer-encoding:\s*chunked", head):
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        head = re.sub(rb"(?i)transfer-encoding:[^\r]*", b"Content-Length: %d" % len(body), head)
        return head + body
    length = re.search(rb"(?i)content-length:\s*(\d+)", head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


@contextmanager
def fault_proxy(
    upstream: int, faults: Sequence[str] = FAULTS, share: float = 0.3, seed: int = 1
) -> Iterator[FaultProxy]:
    proxy = FaultProxy(upstream, faults, share, seed)
    ready, loop = threading.Event(), asyncio.new_event_loop()
    done = asyncio.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:  # ends all tasks
            runner.run(proxy.serve(ready, done))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
