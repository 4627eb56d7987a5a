"""A language model that writes: the common part of synthetic examples and paraphrases.

Writing costs money, so it goes through the same runner as annotations: limits, budget, and every
answer in the label store before the next call. An order that was written once is never paid again.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from buckler.errors import SettingsError
from buckler.labels import Annotator, LabelStore
from buckler.labels.ledger import CallResult, Ledger
from buckler.synthesis.synthetic_examples import decoded, encoded
from buckler.tasks import Task
from buckler.teachers import get_teacher
from buckler.teachers.budget import Account, Budget, Spending
from buckler.teachers.llm.client import Request
from buckler.teachers.llm.language_model import LanguageModelTeacher
from buckler.teachers.llm.runner import MeteredClient, ModelCall, Runner

MAX_REJECTS = 2
_MAX_TEXTS = 50
_STRING = re.compile(r'"')


class Scribe(ABC):
    """A language model that writes to order.

    Attributes
    ----------
    texts_a_call
        Texts of one order.
    tokens_a_text
        Usual length of one.
    """

    texts_a_call: int
    tokens_a_text: int

    def __init__(self, model: LanguageModelTeacher, version: str, system: str) -> None:
        self.model, self._system = model, system
        facts = json.dumps([version, system, self.texts_a_call, model.annotator.version])
        self.annotator = Annotator(
            model.annotator.name, f"{version}-{sha256(facts.encode()).hexdigest()[:8]}", "llm"
        )

    @abstractmethod
    def request(self, order_id: bytes) -> Request:
        """Return the request for an order."""

    @property
    def answer_tokens(self) -> int:
        """Longest answer to an order."""
        return 64 + 2 * self.texts_a_call * self.tokens_a_text


class WriteCall(ModelCall):
    """One order."""

    n_events = 1

    def __init__(self, scribe: Scribe, order_id: bytes) -> None:
        self._order_id, self._request = order_id, scribe.request(order_id).with_samples(1)
        meter = scribe.model.client.meter
        self.estimate = meter.spending(
            1,
            meter.estimate_tokens(self._request.characters),
            scribe.texts_a_call * scribe.tokens_a_text,
        )

    async def perform(self, client: MeteredClient) -> CallResult:
        """Have the order written."""
        reply = await client.send(self._request)
        texts = read_texts(reply.choices[0].content) if reply.choices else []
        if not texts:
            return self.fail("no text in the answer")
        return CallResult(drafts={self._order_id: [encoded(text) for text in texts]})

    def fail(self, reason: str) -> CallResult:
        """Return a result in which the order is rejected."""
        return CallResult(rejects=[(self._order_id, reason)])


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
    """Orders and the texts written to them, kept in the label store."""

    def __init__(self, scribe: Scribe, store: LabelStore, task: Task) -> None:
        self._scribe = scribe
        self._ledger = Ledger(store, task, scribe.annotator)

    def todo(self, ids: Iterable[bytes]) -> list[bytes]:
        """Return the orders that nothing was written for yet."""
        done = self._ledger.drafts().keys() | self._ledger.find_rejected(MAX_REJECTS)
        return [order for order in ids if order not in done]

    def estimate(self, ids: Sequence[bytes]) -> Spending:
        """Return the probable cost of these orders."""
        return sum((WriteCall(self._scribe, i).estimate for i in ids), start=Spending())

    def have_written(
        self, ids: Sequence[bytes], budget: Budget | None, report: Callable[[Account], None]
    ) -> Account:
        """Have these orders written; each answer is kept before the next call."""
        model = self._scribe.model
        runner = Runner(model.client, model.settings, self._ledger.keep, budget, report)
        return runner.run(WriteCall(self._scribe, order_id) for order_id in ids)

    def written(self) -> dict[bytes, list[str]]:
        """Return all texts that were ever written to these instructions, by order."""
        return {
            order: [decoded(t) for t in texts] for order, texts in self._ledger.drafts().items()
        }


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


def _sound(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode("utf-8").strip()
