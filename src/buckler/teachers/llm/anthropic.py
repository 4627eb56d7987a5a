"""Anthropic's Messages, one by one or in message batches at a lower price."""

import asyncio
import json
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from pydantic import Field

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.extras import import_extra
from buckler.labels.ledger import CallResult, Submission
from buckler.teachers.budget import Account, Spending
from buckler.teachers.llm.client import (
    CONNECT_S,
    ModelClient,
    RefusedError,
    Reply,
    Request,
    RetryableError,
    api_key,
    read_choice,
    server_address,
)
from buckler.teachers.llm.language_model import (
    LabelCall,
    LanguageModelTeacher,
    PromptEvent,
    event_result,
)
from buckler.teachers.llm.model_settings import ModelSettings
from buckler.teachers.llm.prices import Meter, price_table
from buckler.teachers.llm.runner import charge, count, retry, show_wait
from buckler.teachers.teacher import TEACHERS, Job

if TYPE_CHECKING:
    import anthropic

_ANSWER = "answer"
_T = TypeVar("_T")


class AnthropicSettings(ModelSettings):
    """Settings of the `anthropic` teacher.

    Attributes
    ----------
    base_url
        Address of the server; by default the library's own.
    api_key_env
        Environment variable (or name in the keyring) that holds the key.
    hosted
        True if events leave this machine or network.
    batches
        Submit calls as message batches: half the price, done within a day, usually much sooner.
    batch_calls
        Calls in one batch.
    poll_s
        Seconds between two looks at a batch.
    """

    base_url: str | None = None
    api_key_env: str = Field(default="ANTHROPIC_API_KEY", min_length=1)
    hosted: bool = True
    batches: bool = False
    batch_calls: int = Field(default=10_000, ge=1, le=100_000)
    poll_s: float = Field(default=30, gt=0, le=3600)
    samples: int = Field(default=3, ge=1, le=100)


class AnthropicClient(ModelClient):
    """A client of Anthropic's Messages."""

    shares_input = False

    def __init__(self, settings: AnthropicSettings) -> None:
        self.settings = settings
        self.name, self.hosted = settings.model, settings.hosted
        default = os.environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"
        self.address = server_address(settings.base_url or default)
        self.version_facts = (self.address,)
        table = price_table(settings.prices)
        price = settings.price or table.find(settings.model)
        self.meter = Meter(price * table.batch.factor if price and settings.batches else price)
        self._sdk: anthropic.AsyncAnthropic | None = None

    def connect(self) -> "anthropic.AsyncAnthropic":
        """Return the library's client, with connections that all requests of a run share."""
        if self._sdk is None:
            anthropic = import_extra("anthropic", "the teacher 'anthropic'", "llm")
            self._sdk = anthropic.AsyncAnthropic(
                timeout=anthropic.Timeout(self.settings.timeout_s, connect=CONNECT_S),
                max_retries=0,  # the runner tries again, within its limits
                base_url=self.settings.base_url,
                api_key=api_key(self.settings.api_key_env, required=self.hosted),
            )
        return self._sdk

    async def aclose(self) -> None:
        """Close the connections."""
        if (sdk := self._sdk) is not None:
            self._sdk = None
            await sdk.close()

    async def send(self, request: Request) -> Reply:
        """Make one request for one answer."""
        sdk = self.connect()
        with _errors(self):
            return _reply(await sdk.messages.create(**self.body(request)))

    def body(self, request: Request) -> dict[str, object]:
        """Return a request as the service takes it."""
        return {
            "model": self.settings.model,
            "max_tokens": self.settings.max_tokens or request.answer_tokens,
            "system": [
                {"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}}
            ],
            "messages": request.messages,
            "tools": [
                {
                    "name": _ANSWER,
                    "description": "Give the answer in this form.",
                    "input_schema": request.schema,
                }
            ],
            "tool_choice": {"type": "tool", "name": _ANSWER},
        }

    # --- message batches ----------------------------------------------------------------------

    async def submit(self, requests: dict[str, Request]) -> str:
        """Submit a batch of named requests; return the provider's name of it."""
        sdk = self.connect()
        with _errors(self):
            batch = await sdk.messages.batches.create(
                requests=[
                    {"custom_id": name, "params": self.body(request)}
                    for name, request in requests.items()
                ]
            )
        return str(batch.id)

    async def has_ended(self, provider_id: str) -> bool:
        """Tell whether a batch is done."""
        sdk = self.connect()
        with _errors(self):
            batch = await sdk.messages.batches.retrieve(provider_id)
        return bool(batch.processing_status == "ended")

    async def find_batches(self, created_s: int, n_requests: int) -> list[str]:
        """Return the batches of this size that the provider has accepted since then."""
        sdk = self.connect()
        found = []
        with _errors(self):
            async for batch in sdk.messages.batches.list(limit=100):
                if batch.created_at < datetime.fromtimestamp(created_s - 60, UTC):
                    break
                counts = batch.request_counts
                ended = counts.succeeded + counts.errored + counts.canceled + counts.expired
                if counts.processing + ended == n_requests:
                    found.append(str(batch.id))
        return found

    async def collect(self, provider_id: str) -> dict[str, Reply]:
        """Return the reply to each named request that has a readable one."""
        sdk = self.connect()
        found: dict[str, Reply] = {}
        with _errors(self):
            async for item in await sdk.messages.batches.results(provider_id):
                found[item.custom_id] = Reply([])
                if item.result.type == "succeeded":
                    with suppress(RetryableError):
                        found[item.custom_id] = _reply(item.result.message)
        return found


def _reply(message: "anthropic.types.Message") -> Reply:
    """Read one message, which may hold anything."""
    try:
        content = ""
        for block in message.content:
            if block.type == "tool_use":
                content = json.dumps(block.input)
                break
            if block.type == "text":
                content += block.text
        choice = read_choice(
            content,
            is_cut=message.stop_reason in ("max_tokens", "model_context_window_exceeded"),
            refusal=message.stop_reason == "refusal" and "by the service",
        )
        usage = message.usage
        input_tokens = (
            usage.input_tokens
            + (usage.cache_creation_input_tokens or 0)
            + (usage.cache_read_input_tokens or 0)
        )
        return Reply([choice], input_tokens, usage.output_tokens)
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise RetryableError(
            f"an answer that is no message ({type(error).__name__})", may_cost=True
        ) from error


@contextmanager
def _errors(client: ModelClient) -> Iterator[None]:
    """Translate errors of the library."""
    import anthropic

    try:
        yield
    except (anthropic.AnthropicError, ValueError, RecursionError) as error:
        raise client.translate(error) from error
    client.was_reached = True


@TEACHERS.add
class AnthropicTeacher(LanguageModelTeacher):
    """Asks a model of Anthropic; probabilities come from samples, the form from a forced tool.

    The service samples at its own temperature: newer versions of it refuse any other.
    """

    kind = "anthropic"
    settings_type = AnthropicSettings
    client_type = AnthropicClient
    client: AnthropicClient
    settings: AnthropicSettings

    def label(self, events: Dataset, job: Job) -> Account:
        """Ask about every event, in message batches if the settings say so."""
        if not self.settings.batches:
            return super().label(events, job)
        return _BatchRunner(self, job).run(self.prepare(events))


class _BatchRunner:
    """Asks about events in batches, which are submitted now and collected when they are done.

    The store records a batch before it is submitted and its name afterwards. So after a crash a
    batch that the provider has is found again and collected, and no event is submitted twice.
    """

    def __init__(self, teacher: AnthropicTeacher, job: Job) -> None:
        self._teacher, self._client, self._job = teacher, teacher.client, job
        self.account = Account(spent=job.budget.spent)

    def run(self, events: Iterator[PromptEvent]) -> Account:
        """Collect open batches, submit the rest, and wait until all are collected."""
        return asyncio.run(self._run(events))

    async def _run(self, events: Iterator[PromptEvent]) -> Account:
        try:
            await self._find_lost()
            pending = {
                event_id
                for submission in self._job.ledger.open_submissions()
                for ids in submission.requests.values()
                for event_id in ids
            }
            new = (event for event in events if event.event_id not in pending)
            await self._submit(self._teacher.claim(new, self._job))
            while submissions := self._job.ledger.open_submissions():
                for submission in submissions:
                    provider_id = submission.provider_id
                    if provider_id and await self._has_ended(provider_id):
                        await self._collect(submission, provider_id)
                        break
                else:
                    await asyncio.sleep(self._client.settings.poll_s)
        finally:
            await self._client.aclose()
        self.account.spent = self._job.budget.spent
        return self.account

    async def _has_ended(self, provider_id: str) -> bool:
        return await self._call(partial(self._client.has_ended, provider_id))

    async def _call(self, call: Callable[[], Awaitable[_T]], *, may_repeat: bool = True) -> _T:
        """Make a call to the service, again if it fails for now."""
        try:
            return await retry(
                call,
                self._client.settings.attempts,
                partial(show_wait, self._client.name),
                may_repeat=may_repeat,
            )
        except (RetryableError, RefusedError) as error:
            raise InputError(
                f"{self._client.name}: the service does not take this call ({error}); batches that "
                "it has are kept, run again to resume"
            ) from error

    async def _find_lost(self) -> None:
        """Find batches whose name a crash lost, or record that they never arrived."""
        ledger = self._job.ledger
        submissions = ledger.open_submissions()
        known = {submission.provider_id for submission in submissions}
        for submission in submissions:
            if submission.provider_id is not None:
                continue
            ids = {event_id for asked in submission.requests.values() for event_id in asked}
            if ledger.claim(ids) != ids:
                continue  # another run is about to submit it
            for candidate in await self._call(
                partial(self._client.find_batches, submission.created_s, len(submission.requests))
            ):
                if candidate in known:
                    continue
                while not await self._has_ended(candidate):
                    await asyncio.sleep(self._client.settings.poll_s)
                replies = await self._call(partial(self._client.collect, candidate))
                if set(replies) <= set(submission.requests):
                    ledger.confirm(submission.number, candidate)
                    break
            else:
                ledger.close(submission.number)

    async def _submit(self, events: Iterator[PromptEvent]) -> None:
        settings, budget, ledger = self._client.settings, self._job.budget, self._job.ledger
        while self.account.stopped is None:
            requests: dict[str, Request] = {}
            ids_of: dict[str, list[bytes]] = {}
            shown: list[PromptEvent] = []
            while len(requests) < settings.batch_calls and (
                group := list(islice(events, settings.events_per_call))
            ):
                nonce = secrets.token_hex(8)
                call = LabelCall(
                    self._teacher, group, _tags(nonce, [event.event_id for event in group])
                )
                if not budget.admits(call.estimate):
                    self.account.stopped = "the budget is spent"
                    break
                budget.start(call.estimate)
                for sample in range(settings.samples):
                    requests[f"{nonce}-{sample}"] = call.request
                    ids_of[f"{nonce}-{sample}"] = call.event_ids
                shown += group
            if not requests:
                return
            ledger.keep([event_result(shown)])
            number = ledger.submit(ids_of)
            # A call that broke may have arrived: the next run looks for its batch.
            provider_id = await self._call(partial(self._client.submit, requests), may_repeat=False)
            ledger.confirm(number, provider_id)

    async def _collect(self, submission: Submission, provider_id: str) -> None:
        replies_of: dict[str, list[Reply]] = {}
        for name, reply in (await self._call(partial(self._client.collect, provider_id))).items():
            if name in submission.requests and reply.choices:
                replies_of.setdefault(name.rsplit("-", 1)[0], []).append(reply)
                self.account.calls += 1
        results: list[CallResult] = []
        for nonce in dict.fromkeys(name.rsplit("-", 1)[0] for name in submission.requests):
            ids = submission.requests[f"{nonce}-0"]
            if replies := replies_of.get(nonce):
                results.append(self._result(nonce, ids, replies))
            else:  # errored or expired: not charged, asked again by the next run
                self.account.unanswered += len(ids)
        self._job.keep(results, submission.number)
        count(self.account, results)
        self.account.spent = self._job.budget.spent
        self._job.report(self.account.spent.events, self.account)

    def _result(self, nonce: str, ids: list[bytes], replies: list[Reply]) -> CallResult:
        tags = _tags(nonce, ids)
        readings = [
            self._teacher.read(choice, tags) for reply in replies for choice in reply.choices
        ]
        spent = self._teacher.client.meter.spending(
            len(ids),
            sum(reply.input_tokens or 0 for reply in replies),
            sum(reply.output_tokens or 0 for reply in replies),
        )
        self._job.budget.settle(Spending(), spent)
        return charge(CallResult(*self._teacher.merge(ids, tags, readings)), spent)


def _tags(nonce: str, ids: Sequence[bytes]) -> list[str]:
    """Return unpredictable tags that can be found again from the name of the request."""
    return [sha256(nonce.encode() + i).hexdigest()[:8] for i in ids]
