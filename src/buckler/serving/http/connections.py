"""Connections under attack and overload: bounded in number, in the size of a head, and in time.

The web server itself waits for ever for the rest of a head, keeps heads of any size, and starts
work on every request that arrives. Here a connection that is slow costs a file handle and a timer,
and a request that finds the queue full is answered at once, before any work begins.
"""

import asyncio
import select
import socket
from asyncio.trsock import TransportSocket
from dataclasses import dataclass
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from buckler.serving.http.admission import Admission, RequestQueue

_WRITE_TIMEOUT_S = 30.0
_GRACE_S = 0.25  # of a stop: a request that is on its way still gets its answer


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits on connections.

    Attributes
    ----------
    max_connections
        Open connections; a further one is closed with 503.
    max_header_bytes
        Largest head of a request; a larger one is refused with 431.
    header_timeout_s
        Longest time that a head may take to arrive; 408 after that.
    admission
        Queues of the server; None for none.
    """

    max_connections: int = 4096
    max_header_bytes: int = 64 << 10
    header_timeout_s: float = 10.0
    admission: Admission | None = None


def limited_protocol(limits: ConnectionLimits) -> type[HttpToolsProtocol]:
    """Return the protocol of a server with these limits, for `uvicorn.Config`."""
    return cast(type[HttpToolsProtocol], type("Limited", (LimitedProtocol,), {"limits": limits}))


def is_readable(source: socket.socket | TransportSocket) -> bool:
    """Return True where bytes or connections wait to be read."""
    poll = select.poll()  # select() takes no file number above 1,024
    poll.register(source.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class LimitedProtocol(HttpToolsProtocol):
    """One connection; `limited_protocol` sets its limits."""

    limits: ConnectionLimits
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _rest_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _queue: RequestQueue | None = None  # that counts its request
    _is_stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            self._refuse(503, b"too many connections")
        else:
            self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_timers()
        self._leave_queue()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse bytes; those of a head are counted."""
        if self.transport.is_closing():
            return
        if self._head_timer is None and not self._is_inside_request():
            self._start_head_timer()  # the first byte after a pause
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > self.limits.max_header_bytes:
            self._refuse(431, b"the head of the request is too large")

    def on_headers_complete(self) -> None:
        """Begin a request, or answer it at once where the queue is full."""
        self._stop_timers()
        admission = self.limits.admission
        is_first = self.cycle is None or self.cycle.response_complete
        if (
            admission is not None
            and is_first
            and self.url.partition(b"?")[0] == admission.path.encode()
            and admission.queue_for(self._body_bytes()).is_full(self.loop.time())
        ):
            admission.on_refusal()
            self.cycle = cast(RequestResponseCycle, _EarlyAnswer())
            is_kept = self.parser.should_keep_alive() and not self.expect_100_continue
            text = b"the queue is full; come again"
            self._write(429, text, is_kept=is_kept and not self._is_stopping)
            if not is_kept:
                self.transport.close()
            self._start_rest_timer()
            return
        super().on_headers_complete()
        if self._is_stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Put a whole request into the queue; one that was answered before its end is over."""
        self._stop_timers()
        self.cycle.more_body = False
        if self.cycle.response_complete:
            super().on_response_complete()  # wait for the next request, but not for ever
            if self._is_stopping:
                self.transport.close()
            return
        admission = self.limits.admission
        is_alone = self._queue is None and not self.pipeline
        if admission is not None and is_alone and self.cycle.scope["path"] == admission.path:
            self._queue = admission.queue_for(self._body_bytes())
            self._queue.length += 1
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End a request."""
        self._leave_queue()
        super().on_response_complete()
        if self.cycle.more_body:
            self._start_rest_timer()
        if self._is_stopping and not self.transport.is_closing():
            self.transport.close()

    def pause_writing(self) -> None:
        """Wait for a client that reads slowly, but not for ever."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(_WRITE_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Write on."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def shutdown(self) -> None:
        """Close the connection after its request, or after a moment without one."""
        self._is_stopping = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(_GRACE_S, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            return
        if not self.transport.is_closing() and is_readable(self.transport.get_extra_info("socket")):
            self.loop.call_later(_GRACE_S, self._close_if_idle)  # a request that came is read first
        else:
            self.transport.close()

    def _is_inside_request(self) -> bool:
        return self.cycle is not None and (not self.cycle.response_complete or self.cycle.more_body)

    def _body_bytes(self) -> int | None:
        sizes = (int(value) for name, value in self.headers if name == b"content-length")
        return next(sizes, None)

    def _start_head_timer(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(
            self.limits.header_timeout_s, self._refuse, 408, b"the head took too long to arrive"
        )

    def _start_rest_timer(self) -> None:
        """Close the connection unless the rest of an answered request arrives in time."""
        if not self.transport.is_closing():
            self._rest_timer = self.loop.call_later(
                self.limits.header_timeout_s, self.transport.close
            )

    def _stop_timers(self) -> None:
        for timer in (self._head_timer, self._rest_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._rest_timer = self._write_timer = None

    def _leave_queue(self) -> None:
        if self._queue is not None:
            self._queue.length -= 1
            self._queue = None

    def _refuse(self, status: int, text: bytes) -> None:
        self._stop_timers()
        if not self.transport.is_closing():
            self._write(status, text, is_kept=False)
            self.transport.close()

    def _write(self, status: int, text: bytes, *, is_kept: bool) -> None:
        """Write a whole answer without the application."""
        content = b'{"error":"%b","reason":"busy"}' % text
        head = (
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"retry-after: 1\r\nconnection: %b\r\n\r\n"
        )
        phrase, kept = _PHRASES[status], b"keep-alive" if is_kept else b"close"
        self.transport.write(head % (status, phrase, len(content), kept) + content)


_PHRASES = {
    408: b"Request Timeout",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


class _EarlyAnswer:
    """Stands for the request that was answered without the application."""

    response_complete = True
    disconnected = False
    more_body = True
    keep_alive = True

    def __init__(self) -> None:
        self.message_event = asyncio.Event()
