"""Calls that may wait: submitted as batches, and collected when the provider is done.

The store records a batch before it is submitted and its name afterwards. So after a crash a batch
that the provider has is found again and collected, and no event is submitted twice.
"""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Protocol

from buckler.labels.ledger import CallResult, Submission
from buckler.teachers.budget import Account, Spending
from buckler.teachers.llm.client import Reply, Request
from buckler.teachers.llm.language_model import (
    LabelCall,
    LanguageModelTeacher,
    PromptEvent,
    event_result,
)
from buckler.teachers.llm.runner import charge, count
from buckler.teachers.teacher import Job


class BatchSettings(Protocol):
    """Settings of a client that takes batches."""

    samples: int
    events_per_call: int
    batch_calls: int
    poll_s: float


class BatchClient(Protocol):
    """A client that takes batches of requests."""

    @property
    def settings(self) -> BatchSettings:
        """Size of a batch and time between two looks at it."""

    async def submit(self, requests: dict[str, Request]) -> str:
        """Submit named requests; return the provider's name of the batch."""

    async def has_ended(self, provider_id: str) -> bool:
        """Tell whether a batch is done."""

    async def find_batches(self, created_s: int, n_requests: int) -> list[str]:
        """Return the batches of this size that the provider has accepted since then."""

    async def collect(self, provider_id: str) -> dict[str, Reply]:
        """Return the reply to each named request; without a choice where it failed."""

    async def aclose(self) -> None:
        """Close connections."""


class BatchRunner:
    """Asks a teacher's model about events in batches."""

    def __init__(self, teacher: LanguageModelTeacher, client: BatchClient, job: Job) -> None:
        self._teacher, self._client, self._job = teacher, client, job
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
            await self._submit(event for event in events if event.event_id not in pending)
            while submissions := self._job.ledger.open_submissions():
                for submission in submissions:
                    provider_id = submission.provider_id
                    if provider_id and await self._client.has_ended(provider_id):
                        await self._collect(submission, provider_id)
                        break
                else:
                    await asyncio.sleep(self._client.settings.poll_s)
        finally:
            await self._client.aclose()
        self.account.spent = self._job.budget.spent
        return self.account

    async def _find_lost(self) -> None:
        """Find batches whose name a crash lost, or record that they never arrived."""
        ledger = self._job.ledger
        submissions = ledger.open_submissions()
        known = {submission.provider_id for submission in submissions}
        for submission in submissions:
            if submission.provider_id is not None:
                continue
            for candidate in await self._client.find_batches(
                submission.created_s, len(submission.requests)
            ):
                if candidate in known:
                    continue
                while not await self._client.has_ended(candidate):
                    await asyncio.sleep(self._client.settings.poll_s)
                if set(await self._client.collect(candidate)) <= set(submission.requests):
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
            ledger.confirm(number, await self._client.submit(requests))

    async def _collect(self, submission: Submission, provider_id: str) -> None:
        replies_of: dict[str, list[Reply]] = {}
        for name, reply in (await self._client.collect(provider_id)).items():
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
