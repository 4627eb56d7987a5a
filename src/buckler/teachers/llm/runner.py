"""Makes paid calls: many in flight, within limits, and every result kept.

A worker takes its next call only after the result of the last one is in the label store. So a
crash at any moment loses at most the calls in flight, and stored events are never asked again.
"""

import asyncio
import logging
import random
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TypeVar

from buckler.errors import BucklerError, InputError
from buckler.labels.ledger import Call, CallResult
from buckler.teachers.budget import Account, Budget, Spending
from buckler.teachers.llm.client import ModelClient, RefusedError, Reply, Request, RetryableError
from buckler.teachers.llm.model_settings import ModelSettings

MAX_WAIT_S = 600.0
_SHOWN_WAIT_S = 5.0
_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)
_MAX_FAILURES_IN_A_ROW = 5
_SILENCE_S = 4.0  # a first reply that takes longer is worth a line


class ModelCall(ABC):
    """A unit of paid work: a request about some events, or an order for a text.

    Attributes
    ----------
    n_events
        Number of events, or of orders.
    estimate
        Probable cost.
    """

    n_events: int
    estimate: Spending

    @abstractmethod
    async def perform(self, client: "MeteredClient") -> CallResult:
        """Make the requests of this call; the runner adds their cost to the result."""

    @abstractmethod
    def fail(self, reason: str) -> CallResult:
        """Return the result of a call that the server refuses."""

    def split(self, event_ids: set[bytes]) -> "list[ModelCall]":  # noqa: ARG002
        """Return calls about these events one by one; none if that makes no sense."""
        return []


class Runner:
    """Makes calls of a model client.

    Parameters
    ----------
    settings
        Limits of the server.
    keep
        Stores results and returns when they are safe; called from one thread at a time.
    budget
        Limits of the run.
    on_progress
        Called with the account after results are stored.
    """

    def __init__(
        self,
        client: ModelClient,
        settings: ModelSettings,
        keep: Callable[[list[CallResult]], None],
        budget: Budget | None = None,
        on_progress: Callable[[Account], None] = lambda _: None,
    ) -> None:
        self.client, self.settings = client, settings
        self._keep, self._on_progress = keep, on_progress
        self._budget = budget or Budget()
        self.requests = Pace(settings.requests_per_minute)
        self.tokens = Pace(settings.tokens_per_minute)
        self._calls: Iterator[ModelCall] = iter(())
        self._single: deque[ModelCall] = deque()  # events to be asked about again, one by one
        self._failures = 0
        self.is_connected = True  # until a request finds no server
        self._results: asyncio.Queue[tuple[CallResult, asyncio.Future[None]]]
        self._settled: asyncio.Condition
        self.account = Account(spent=self._budget.spent)

    def run(self, calls: Iterator[ModelCall]) -> Account:
        """Make all calls; return when every result is stored.

        Raises
        ------
        BucklerError
            If no further call can succeed; earlier results are stored.
        """
        return asyncio.run(self._run(calls))

    async def _run(self, calls: Iterator[ModelCall]) -> Account:
        self._calls = calls
        self._results, self._settled = asyncio.Queue(), asyncio.Condition()
        storing = asyncio.create_task(self._store_results())
        silence = asyncio.get_running_loop().call_later(_SILENCE_S, self._tell_silence)
        try:
            with self._stop_on_interrupt():
                ends = await asyncio.gather(
                    *(self._work() for _ in range(self.settings.concurrency)),
                    return_exceptions=True,
                )
        finally:
            storing.cancel()
            silence.cancel()
            await self.client.aclose()
        for error in ends:
            if isinstance(error, BaseException):
                raise error
        self.account.spent = self._budget.spent
        return self.account

    def stop(self, reason: str) -> None:
        """Take no further calls; those in flight end as usual."""
        self.account.stopped = self.account.stopped or reason

    def tell_outage(self, error: RetryableError) -> None:
        """Log that the server is away, once until it is back."""
        if self.is_connected:
            _LOG.warning("%s: %s; trying again", self.client.address, error)
        self.is_connected = False

    def _tell_silence(self) -> None:
        if not self.account.calls:
            _LOG.warning("%s: no answer in %.0f s", self.client.address, _SILENCE_S)

    # --- workers ------------------------------------------------------------------------------

    async def _work(self) -> None:
        finished = False
        try:
            while self.account.stopped is None and (call := self._next_call()):
                if not await self._reserve(call.estimate):
                    break
                await self._make(call)
            finished = True
        finally:
            if not finished:
                self.stop("a call failed")  # the others end too

    def _next_call(self) -> ModelCall | None:
        return self._single.popleft() if self._single else next(self._calls, None)

    async def _reserve(self, estimate: Spending) -> bool:
        async with self._settled:
            while not self._budget.admits(estimate):
                if not self._budget.in_flight.events:
                    self.stop("the budget is spent")
                if self.account.stopped is not None:
                    return False
                await self._settled.wait()
            self._budget.start(estimate)
        return True

    async def _make(self, call: ModelCall) -> None:
        client = MeteredClient(self, call.n_events)
        result = CallResult()
        fatal: BaseException | None = None
        try:
            result = await call.perform(client)
            self._failures = 0
        except RefusedError as error:
            result = call.fail(f"refused: {error}")
        except RetryableError as error:
            self.account.unanswered += call.n_events
            self._failures += 1
            if self._failures >= _MAX_FAILURES_IN_A_ROW:
                fatal = InputError(
                    f"{self.client.name} at {self.client.address} does not answer ({error}); "
                    "earlier answers are stored, run again to resume"
                )
        except (BucklerError, asyncio.CancelledError) as error:
            fatal = error
        finally:
            async with self._settled:
                self._budget.settle(call.estimate, client.spent)
                self._settled.notify_all()
        if result.rejects and (singles := call.split({event_id for event_id, _ in result.rejects})):
            self._single.extend(singles)
            result = replace(result, rejects=[])
        if result.annotations or result.rejects or result.drafts or client.spent.tokens:
            await self._store(result, client.spent)
        if fatal is not None:
            raise fatal

    # --- storing ------------------------------------------------------------------------------

    async def _store(self, result: CallResult, spent: Spending) -> None:
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._results.put((charge(result, spent), stored))
        await stored

    async def _store_results(self) -> None:
        """Store all waiting results in one transaction, again and again."""
        while True:
            waiting = [await self._results.get()]
            while not self._results.empty():
                waiting.append(self._results.get_nowait())
            results = [result for result, _ in waiting]
            storing = asyncio.ensure_future(asyncio.to_thread(self._keep, results))
            await asyncio.wait([storing])
            if (error := storing.exception()) is not None:
                for _, stored in waiting:
                    stored.set_exception(error)
                continue
            count(self.account, results)
            for _, stored in waiting:
                stored.set_result(None)
            self.account.spent = self._budget.spent
            self._on_progress(self.account)

    @contextmanager
    def _stop_on_interrupt(self) -> Iterator[None]:
        """Let the first Ctrl-C end the run in good order; a second one breaks it off."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            self.stop("interrupted")
            loop.remove_signal_handler(signal.SIGINT)

        loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)


class MeteredClient:
    """The client as one call sees it: within the limits, tried again, and counted.

    Attributes
    ----------
    spent
        Cost of the call so far.
    """

    def __init__(self, runner: Runner, n_events: int) -> None:
        self._runner, self.spent = runner, Spending(n_events)

    async def send(self, request: Request) -> Reply:
        """Make one request, again if it fails for now.

        Raises
        ------
        RetryableError, RefusedError, BucklerError
            As `ModelClient.send`, after the last attempt.
        """
        return await retry(
            lambda: self._send_once(request), self._runner.settings.attempts, self._hold_back
        )

    def _hold_back(self, after_s: float) -> None:
        self._runner.account.retries += 1
        if self._runner.requests.pause(after_s):
            show_wait(self._runner.client.name, after_s)

    async def _send_once(self, request: Request) -> Reply:
        meter, account = self._runner.client.meter, self._runner.account
        await self._runner.requests.wait()
        expected_tokens = meter.estimate_tokens(request.characters)
        await self._runner.tokens.wait(expected_tokens + request.answer_tokens)
        try:
            reply = await self._runner.client.send(request)
        except RetryableError as error:
            if error.is_unreachable:
                self._runner.tell_outage(error)
            if error.may_cost:
                account.uncertain += 1
                self._charge(expected_tokens, 1)
            raise
        account.calls += 1
        self._runner.is_connected = True
        if reply.input_tokens is not None:
            meter.calibrate(request.characters, reply.input_tokens)
        output_characters = sum(len(choice.content) for choice in reply.choices)
        input_tokens, output_tokens = reply.input_tokens, reply.output_tokens
        self._charge(
            meter.estimate_tokens(request.characters) if input_tokens is None else input_tokens,
            output_characters // 3 + 1 if output_tokens is None else output_tokens,
        )
        return reply

    def _charge(self, input_tokens: int, output_tokens: int) -> None:
        self.spent += self._runner.client.meter.spending(0, input_tokens, output_tokens)


def show_wait(name: str, after_s: float) -> None:
    """Log a wait that a server asks for, unless it is short."""
    if after_s >= _SHOWN_WAIT_S:
        _LOG.warning("%s asks to wait %.0f s", name, after_s)


async def retry(
    call: Callable[[], Awaitable[_T]],
    attempts: int,
    on_wait: Callable[[float], None] = lambda _: None,
    *,
    may_repeat: bool = True,
) -> _T:
    """Make a call, again with growing pauses while it fails for now.

    Parameters
    ----------
    on_wait
        Called before each further attempt with the wait that the server asks for, or 0.
    may_repeat
        False never makes a call again that may have reached the server.

    Raises
    ------
    InputError
        If the server asks for a longer wait than `MAX_WAIT_S`.
    RetryableError, RefusedError, BucklerError
        As the call, after the last attempt.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return await call()
        except RetryableError as error:
            after_s = error.after_s or 0.0
            if after_s > MAX_WAIT_S:
                raise InputError(
                    f"the server asks to wait {after_s:,.0f} s (limit {MAX_WAIT_S:,.0f} s); "
                    "earlier answers are stored, run again later"
                ) from error
            if attempt == attempts or (error.may_cost and not may_repeat):
                raise
            on_wait(after_s)
        longest_s = 0.1 * after_s + 0.05 if after_s else min(60.0, 0.5 * 2**attempt)
        await asyncio.sleep(after_s + random.uniform(0, longest_s))  # noqa: S311


class Pace:
    """Spreads requests evenly, so that no minute exceeds its limit.

    Parameters
    ----------
    per_minute
        None for no limit.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self._free_at = 0.0

    async def wait(self, amount: float = 1) -> None:
        """Wait until this amount may go out."""
        now = time.monotonic()
        start = max(now, self._free_at)
        self._free_at = start + amount * self._seconds_each
        if start > now:
            await asyncio.sleep(start - now)

    def pause(self, seconds: float) -> bool:
        """Hold all workers back, as the server asked; tell whether that is news."""
        until = time.monotonic() + seconds
        is_news = until - self._free_at > seconds / 2
        self._free_at = max(self._free_at, until)
        return is_news


def charge(result: CallResult, spent: Spending) -> CallResult:
    """Return a result with its cost, of which each annotation carries an equal share."""
    share = spent.cost_usd / spent.events
    n_drafts = sum(map(len, result.drafts.values()))
    annotations = [replace(annotation, cost_usd=share) for annotation in result.annotations]
    call = Call(annotations=len(annotations) + n_drafts, **asdict(spent))
    return replace(result, annotations=annotations, call=call)


def count(account: Account, results: Sequence[CallResult]) -> None:
    """Enter stored results in an account."""
    for result in results:
        account.annotations += len(result.annotations)
        account.rejects.update(reason for _, reason in result.rejects)
