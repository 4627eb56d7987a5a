"""A language model that writes: what synthetic examples and paraphrases share of asking for them.

What it writes is paid for, so it goes through the same run as annotations do: limits, budget, and
every answer in the label store before the next call. What was ordered once is never ordered again.
"""

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from buckler.errors import SettingsError
from buckler.labels import Annotator, LabelStore
from buckler.labels.ledger import Ledger
from buckler.synthesis.synthetic_examples import decoded, encoded
from buckler.tasks import Task
from buckler.teachers import get_teacher
from buckler.teachers.llm.language_model import (
    Judged,
    LanguageModelTeacher,
    Prepared,
    Replies,
    Send,
)
from buckler.teachers.llm.limits import Budget, Spending
from buckler.teachers.llm.paid_run import Account, Outcome, PaidRun
from buckler.teachers.llm.prompt import Question

MAX_REJECTS = 2
_MAX_TEXTS = 50
_STRING = re.compile(r'"')


class Scribe(ABC):
    """What the paid run asks: a language model that writes to order.

    Attributes
    ----------
    texts_a_call
        How many texts an order is for.
    tokens_a_text
        How long one usually is.
    """

    texts_a_call: int
    tokens_a_text: int

    def __init__(self, model: LanguageModelTeacher, version: str, system: str) -> None:
        self._model, self._system = model, system
        self.settings = model.settings.model_copy(update={"events_per_call": 1})
        said = json.dumps([version, system, self.texts_a_call, model.annotator.version])
        self.annotator = Annotator(
            model.annotator.name, f"{version}-{sha256(said.encode()).hexdigest()[:8]}", "llm"
        )

    @abstractmethod
    def question(self, order_id: bytes) -> Question:
        """Return what is asked for an order."""

    async def judge(self, events: Sequence[Prepared], send: Send) -> Judged:
        """Have one order written."""
        (event,) = events
        replies = await send(self.question(event.event_id), 1, True)
        texts = read_texts(replies.choices[0].content) if replies.choices else []
        if not texts:
            return Judged([], [(event.event_id, "no text in the answer")])
        return Judged([], [], {event.event_id: [encoded(text) for text in texts]})

    async def complete(self, question: Question, n: int, *, sampling: bool) -> Replies:
        """Make one request."""
        return await self._model.complete(question, n, sampling=sampling)

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._model.aclose()

    def estimate(self, events: Sequence[Prepared]) -> Spending:
        """Return what these orders will probably cost."""
        total = Spending()
        for event in events:
            guessed = self._model.spent(self.question(event.event_id), Replies([]))
            written = self.texts_a_call * self.tokens_a_text
            total += self._model.cost(1, guessed.input_tokens, written)
        return total

    def spent(self, question: Question, replies: Replies) -> Spending:
        """Return what a request cost."""
        return self._model.spent(question, replies)

    def max_tokens(self, n_events: int) -> int:
        """Return how long an answer may be."""
        return 64 + 2 * n_events * self.texts_a_call * self.tokens_a_text


def get_writer(kind: str, path: Path | None, task: Task) -> LanguageModelTeacher:
    """Return a teacher that can write, made from its file.

    Raises
    ------
    SettingsError
        If there is no such kind, or it is no language model, or the file makes no sense.
    """
    model = get_teacher(kind, path, task)
    if not isinstance(model, LanguageModelTeacher):
        raise SettingsError(f"the teacher {kind!r} cannot write")
    return model


class Desk:
    """Where orders are given and what was written is kept, in the label store."""

    def __init__(self, scribe: Scribe, store: LabelStore, task: Task) -> None:
        self._scribe, self._store = scribe, store
        self._ledger = Ledger(store, task, scribe.annotator)

    def todo(self, ids: Iterable[bytes]) -> list[bytes]:
        """Return the orders that nothing was written for yet."""
        done = self._ledger.drafts().keys() | self._ledger.rejected(MAX_REJECTS)
        return [order for order in ids if order not in done]

    def estimate(self, ids: Sequence[bytes]) -> Spending:
        """Return what these orders will probably cost."""
        return self._scribe.estimate(list(_prepared(ids)))

    def have_written(
        self, ids: Sequence[bytes], budget: Budget | None, report: Callable[[Account], None]
    ) -> Account:
        """Have these orders written; each answer is kept before the next call."""
        run = PaidRun(self._scribe, self._keep, budget=budget, on_progress=report)
        return asyncio.run(run.ask(_prepared(ids)))

    def written(self) -> dict[bytes, list[str]]:
        """Return all that was ever written to these instructions, by order."""
        return {
            order: [decoded(t) for t in texts] for order, texts in self._ledger.drafts().items()
        }

    def _keep(self, outcomes: list[Outcome]) -> None:
        with self._store.transaction():
            for outcome in outcomes:
                self._ledger.record_drafts(outcome.drafts)
            self._ledger.record_rejects(r for outcome in outcomes for r in outcome.rejects)
            calls = [
                replace(o.call, annotations=sum(map(len, o.drafts.values()))) for o in outcomes
            ]
            self._ledger.record_calls(calls)


def _prepared(ids: Iterable[bytes]) -> Iterator[Prepared]:
    return (Prepared(order, b"", "") for order in ids)


def read_texts(content: str) -> list[str]:
    """Return the texts of an answer, also of one that was cut off or stands among other words."""
    decoder = json.JSONDecoder()
    start = content.find('"texts"')
    start = content.find("[", max(start, 0))
    if start < 0:
        return []
    found: list[str] = []
    position = start + 1
    while len(found) < _MAX_TEXTS:
        opening = _STRING.search(content, position)
        if opening is None or content[position : opening.start()].strip(", \r\n\t"):
            break
        try:
            value, position = decoder.raw_decode(content, opening.start())
        except (ValueError, RecursionError):
            break
        text = _sound(value)
        if text:
            found.append(text)
    return found


def _sound(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode("utf-8").strip()
