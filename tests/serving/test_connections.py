"""Connections: queues, turns, and bytes that no client should send."""

import asyncio
import re
from contextlib import asynccontextmanager

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("httptools", reason="the extra 'serve' is not installed")

from uvicorn.server import ServerState  # noqa: E402

from buckler.serving.http.admission import (  # noqa: E402
    SMALL_BYTES,
    RequestQueue,
    build_admission,
)
from buckler.serving.http.connections import ConnectionLimits, limited_protocol  # noqa: E402
from tests.serving.fuzz_http import fuzz  # noqa: E402


@asynccontextmanager
async def listening(app, limits, keep_alive_s=30):
    """Yield the port of a server with these limits."""
    protocol = limited_protocol(limits)
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None)
    config.load()
    config.timeout_keep_alive = keep_alive_s
    state, loop = ServerState(), asyncio.get_running_loop()
    found = await loop.create_server(lambda: protocol(config, state, {}, loop), "127.0.0.1", 0)
    try:
        yield found.sockets[0].getsockname()[1]
    finally:
        found.close()


def test_a_full_queue_is_told_at_once_and_keeps_the_connection():
    """Requests that find the queue full never reach the application."""
    asked, refused = [], []

    async def app(scope, receive, send):
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        asked.append(scope["path"])
        if b"wait" in scope["query_string"]:
            await release.wait()
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", b"2")]})  # fmt: skip
        await send({"type": "http.response.body", "body": b"ok"})

    def post(path, body=b"{}"):
        head = b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n"
        return head % (path, len(body)) + body

    async def answer(reader):
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(re.search(rb"content-length: (\d+)", head)[1])
        return int(head[9:12]), await reader.readexactly(size)

    async def check():
        admission = build_admission("/v1/score", 2, 10, 8, lambda: refused.append(1))
        queue = admission.small
        async with listening(app, ConnectionLimits(admission=admission)) as port:
            await hold_conversations(queue, port)

    async def hold_conversations(queue, port):
        busy = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for _, writer in busy:
            writer.write(post(b"/v1/score?wait"))
        while len(asked) < 2:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in (b"{}", b"x" * SMALL_BYTES, b"{}"):
            writer.write(post(b"/v1/score", body))
            assert (await answer(reader))[0] == 429
        writer.write(post(b"/healthz"))
        assert await answer(reader) == (200, b"ok")
        assert (len(asked), len(refused), queue.length) == (3, 3, 2)
        busy[0][1].close()  # whoever leaves makes place
        while queue.length > 1:
            await asyncio.sleep(0.01)
        release.set()
        assert await answer(busy[1][0]) == (200, b"ok")
        writer.write(post(b"/v1/score"))
        assert await answer(reader) == (200, b"ok")
        assert queue.length == 0
        for _, each in (busy[0], busy[1], (reader, writer)):
            each.close()
            await each.wait_closed()

    async def run():
        nonlocal release
        release = asyncio.Event()
        await check()

    release = None
    asyncio.run(asyncio.wait_for(run(), 30))


def test_large_requests_have_a_queue_of_their_own():
    admission = build_admission("/v1/score", 2, 10, 8, lambda: None)
    admission.large.length = 2
    assert admission.queue_for(SMALL_BYTES + 1).is_full(0)
    assert admission.queue_for(None).is_full(0)  # a body in pieces
    assert not admission.queue_for(SMALL_BYTES).is_full(0)


def test_turns_go_by_arrival_and_a_queue_that_has_waited_long_is_full():
    async def run():
        loop, order = asyncio.get_running_loop(), []
        queue = RequestQueue(turns=2, max_length=100, max_wait_s=10)

        async def work(number):
            async with queue.take_turn() as waited_s:
                order.append(number)
                at_work.append(number)
                assert waited_s >= 0
                await release.wait()

        at_work, release = [], asyncio.Event()
        tasks = [asyncio.create_task(work(number)) for number in range(20)]
        await asyncio.sleep(0.01)
        assert at_work == [0, 1]
        now_s = loop.time()
        assert not queue.is_full(now_s + 4)
        assert queue.is_full(now_s + 6)  # the oldest waits for 6 of 10 seconds
        tasks[5].cancel()  # whoever leaves keeps nobody back
        release.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == [number for number in range(20) if number != 5]
        assert not queue.is_full(now_s + 100)

    asyncio.run(asyncio.wait_for(run(), 30))


def test_few_small_requests_are_worked_on_between_two_looks_at_the_network():
    """Work that never waits must not keep the event loop from its connections."""

    async def run():
        queue = build_admission("/", 1000, 10, 8, lambda: None).small
        done = []

        async def work():
            async with queue.take_turn():
                done.append(1)

        tasks = [asyncio.create_task(work()) for _ in range(100)]
        before = 0
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)  # one look at the network
            assert len(done) - before <= queue.turns
            before = len(done)

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_connection_whose_request_was_answered_before_its_end_is_closed():
    """The rest of a refused body arrives, then nothing: no client may hold a connection so."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 400,
                    "headers": [(b"content-length", b"2")]})  # fmt: skip
        await send({"type": "http.response.body", "body": b"no"})

    async def run():
        limits = ConnectionLimits(header_timeout_s=0.2)
        async with listening(app, limits, keep_alive_s=0.2) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
            assert (await reader.readuntil(b"no")).startswith(b"HTTP/1.1 400 ")
            writer.write(b"cd")
            assert await reader.read() == b""
            writer.close()

    asyncio.run(asyncio.wait_for(run(), 30))


def test_no_bytes_are_a_fault_of_the_server(tmp_path):
    found = asyncio.run(fuzz(tmp_path, seed=5, conversations=200))
    assert not found.faults
    assert {200, 400, 405} <= set(found.statuses)
