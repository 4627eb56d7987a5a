"""The run that asks for money: many calls in flight, within limits, and every answer kept.

A worker takes its next call only after the answer of the last one is in the label store. So a
crash at any moment loses at most the calls in flight, and nothing that was stored is asked again.
"""

import asyncio
import random
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from buckler.errors import BucklerError, InputError, MissingExtraError
from buckler.labels import Annotation, Annotator
from buckler.labels.ledger import Call
from buckler.teachers.llm.language_model import (
    Judged,
    Prepared,
    RefusedError,
    Replies,
    Send,
    TryLaterError,
)
from buckler.teachers.llm.limits import Budget, Pace, Spending
from buckler.teachers.llm.prompt import Question
from buckler.teachers.llm.settings import AskSettings

MAX_WAIT_S = 600.0
_FAILURES_IN_A_ROW = 5


@dataclass(frozen=True)
class Outcome:
    """What one call brought, to be stored in one transaction."""

    asked: Sequence[Prepared]
    annotations: list[Annotation]
    rejects: list[tuple[bytes, str]]
    call: Call
    drafts: dict[bytes, list[str]] = field(default_factory=dict)


class Asker(Protocol):
    """What a run needs of whoever asks: a teacher that judges, or one that writes to order."""

    settings: AskSettings
    annotator: Annotator

    async def judge(self, events: Sequence[Prepared], send: Send) -> Judged:
        """Make the requests of one call."""

    async def complete(self, question: Question, n: int, *, sampling: bool) -> Replies:
        """Make one request."""

    async def aclose(self) -> None:
        """Let go of connections."""

    def estimate(self, events: Sequence[Prepared]) -> Spending:
        """Return what a call will probably cost."""

    def spent(self, question: Question, replies: Replies) -> Spending:
        """Return what a request cost."""

    def max_tokens(self, n_events: int) -> int:
        """Return how long an answer may be."""


@dataclass
class Account:
    """What a run did.

    Attributes
    ----------
    calls, retries
        Requests that were answered; requests that failed and were tried again.
    annotations
        Usable answers.
    rejects
        Reason -> how many events got no usable answer for it.
    unanswered
        Events whose call failed for good in this run; the next run asks again.
    spent
        Events, tokens and dollars.
    uncertain
        Requests that broke after they were sent: counted as spent by their estimate.
    stopped
        Why the run ended before all events were asked about; None if it did not.
    """

    calls: int = 0
    retries: int = 0
    annotations: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    spent: Spending = field(default_factory=Spending)
    uncertain: int = 0
    stopped: str | None = None


class PaidRun:
    """Asks a language model about events.

    Parameters
    ----------
    teacher
        Whom to ask; its settings say how many calls may be in flight.
    sink
        Stores outcomes and returns when they are safe; called from one thread at a time.
    budget
        What the run may spend.
    on_progress
        Called with the account after outcomes are stored.
    """

    def __init__(
        self,
        teacher: Asker,
        sink: Callable[[list[Outcome]], None],
        *,
        budget: Budget | None = None,
        on_progress: Callable[[Account], None] | None = None,
    ) -> None:
        self._teacher, self._sink, self._on_progress = teacher, sink, on_progress
        self._budget = budget or Budget()
        self._requests = Pace(teacher.settings.requests_per_minute)
        self._tokens = Pace(teacher.settings.tokens_per_minute)
        self._events: Iterator[Prepared] = iter(())
        self._alone: deque[Prepared] = deque()  # to be asked about again, one by one
        self._failures = 0
        self._outcomes: asyncio.Queue[tuple[Outcome, asyncio.Future[None]]]
        self._settled: asyncio.Condition
        self.account = Account(spent=self._budget.spent)

    async def ask(self, events: Iterator[Prepared]) -> Account:
        """Ask about all events; return when every answer is stored.

        Raises
        ------
        BucklerError
            If no further call can succeed; what was answered before is stored.
        """
        self._events = events
        self._outcomes, self._settled = asyncio.Queue(), asyncio.Condition()
        storing = asyncio.create_task(self._store_outcomes())
        try:
            with self._stop_on_interrupt():
                ended = await asyncio.gather(
                    *(self._work() for _ in range(self._teacher.settings.concurrency)),
                    return_exceptions=True,
                )
        finally:
            storing.cancel()
            await self._teacher.aclose()
        for error in ended:
            if isinstance(error, BaseException):
                raise error
        self.account.spent = self._budget.spent
        return self.account

    def stop(self, why: str) -> None:
        """Take no further calls; those in flight end as usual."""
        self.account.stopped = self.account.stopped or why

    # --- workers ------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            while self.account.stopped is None and (events := self._next_call()):
                estimate = self._teacher.estimate(events)
                if not await self._admitted(estimate):
                    return
                await self._call(events, estimate)
        except BaseException as error:
            self.stop(f"{type(error).__name__}: {error}")
            raise

    def _next_call(self) -> list[Prepared]:
        if self._alone:
            return [self._alone.popleft()]
        return list(islice(self._events, self._teacher.settings.events_per_call))

    async def _admitted(self, estimate: Spending) -> bool:
        async with self._settled:
            while not self._budget.admits(estimate):
                if not self._budget.in_flight.events:
                    self.stop("the budget is spent")
                if self.account.stopped is not None:
                    return False
                await self._settled.wait()
            self._budget.start(estimate)
        return True

    async def _call(self, events: list[Prepared], estimate: Spending) -> None:
        spent = Spending(len(events))
        judged = Judged([], [])
        fatal: BaseException | None = None
        try:
            judged = await self._teacher.judge(events, self._sender(spent))
            self._failures = 0
        except RefusedError as error:
            judged = Judged([], [(event.event_id, f"refused: {error}") for event in events])
        except TryLaterError as error:
            self.account.unanswered += len(events)
            self._failures += 1
            if self._failures >= _FAILURES_IN_A_ROW:
                fatal = InputError(
                    f"the server of {self._teacher.annotator.name} does not answer ({error}); "
                    "what it said before is stored, run again to go on"
                )
        except (BucklerError, asyncio.CancelledError) as error:
            fatal = error
        finally:
            async with self._settled:
                self._budget.settle(estimate, spent)
                self._settled.notify_all()
        if len(events) > 1 and judged.rejects:
            again = {event_id for event_id, _ in judged.rejects}
            self._alone.extend(event for event in events if event.event_id in again)
            judged = Judged(judged.annotations, [])
        if judged.annotations or judged.rejects or judged.drafts or spent.tokens:
            await self._store(events, judged, spent)
        if fatal is not None:
            raise fatal

    def _sender(self, spent: Spending) -> Send:
        """Return a function that makes one request within all limits, and again if it must."""
        try:
            from tenacity import (
                AsyncRetrying,
                RetryCallState,
                retry_if_exception_type,
                stop_after_attempt,
            )
        except ImportError:
            raise MissingExtraError("asking a language model", "llm") from None

        def pause(state: RetryCallState) -> float:
            self.account.retries += 1
            error = state.outcome.exception() if state.outcome else None
            asked = error.after_s if isinstance(error, TryLaterError) else None
            if asked is None:
                ceiling = min(60.0, 0.5 * 2**state.attempt_number)
                return random.uniform(0, ceiling)  # noqa: S311
            asked = min(asked, MAX_WAIT_S)
            self._requests.pause(asked)  # the others need not find out for themselves
            return asked + random.uniform(0, 0.1 * asked + 0.05)  # noqa: S311

        async def send(question: Question, n: int, sampling: bool) -> Replies:
            retrying = AsyncRetrying(
                stop=stop_after_attempt(self._teacher.settings.attempts),
                wait=pause,
                retry=retry_if_exception_type(TryLaterError),
                reraise=True,
            )
            replies: Replies = await retrying(self._request, question, n, sampling, spent)
            return replies

        return send

    async def _request(
        self, question: Question, n: int, sampling: bool, spent: Spending
    ) -> Replies:
        await self._requests.wait()
        expected = self._teacher.spent(question, Replies([]))
        await self._tokens.wait(expected.tokens + self._teacher.max_tokens(len(question.tags)))
        try:
            replies = await self._teacher.complete(question, n, sampling=sampling)
        except TryLaterError as error:
            if error.may_cost:
                self.account.uncertain += 1
                _add(spent, expected)
            raise
        self.account.calls += 1
        _add(spent, self._teacher.spent(question, replies))
        return replies

    # --- storing ------------------------------------------------------------------------------

    async def _store(self, events: list[Prepared], judged: Judged, spent: Spending) -> None:
        share = spent.cost_usd / len(events)
        call = Call(
            len(events),
            len(judged.annotations),
            spent.input_tokens,
            spent.output_tokens,
            spent.cost_usd,
        )
        annotations = [priced(annotation, share) for annotation in judged.annotations]
        safe: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        outcome = Outcome(events, annotations, judged.rejects, call, judged.drafts)
        await self._outcomes.put((outcome, safe))
        await safe

    async def _store_outcomes(self) -> None:
        """Store whatever is ready in one transaction, again and again."""
        while True:
            ready = [await self._outcomes.get()]
            while not self._outcomes.empty():
                ready.append(self._outcomes.get_nowait())
            try:
                await asyncio.to_thread(self._sink, [outcome for outcome, _ in ready])
            except Exception as error:
                for _, safe in ready:
                    safe.set_exception(error)
                continue
            for outcome, safe in ready:
                self.account.annotations += len(outcome.annotations)
                self.account.rejects.update(reason for _, reason in outcome.rejects)
                safe.set_result(None)
            self.account.spent = self._budget.spent
            if self._on_progress is not None:
                self._on_progress(self.account)

    @contextmanager
    def _stop_on_interrupt(self) -> Iterator[None]:
        """Let the first Ctrl-C end the run in good order; a second one breaks it off."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def interrupted() -> None:
            self.stop("interrupted")
            loop.remove_signal_handler(signal.SIGINT)

        loop.add_signal_handler(signal.SIGINT, interrupted)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)


def _add(to: Spending, more: Spending) -> None:
    to.input_tokens += more.input_tokens
    to.output_tokens += more.output_tokens
    to.cost_usd += more.cost_usd


def priced(annotation: Annotation, cost_usd: float) -> Annotation:
    """Return an annotation with its share of what the call cost."""
    return replace(annotation, cost_usd=cost_usd)
