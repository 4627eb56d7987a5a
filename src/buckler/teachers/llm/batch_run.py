"""The run that may wait: calls are handed in as batches, and collected when they are done.

What is handed in is noted before and confirmed after; so after a crash a batch that the provider
has is found again and collected, and no event is handed in twice.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import islice

from buckler.labels.ledger import Call, Ledger, Submission
from buckler.teachers.llm.anthropic import AnthropicTeacher
from buckler.teachers.llm.language_model import Prepared, Replies, Reply
from buckler.teachers.llm.limits import Budget, Spending
from buckler.teachers.llm.paid_run import Account, Outcome, priced
from buckler.teachers.llm.prompt import Question


class BatchRun:
    """Asks a teacher about events in batches.

    Parameters
    ----------
    teacher
        An `AnthropicTeacher`.
    ledger
        Where batches are noted.
    sink
        Stores outcomes, and closes the batch of this number in the same transaction.
    keep
        Stores events that are handed in.
    """

    def __init__(
        self,
        teacher: AnthropicTeacher,
        ledger: Ledger,
        sink: Callable[[list[Outcome], int], None],
        keep: Callable[[Sequence[Prepared]], None],
        *,
        budget: Budget | None = None,
        on_progress: Callable[[Account], None] | None = None,
    ) -> None:
        self._teacher, self._ledger, self._sink, self._keep = teacher, ledger, sink, keep
        self._budget, self._on_progress = budget or Budget(), on_progress
        self.account = Account(spent=self._budget.spent)

    async def ask(self, events: Iterator[Prepared]) -> Account:
        """Collect what is under way, hand in the rest, and wait until all is collected."""
        try:
            await self._find_lost()
            open_ones = self._ledger.open_submissions()
            waiting = {i for one in open_ones for ids in one.requests.values() for i in ids}
            await self._hand_in(event for event in events if event.event_id not in waiting)
            while open_ones := self._ledger.open_submissions():
                for submission in open_ones:
                    if submission.provider_id and await self._teacher.has_ended(
                        submission.provider_id
                    ):
                        await self._collect(submission)
                        break
                else:
                    await asyncio.sleep(self._teacher.settings.poll_s)
        finally:
            await self._teacher.aclose()
        self.account.spent = self._budget.spent
        return self.account

    async def _find_lost(self) -> None:
        """Find batches that a crash cut off from their name, or note that they never arrived."""
        submissions = self._ledger.open_submissions()
        known = {submission.provider_id for submission in submissions}
        for submission in submissions:
            if submission.provider_id is not None:
                continue
            for candidate in await self._teacher.handed_in_since(
                submission.created_s, len(submission.requests)
            ):
                if candidate in known:
                    continue
                while not await self._teacher.has_ended(candidate):
                    await asyncio.sleep(self._teacher.settings.poll_s)
                if set(await self._teacher.collect(candidate)) <= set(submission.requests):
                    self._ledger.confirm(submission.number, candidate)
                    break
            else:
                self._ledger.close(submission.number)

    async def _hand_in(self, events: Iterator[Prepared]) -> None:
        settings = self._teacher.settings
        while self.account.stopped is None:
            requests: dict[str, list[bytes]] = {}
            questions: dict[str, Question] = {}
            shown: list[Prepared] = []
            while len(questions) < settings.batch_calls and (
                call := list(islice(events, settings.events_per_call))
            ):
                estimate = self._teacher.estimate(call)
                if not self._budget.admits(estimate):
                    self.account.stopped = "the budget is spent"
                    break
                self._budget.start(estimate)
                nonce = secrets.token_hex(8)
                ids = [event.event_id for event in call]
                question = self._teacher.prompt.question(
                    list(zip(_tags(nonce, ids), (event.text for event in call), strict=True))
                )
                for sample in range(settings.samples):
                    requests[f"{nonce}-{sample}"] = ids
                    questions[f"{nonce}-{sample}"] = question
                shown += call
            if not questions:
                return
            self._keep(shown)
            number = self._ledger.submit(requests)
            self._ledger.confirm(number, await self._teacher.hand_in(questions))

    async def _collect(self, submission: Submission) -> None:
        answers = await self._teacher.collect(submission.provider_id or "")
        calls: dict[str, list[Replies]] = {}
        for name, answer in answers.items():
            if name not in submission.requests:
                continue
            if isinstance(answer, Replies):
                calls.setdefault(name.rsplit("-", 1)[0], []).append(answer)
                self.account.calls += 1
        outcomes: list[Outcome] = []
        for nonce in dict.fromkeys(name.rsplit("-", 1)[0] for name in submission.requests):
            ids = submission.requests[f"{nonce}-0"]
            replies = calls.get(nonce, [])
            if not replies:  # errored or expired: not charged, asked again by the next run
                self.account.unanswered += len(ids)
                continue
            outcomes.append(self._outcome(nonce, ids, replies))
        self._sink(outcomes, submission.number)
        for outcome in outcomes:
            self.account.annotations += len(outcome.annotations)
            self.account.rejects.update(reason for _, reason in outcome.rejects)
        self.account.spent = self._budget.spent
        if self._on_progress is not None:
            self._on_progress(self.account)

    def _outcome(self, nonce: str, ids: list[bytes], replies: list[Replies]) -> Outcome:
        choices: list[Reply] = [choice for reply in replies for choice in reply.choices]
        judged = self._teacher.read(ids, _tags(nonce, ids), choices)
        spent = self._teacher.cost(
            len(ids),
            sum(reply.input_tokens or 0 for reply in replies),
            sum(reply.output_tokens or 0 for reply in replies),
        )
        self._budget.settle(Spending(), spent)
        share = spent.cost_usd / len(ids)
        return Outcome(
            (),
            [priced(annotation, share) for annotation in judged.annotations],
            judged.rejects,
            Call(
                len(ids),
                len(judged.annotations),
                spent.input_tokens,
                spent.output_tokens,
                spent.cost_usd,
            ),
        )


def _tags(nonce: str, ids: Sequence[bytes]) -> list[str]:
    """Tags that nobody could have known, and that can be found again from the request's name."""
    return [sha256(nonce.encode() + i).hexdigest()[:8] for i in ids]
