"""Admission of requests: two queues, in the order of arrival, bounded in length and in age.

Small requests are scored on the event loop, a few between two looks at the network, so that a
further request is read, and refused where it must be, without delay. Other requests take a thread.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

SMALL_BYTES = 1 << 14
_SMALL_TURNS = 4  # between two looks at the network


class RequestQueue:
    """Whole requests that wait for their turn, oldest first, and those at work.

    Attributes
    ----------
    turns
        Largest number of requests at work.
    max_length
        Largest number of requests that wait or are at work.
    max_wait_s
        Longest wait for a turn. No further request is admitted while one has waited half as long:
        it would wait about as long as the oldest in front of it, and then a little more.
    length
        Requests that wait or are at work, as their connections count them.
    """

    def __init__(self, turns: int, max_length: int, max_wait_s: float) -> None:
        self.turns, self.max_length, self.max_wait_s = turns, max_length, max_wait_s
        self.length = 0
        self._free_turns = asyncio.Semaphore(turns)
        self._waiting_since: dict[object, float] = {}

    def is_full(self, now_s: float) -> bool:
        """Return True where no further request is admitted."""
        oldest_s = next(iter(self._waiting_since.values()), now_s)
        return self.length >= self.max_length or now_s - oldest_s > self.max_wait_s / 2

    @property
    def is_crowded(self) -> bool:
        """True where requests came around the count of connections, as pipelined ones do."""
        return len(self._waiting_since) >= self.max_length

    @asynccontextmanager
    async def take_turn(self) -> AsyncIterator[float]:
        """Wait for a turn; yields the seconds that it took."""
        loop, ticket = asyncio.get_running_loop(), object()
        since_s = self._waiting_since[ticket] = loop.time()
        try:
            await self._free_turns.acquire()
        finally:
            del self._waiting_since[ticket]
        try:
            yield loop.time() - since_s
        finally:
            loop.call_soon(self._free_turns.release)  # after a look at the network


@dataclass(frozen=True)
class Admission:
    """Queues of a server.

    Attributes
    ----------
    path
        Path of the requests that queue; others are always admitted.
    small, large
        Queue of requests up to `SMALL_BYTES`, and of the others.
    on_refusal
        Called for each request that finds its queue full.
    """

    path: str
    small: RequestQueue
    large: RequestQueue
    on_refusal: Callable[[], None]

    def queue_for(self, size_bytes: int | None) -> RequestQueue:
        """Return the queue of a request with a body of this size; None where it is not known."""
        is_small = size_bytes is not None and size_bytes <= SMALL_BYTES
        return self.small if is_small else self.large


def build_admission(
    path: str, max_length: int, max_wait_s: float, threads: int, on_refusal: Callable[[], None]
) -> Admission:
    """Return the queues of a server; large requests wait ten times as long as small ones."""
    small = RequestQueue(_SMALL_TURNS, max_length, max_wait_s)
    return Admission(path, small, RequestQueue(threads, max_length, max_wait_s * 10), on_refusal)
