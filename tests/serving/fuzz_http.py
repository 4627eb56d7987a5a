"""Fuzzes the HTTP service: `python -m tests.serving.fuzz_http --minutes 10`.

Requests are sound, wrong in one place, or damaged byte by byte. They come one after the other on
one connection, in pieces, and may stop anywhere. Most clients then hang up; some wait until the
server closes. The real protocol and application answer them over socket pairs. Each answer must be
whole and sound, none a fault of the server. Each connection must end, nothing may be left in a
queue, and whoever asks afterwards gets a verdict.
"""

import argparse
import asyncio
import json
import logging
import random
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httptools
import pyarrow as pa
import uvicorn
from uvicorn.server import ServerState

from buckler.serving.http.app import build_app
from buckler.serving.http.bodies import ARROW, JSON, NDJSON
from buckler.serving.http.connections import ConnectionLimits, limited_protocol
from buckler.serving.http.serve_settings import ServeSettings
from tests.support.made_up import made_up_bundle

_TRIES = 5  # a machine that stands still for a moment makes a request late, and 429
_AT_A_TIME, _IN_A_ROUND = 100, 1000
_TIMEOUT_S = 0.5  # of heads, bodies and idle connections
_PATIENT_SHARE = 0.05  # of clients; the server would only wait for the others
_LOOKS, _LOOK_S = 20, 0.002  # of a client at the server before it hangs up
_HANGS_S = 20.0
_GOOD = b'POST /v1/score HTTP/1.1\r\nhost: a\r\ncontent-length: 13\r\n\r\n{"text": "x"}'
_LINES = [b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" \r\n", b"\0\r\n"]
_METHODS = [b"POST"] * 12 + [b"GET", b"OPTIONS", b"PUT", b"CONNECT", b"P\xd6ST", b"", b"PRI"]
_PATHS = [b"/v1/score"] * 12 + [
    b"/v1/models", b"/healthz", b"/readyz", b"/metrics", b"/openapi.json", b"//v1/score", b"*",
    b"/v1/%73core", b"/v1/score%00", b"/\xff", b"http://a.example/v1/score", b"/" + b"a" * 70_000,
    b"",
]  # fmt: skip
_QUERIES = [b""] * 8 + [
    b"?model=url", b"?model=%00", b"?explain=3&probabilities=1", b"?explain=999999999999999999999",
    b"?fpr=0.01", b"?fpr=nan", b"?threshold=-1e999", b"?as=ocsf&text=1", b"?as=ecs&keep=url,a.b",
    b"?keep=" + b"a," * 80, b"?fpr=1&fpr=2", b"?" + b"&" * 50, b"?\xc3\x28=%zz", b"#?",
    b"?precision=0.5&base_rate=0.1", b"?alerts_per_day=1&events_per_day=0",
]  # fmt: skip
_HEADERS = [
    b"accept: */*", b"connection: close", b"connection: keep-alive", b"expect: 100-continue",
    b"connection: upgrade\r\nupgrade: websocket", b"transfer-encoding: gzip, chunked",
    b"authorization: Bearer \xff", b"x-api-key:", b"traceparent: 00-zz", b"content-encoding: gzip",
    b"x-forwarded-for: ::1, a", b"host: b", b": no name", b"a b: c", b"folded: a\r\n b", b"x: \x00",
    b"te: trailers", b"content-length: 5", b"x: " + b"y" * 70_000,
]  # fmt: skip
_LENGTHS = [
    b"-1",
    b"0",
    b"1",
    b"99",
    b"0x10",
    b"1_0",
    b"+5",
    b"9" * 30,
    b"18446744073709551616",
    b"",
]
_JSON = [
    b'{"text": "http://a.example/"}', b'{"event": {"url": "http://b.example/"}}', b"[]", b"{}",
    b'{"texts": ["a", 1, null, {"url": "x"}]}', b'["http://a.example/", {"url": ""}, []]', b"null",
    b'{"text": "\\ud800"}', b'{"url": "a", "url": "b"}', b"[" * 3000, b'{"texts": {}}', b'"\xff"',
    b'{"events": [' + b'{"url": "http://a.example/"},' * 600 + b"{}]}", b"1e999", b"",
    b'{"text": "' + b"a" * 20_000 + b'"}', b'{"text": "\\u0000\xef\xbf\xbf"}',
]  # fmt: skip


@dataclass
class Findings:
    """What a run of the fuzzer saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[tuple[str, list[bytes]]] = field(default_factory=list)


def write_request(rng: random.Random) -> bytes:
    """Return one request: a sound one, or one that is wrong in a detail or two."""
    if rng.random() < 0.4:
        body = rng.choice(_JSON[:5])
        size = b"content-length: %d" % len(body)
        if rng.random() < 0.3:
            size, body = b"transfer-encoding: chunked", _write_chunks(body, random.Random(0))
        query = rng.choice([b"", b"?probabilities=1", b"?as=ecs&text=1&keep=url"])
        return b"POST /v1/score%b HTTP/1.1\r\nhost: a\r\n%b\r\n\r\n%b" % (query, size, body)
    media = rng.choice([JSON] * 3 + [NDJSON, ARROW, "text/plain", "a/b; charset=\xff"])
    body = _write_body(media, rng)
    headers = [b"host: a", b"content-type: " + media.encode("latin-1")]
    headers += rng.sample(_HEADERS, rng.choice([0, 0, 0, 1, 2]))
    form = rng.randrange(10)
    if form < 6:
        headers.append(b"content-length: %d" % len(body))
    elif form < 8:
        headers.append(b"transfer-encoding: chunked")
        body = _write_chunks(body, rng)
    else:
        headers.append(b"content-length: " + rng.choice(_LENGTHS))
    rng.shuffle(headers)
    line = rng.choice(_METHODS) + b" " + rng.choice(_PATHS) + rng.choice(_QUERIES)
    end = b"\r\n" if rng.random() < 0.97 else rng.choice(_LINES)
    version = rng.choice([b"1.1"] * 15 + [b"1.0", b"0.9", b"2.0", b"9.99"])
    return end.join([line + b" HTTP/" + version, *headers, b"", b""]) + body


def _write_body(media: str, rng: random.Random) -> bytes:
    if media == NDJSON:
        return b"\n".join(rng.choice(_JSON) for _ in range(rng.randrange(6)))
    if media != ARROW:
        return rng.choice(_JSON)
    sink = pa.BufferOutputStream()
    table = pa.table({"url": ["http://a.example/", None, "x"] * rng.randrange(1, 9)})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return damage(sink.getvalue().to_pybytes(), rng, rng.randrange(3))


def _write_chunks(body: bytes, rng: random.Random) -> bytes:
    parts, at = [], 0
    while at < len(body):
        size = rng.randrange(1, max(2, len(body)))
        length = b"%x" % len(body[at : at + size])
        if rng.random() < 0.05:
            length = rng.choice(
                [b"-1", b"g", b"f" * 17, b"7fffffffffffffff", b"0", b"1;a=" + b"b" * 99]
            )
        parts.append(length + b"\r\n" + body[at : at + size] + b"\r\n")
        at += size
    return b"".join(parts) + rng.choice([b"0\r\n\r\n"] * 9 + [b"0\r\nx: y\r\n\r\n", b""])


def damage(data: bytes, rng: random.Random, times: int) -> bytes:
    """Return bytes with some changed, cut out, or doubled."""
    changed = bytearray(data)
    for _ in range(times):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(4)
        if kind == 0 and changed:
            changed[at - 1] = rng.randrange(256)
        elif kind == 1:
            changed[at : at + 4] = struct.pack("<i", rng.choice([0, -1, 1 << 30, 2**31 - 1]))
        elif kind == 2:
            del changed[at : at + rng.randrange(40)]
        else:
            changed[at:at] = changed[at : at + rng.randrange(40)]
    return bytes(changed)


def write_conversation(rng: random.Random) -> list[bytes]:
    """Return what one client sends, in the pieces in which it arrives."""
    data = b"".join(write_request(rng) for _ in range(rng.choice([1, 1, 2, 4])))
    data = damage(data, rng, rng.choice([0, 0, 1, 3]))
    if rng.random() < 0.1:
        data = data[: rng.randrange(len(data) + 1)]
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice([0, 0, 1, 5])))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


class Answers:
    """Reads the answers of a connection; `reason` says what is wrong with them."""

    def __init__(self, seen: Counter[int]) -> None:
        self._seen, self.reason, self._body, self._open = seen, "", b"", False
        self._parser = httptools.HttpResponseParser(self)
        self._media = b""

    def feed(self, data: bytes) -> None:
        with suppress(httptools.HttpParserUpgrade):
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError as error:
                self.reason = f"the answer is no HTTP: {error}"

    def on_message_begin(self) -> None:
        self._body, self._media, self._open = b"", b"", True

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._media = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._open = False
        self._seen[status] += 1
        if status >= 500 and status != 501:
            self.reason = f"status {status}: {self._body[:200]!r}"
        if self._media == JSON.encode() and status != 100 and self._body:
            try:
                json.loads(self._body)
            except ValueError:
                self.reason = f"no JSON: {self._body[:200]!r}"


class _Faults(logging.Handler):
    """Keeps what the server logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


async def fuzz(folder: Path, seed: int, conversations: int, cpu_s: float = 1e9) -> Findings:
    """Hold conversations with a server, and return what came of them."""
    made_up_bundle(folder / "url.buckler", 0)
    settings = ServeSettings(
        bundles=[folder / "url.buckler"], max_body_bytes=100_000, max_batch=500,
        body_timeout_s=_TIMEOUT_S, reload_s=0,
    )  # fmt: skip
    app = build_app(settings)
    app.state.service.ready = True
    admission = app.state.service.admission
    limits = ConnectionLimits(header_timeout_s=_TIMEOUT_S, admission=admission)
    protocol = limited_protocol(limits)
    config = uvicorn.Config(
        app, http=protocol, lifespan="off", log_config=None, ws="none", timeout_keep_alive=1
    )
    config.load()
    config.timeout_keep_alive = _TIMEOUT_S
    loop, state, handler, found = asyncio.get_running_loop(), ServerState(), _Faults(), Findings()
    loop.set_exception_handler(lambda _, context: handler.found.append(repr(context)))
    logging.getLogger().addHandler(handler)
    rng, end_s = random.Random(seed), time.process_time() + cpu_s
    free = asyncio.Semaphore(_AT_A_TIME)

    async def talk(pieces: list[bytes], *, is_patient: bool) -> str:
        ours, theirs = socket.socketpair()
        server = protocol(config, state, {}, loop)
        await loop.connect_accepted_socket(lambda: server, theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        answers = Answers(found.statuses)
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            for _ in range(0 if is_patient else _LOOKS):
                await asyncio.sleep(_LOOK_S)
                if writer.is_closing() or (server.cycle and server.cycle.response_complete):
                    break
            if not is_patient:
                writer.write_eof()
            async with asyncio.timeout(_HANGS_S):
                while data := await reader.read(1 << 16):
                    answers.feed(data)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        return answers.reason

    async def judge(pieces: list[bytes], *, is_patient: bool = True) -> None:
        try:
            async with free:
                reason = await talk(pieces, is_patient=is_patient)
        except TimeoutError:
            reason = "the server neither answers nor closes"
        if reason:
            found.faults.append((reason, pieces))

    try:
        for done in range(0, conversations, _IN_A_ROUND):
            size = min(_IN_A_ROUND, conversations - done)
            batch = [write_conversation(rng) for _ in range(size)]
            patient = [rng.random() < _PATIENT_SHARE for _ in batch]
            talks = (judge(one, is_patient=p) for one, p in zip(batch, patient, strict=True))
            await asyncio.gather(*talks)
            before = found.statuses[200]
            for _ in range(_TRIES):
                await judge([_GOOD])
                if found.statuses[200] > before:
                    break
            left = admission.small.length, admission.large.length, len(state.connections)
            all_pieces = [piece for pieces in batch for piece in pieces]
            if found.statuses[200] != before + 1:
                found.faults.append(("a sound request got no verdict", all_pieces))
            if any(left):
                found.faults.append((f"requests and connections are left: {left}", all_pieces))
            found.faults += [(fault, all_pieces) for fault in handler.found]
            if found.faults or time.process_time() > end_s:
                break
    finally:
        logging.getLogger().removeHandler(handler)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for some minutes of CPU time; return 1 if something went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.serving.fuzz_http")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="buckler-fuzz-"))
    found = asyncio.run(fuzz(folder, options.seed, sys.maxsize, 60 * options.minutes))
    print(f"answers by status: {dict(sorted(found.statuses.items()))}")  # noqa: T201
    for number, (reason, pieces) in enumerate(found.faults):
        (folder / f"fault-{number}").write_bytes(b"".join(pieces))
        print(f"{folder}/fault-{number}: {reason}")  # noqa: T201
    return int(bool(found.faults))


if __name__ == "__main__":
    sys.exit(main())
