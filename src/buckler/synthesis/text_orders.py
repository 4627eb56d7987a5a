"""Texts written to order by a language model, for synthetic examples and for paraphrases.

They cost money, so they go through the same run as annotations: limits, a budget, and every answer
in the label store before the next call. An order that has an answer is never given again.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from buckler.errors import SettingsError
from buckler.labels import Annotator, LabelStore
from buckler.labels.ledger import CallResult, Ledger
from buckler.synthesis.synthetic_examples import decode_text, encode_text
from buckler.tasks import Task
from buckler.teachers import get_teacher
from buckler.teachers.budget import Account, Budget, Spending
from buckler.teachers.llm.client import Choice, Request
from buckler.teachers.llm.language_model import LanguageModelTeacher
from buckler.teachers.llm.prompt import json_object
from buckler.teachers.llm.runner import MeteredClient, ModelCall, Runner

MAX_REJECTS = 2
_MAX_TEXTS = 50
_STRING = re.compile(r'"')


@dataclass(frozen=True)
class Instructions:
    """The part of a prompt that all orders of one kind share.

    Attributes
    ----------
    version
        Version of the wording, of all prompts too.
    system
        System prompt.
    texts_per_call, tokens_per_text
        Texts that an order asks for, and their usual length.
    """

    version: str
    system: str
    texts_per_call: int
    tokens_per_text: int


class TextOrders:
    """Orders for texts and their answers, in the label store.

    Parameters
    ----------
    model
        Language model that writes.
    store
        Label store that keeps texts and costs.
    instructions
        Part that all prompts share.
    prompt
        Function from an order id to the prompt.
    budget
        Limits of cost.
    on_progress
        Called with the account and the number of orders.

    Attributes
    ----------
    annotator
        Name of the model, and the version of everything that decides its answers.
    account
        Account of the last run; None where every order had its answer.
    """

    def __init__(
        self,
        model: LanguageModelTeacher,
        store: LabelStore,
        instructions: Instructions,
        prompt: Callable[[bytes], str],
        *,
        budget: Budget | None = None,
        on_progress: Callable[[Account, int], None] | None = None,
    ) -> None:
        self._model, self._instructions, self._prompt = model, instructions, prompt
        self._budget, self._on_progress = budget, on_progress or (lambda *_: None)
        own = instructions
        content = json.dumps([own.version, own.system, own.texts_per_call, model.annotator.version])
        self.annotator = Annotator(
            model.annotator.name, f"{own.version}-{sha256(content.encode()).hexdigest()[:8]}", "llm"
        )
        self._ledger = Ledger(store, model.task, self.annotator)
        self.account: Account | None = None

    def request(self, order_id: bytes) -> Request:
        """Return the request for an order."""
        own = self._instructions
        items = {"minItems": own.texts_per_call, "maxItems": own.texts_per_call}
        schema = json_object({"texts": {"type": "array", "items": {"type": "string"}, **items}})
        message = {"role": "user", "content": self._prompt(order_id)}
        answer_tokens = 64 + 2 * own.texts_per_call * own.tokens_per_text
        return Request(own.system, [message], schema, answer_tokens).with_samples(1)

    def estimate(self, ids: Iterable[bytes]) -> tuple[int, Spending]:
        """Return the number of calls to make, and their probable cost."""
        pending = self._pending(ids)
        return len(pending), sum((self._call(i).estimate for i in pending), start=Spending())

    def fulfill(self, ids: Iterable[bytes]) -> dict[bytes, list[str]]:
        """Have pending orders written; return all texts ever written to these instructions.

        Each answer is stored before the next call.
        """
        pending = self._pending(ids)
        if pending:
            runner = Runner(
                self._model.client,
                self._model.settings,
                self._ledger.keep,
                self._budget,
                lambda account: self._on_progress(account, len(pending)),
            )
            self.account = runner.run(map(self._call, pending))
        return {
            order: [decode_text(t) for t in texts] for order, texts in self._ledger.drafts().items()
        }

    def _pending(self, ids: Iterable[bytes]) -> list[bytes]:
        done = self._ledger.drafts().keys() | self._ledger.find_rejected(MAX_REJECTS)
        return [order for order in ids if order not in done]

    def _call(self, order_id: bytes) -> "_OrderCall":
        request, meter = self.request(order_id), self._model.client.meter
        n_tokens = self._instructions.texts_per_call * self._instructions.tokens_per_text
        estimate = meter.spending(1, meter.estimate_tokens(request.characters), n_tokens)
        return _OrderCall(order_id, request, estimate)


class _OrderCall(ModelCall):
    """One order."""

    n_events = 1

    def __init__(self, order_id: bytes, request: Request, estimate: Spending) -> None:
        self._order_id, self._request, self.estimate = order_id, request, estimate

    async def perform(self, client: MeteredClient) -> CallResult:
        """Have the order written."""
        reply = await client.send(self._request)
        choice = reply.choices[0] if reply.choices else Choice("")
        texts = read_texts(choice.content)
        if not texts:
            return self.fail(choice.problem or "no text in the answer")
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
