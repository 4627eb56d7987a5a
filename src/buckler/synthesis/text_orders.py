"""Texts written to order by a language model, for synthetic examples and for paraphrases.

They cost money, so they go through the same run as annotations: limits, a budget, and every answer
in the label store before the next call. An order that has an answer is never given again.
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
from buckler.synthesis.synthetic_examples import decode_text, encode_text
from buckler.tasks import Task
from buckler.teachers import get_teacher
from buckler.teachers.budget import Account, Budget, Spending
from buckler.teachers.llm.client import Request
from buckler.teachers.llm.language_model import LanguageModelTeacher
from buckler.teachers.llm.runner import MeteredClient, ModelCall, Runner

MAX_REJECTS = 2
_MAX_TEXTS = 50
_STRING = re.compile(r'"')


class TextWriter(ABC):
    """A language model that writes texts to order.

    Attributes
    ----------
    texts_per_call
        Texts that an order asks for.
    tokens_per_text
        Usual length of a text.
    """

    texts_per_call: int
    tokens_per_text: int

    def __init__(self, model: LanguageModelTeacher, version: str, system: str) -> None:
        self.model, self._system = model, system
        content = json.dumps([version, system, self.texts_per_call, model.annotator.version])
        self.annotator = Annotator(
            model.annotator.name, f"{version}-{sha256(content.encode()).hexdigest()[:8]}", "llm"
        )

    @abstractmethod
    def request(self, order_id: bytes) -> Request:
        """Return the request for an order."""

    @property
    def answer_tokens(self) -> int:
        """Longest answer to an order."""
        return 64 + 2 * self.texts_per_call * self.tokens_per_text


class _OrderCall(ModelCall):
    """One order."""

    n_events = 1

    def __init__(self, writer: TextWriter, order_id: bytes) -> None:
        self._order_id, self._request = order_id, writer.request(order_id).with_samples(1)
        meter = writer.model.client.meter
        self.estimate = meter.spending(
            1,
            meter.estimate_tokens(self._request.characters),
            writer.texts_per_call * writer.tokens_per_text,
        )

    async def perform(self, client: MeteredClient) -> CallResult:
        """Have the order written."""
        reply = await client.send(self._request)
        texts = read_texts(reply.choices[0].content) if reply.choices else []
        if not texts:
            return self.fail("no text in the answer")
        return CallResult(drafts={self._order_id: [encode_text(text) for text in texts]})

    def fail(self, reason: str) -> CallResult:
        """Return a result in which the order is rejected."""
        return CallResult(rejects=[(self._order_id, reason)])


def get_writing_model(kind: str, path: Path | None, task: Task) -> LanguageModelTeacher:
    """Return a teacher that can write, made from its settings file.

    Raises
    ------
    SettingsError
        If there is no such kind, it is no language model, or the file is not valid.
    """
    model = get_teacher(kind, path, task)
    if not isinstance(model, LanguageModelTeacher):
        raise SettingsError(f"the teacher {kind!r} cannot write")
    return model


class TextOrders:
    """Orders of a writer and their answers, in the label store."""

    def __init__(self, writer: TextWriter, store: LabelStore, task: Task) -> None:
        self._writer = writer
        self._ledger = Ledger(store, task, writer.annotator)

    def pending(self, ids: Iterable[bytes]) -> list[bytes]:
        """Return the orders without an answer."""
        done = self._ledger.drafts().keys() | self._ledger.find_rejected(MAX_REJECTS)
        return [order for order in ids if order not in done]

    def estimate(self, ids: Sequence[bytes]) -> Spending:
        """Return the probable cost of these orders."""
        return sum((_OrderCall(self._writer, i).estimate for i in ids), start=Spending())

    def fulfill(
        self, ids: Sequence[bytes], budget: Budget | None, report: Callable[[Account], None]
    ) -> Account:
        """Have these orders written; each answer is stored before the next call."""
        model = self._writer.model
        runner = Runner(model.client, model.settings, self._ledger.keep, budget, report)
        return runner.run(_OrderCall(self._writer, order_id) for order_id in ids)

    def answers(self) -> dict[bytes, list[str]]:
        """Return all texts ever written to these instructions, by order."""
        return {
            order: [decode_text(t) for t in texts] for order, texts in self._ledger.drafts().items()
        }


def read_texts(content: str) -> list[str]:
    """Return the texts of an answer, even if it is cut off or stands among other words."""
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
        if isinstance(value, str):
            text = value.encode("utf-8", "replace").decode("utf-8").strip()
            if text:
                found.append(text)
    return found
