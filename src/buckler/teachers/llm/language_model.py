"""What all teachers that ask a language model have in common."""

import asyncio
import json
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.labels import Annotation, Annotator
from buckler.tasks import Task
from buckler.teachers.llm.answers import (
    Answer,
    Token,
    class_probabilities,
    read_answers,
    sample_probabilities,
)
from buckler.teachers.llm.fencing import new_tag, truncated, without_hidden
from buckler.teachers.llm.few_shot import choose_examples
from buckler.teachers.llm.injection import detect_injection
from buckler.teachers.llm.limits import Spending
from buckler.teachers.llm.prices import FREE, Price
from buckler.teachers.llm.prompt import Prompt, Question
from buckler.teachers.llm.redaction import redacted
from buckler.teachers.llm.settings import AskSettings
from buckler.teachers.teacher import Teacher

if TYPE_CHECKING:
    from buckler.teachers.llm.paid_run import Outcome

_ANSWER_TOKENS = 24  # an answer without a reason, for estimates
_REASON_TOKENS = 90
_MAX_VAGUE = 20  # replies whose token probabilities tell nothing, before samples are taken at once
_FORM_TOKENS = 64  # room for white space and code blocks around it


class TryLaterError(Exception):
    """A call that failed for now.

    Attributes
    ----------
    after_s
        How long the server asks to wait; None if it does not say.
    may_cost
        Whether the call may have been charged although no answer came.
    """

    def __init__(self, message: str, *, after_s: float | None = None, may_cost: bool = False):
        super().__init__(message)
        self.after_s, self.may_cost = after_s, may_cost


class RefusedError(Exception):
    """A call that this server will never answer: too long, or against its policy."""


@dataclass(frozen=True)
class Prepared:
    """An event, ready to be shown.

    Attributes
    ----------
    event_id, raw
        As in the events.
    text
        Without hidden characters, redacted, cut to size; not yet fenced.
    injection
        What the detector found in it.
    originals
        What its placeholders stand for.
    """

    event_id: bytes
    raw: bytes
    text: str
    injection: str | None = None
    originals: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """One answer, with its tokens where the server gives their probabilities."""

    content: str
    tokens: tuple[Token, ...] | None = None


@dataclass(frozen=True)
class Replies:
    """What one request returned; token counts are None where the server does not say."""

    choices: list[Reply]
    input_tokens: int | None = None
    output_tokens: int | None = None


Send = Callable[[Question, int, bool], Awaitable[Replies]]


@dataclass(frozen=True)
class Judged:
    """Annotations, and (event id, reason) for every event without one; or texts that were ordered."""

    annotations: list[Annotation]
    rejects: list[tuple[bytes, str]]
    drafts: dict[bytes, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Given:
    """One reply, read: answers, reasons why there is none, and probabilities of its own, by tag."""

    answers: dict[str, Answer]
    reasons: dict[str, str]
    own: dict[str, npt.NDArray[np.float64] | None]


class LanguageModelTeacher(Teacher):
    """Asks a language model, one call for one or several events.

    Attributes
    ----------
    settings
        What the user said.
    hosted
        Whether events leave this machine or network.
    price
        USD per million tokens; None where it is not known.
    uses_logprobs
        Whether one answer with token probabilities is asked for, and not several samples.
    samples_share_input
        Whether several samples of a question are one request, whose input is paid for once.
    """

    samples_share_input = True

    settings: AskSettings
    hosted: bool
    price: Price | None
    uses_logprobs: bool

    def __init__(
        self,
        task: Task,
        settings: AskSettings,
        *,
        hosted: bool,
        price: Price | None,
        uses_logprobs: bool,
        name: str,
        facts: Sequence[object] = (),
    ) -> None:
        """`facts` is whatever else changes what it could say; it goes into the version."""
        self.task, self.settings = task, settings
        self.hosted, self.price, self.uses_logprobs = hosted, price, uses_logprobs
        self.redacts = hosted if settings.redact is None else settings.redact
        examples = []
        if settings.few_shot:
            if settings.examples is None:
                raise SettingsError("few_shot needs `examples`, a labeled file to choose from")
            examples = [
                example.__class__(self.shown(example.text)[0], example.label)
                for example in choose_examples(settings.examples, task, settings.few_shot)
            ]
        self.prompt = Prompt(task, rationale=settings.rationale, examples=examples)
        said = [
            self.prompt.digest,
            settings.samples,
            settings.temperature,
            settings.events_per_call,
            settings.max_characters,
            self.redacts,
            settings.prior_correction,
            *facts,
        ]
        version = sha256(json.dumps(said, default=str).encode()).hexdigest()[:12]
        self.annotator = Annotator(name, version, "llm")
        self._prior: npt.NDArray[np.float64] | None = None
        self._prior_lock = asyncio.Lock()
        self._vague = 0
        self._tokens_per_character = 1 / 3  # refined by what the server counts

    # --- for each kind ------------------------------------------------------------------------

    @abstractmethod
    async def complete(self, question: Question, n: int, *, sampling: bool) -> Replies:
        """Make one request for `n` answers; fewer may come.

        Parameters
        ----------
        sampling
            Draw the answers at random, and not the likeliest one with its probabilities.

        Raises
        ------
        TryLaterError, RefusedError
            If there is none.
        BucklerError
            If no further call can succeed: a wrong key, an unknown model.
        """

    async def aclose(self) -> None:
        """Let go of connections. A run ends with it; the next one opens them anew."""

    # --- events -------------------------------------------------------------------------------

    def prepare(self, events: Dataset) -> Iterator[Prepared]:
        """Make events ready to be shown."""
        columns = (events.table.column(name).to_pylist() for name in ("id", "text"))
        for event_id, raw in zip(*columns, strict=True):
            injection = detect_injection(self.task.readable(raw))
            text, originals = self.shown(raw)
            yield Prepared(event_id, raw, text, injection, originals)

    def shown(self, raw: bytes | str) -> tuple[str, dict[str, str]]:
        """Return an event as the model may see it, and what its placeholders stand for."""
        text, originals = without_hidden(self.task.readable(raw)), dict[str, str]()
        if self.redacts:
            text, originals = redacted(text)
        return truncated(text, self.settings.max_characters), originals

    # --- one call -----------------------------------------------------------------------------

    def max_tokens(self, n_events: int) -> int:
        """Return how long an answer may be."""
        reason = 2 * _REASON_TOKENS if self.settings.rationale else 0
        return _FORM_TOKENS + n_events * (2 * _ANSWER_TOKENS + reason)

    def estimate(self, events: Sequence[Prepared]) -> Spending:
        """Return what a call about these events will probably cost."""
        question = self.prompt.question([("00000000", event.text) for event in events])
        reason = _REASON_TOKENS if self.settings.rationale else 0
        answers = 1 if self.uses_logprobs else self.settings.samples
        requests = 1 if self.samples_share_input else answers
        return self.cost(
            len(events),
            requests * (int(question.characters * self._tokens_per_character) + 1),
            answers * len(events) * (_ANSWER_TOKENS + reason),
        )

    def cost(self, n_events: int, input_tokens: int, output_tokens: int) -> Spending:
        """Return tokens with their price."""
        usd = (self.price or FREE).cost_usd(input_tokens, output_tokens)
        return Spending(n_events, input_tokens, output_tokens, usd)

    def spent(self, question: Question, replies: Replies) -> Spending:
        """Return what a request cost, by the server's count or else by estimate."""
        if replies.input_tokens is not None:
            counted = (replies.input_tokens + 1) / (question.characters + 1)
            self._tokens_per_character += 0.2 * (counted - self._tokens_per_character)
        said = sum(len(choice.content) for choice in replies.choices)
        return self.cost(
            0,
            replies.input_tokens
            if replies.input_tokens is not None
            else int(question.characters * self._tokens_per_character),
            replies.output_tokens if replies.output_tokens is not None else said // 3 + 1,
        )

    async def judge(self, events: Sequence[Prepared], send: Send) -> Judged:
        """Ask about these events in one call (or in as many samples as it takes)."""
        tags = [new_tag() for _ in events]
        question = self.prompt.question(
            [(t, event.text) for t, event in zip(tags, events, strict=True)]
        )
        given: list[_Given] = []
        if self.uses_logprobs:
            if self.settings.prior_correction and self._prior is None:
                await self._measure_prior(send)
            given = [self._read(r, tags) for r in (await send(question, 1, False)).choices]
        wanted = 1 if given and self._is_clear(given[0]) else self.settings.samples
        while len(given) < wanted:
            got = (await send(question, wanted - len(given), True)).choices
            if not got:
                break
            given += [self._read(reply, tags) for reply in got]
        return self._judged([event.event_id for event in events], tags, given)

    def read(
        self, event_ids: Sequence[bytes], tags: Sequence[str], replies: Sequence[Reply]
    ) -> Judged:
        """Turn all replies to one question into annotations and rejects."""
        return self._judged(event_ids, tags, [self._read(reply, tags) for reply in replies])

    async def _measure_prior(self, send: Send) -> None:
        """Ask about events without content, to see which classes are favored anyway.

        After Zhao et al. 2021, "Calibrate before use".
        """
        async with self._prior_lock:
            if self._prior is not None:
                return
            clear = []
            for nothing in ("N/A", "...", "unknown"):
                question = self.prompt.question([(new_tag(), nothing)])
                reply = (await send(question, 1, False)).choices[0]
                clear += [p for p in self._read(reply, question.tags).own.values() if p is not None]
            n = len(self.task.classes)
            self._prior = np.mean(clear, axis=0) if clear else np.full(n, 1 / n)

    def _read(self, reply: Reply, tags: Sequence[str]) -> "_Given":
        answers, reasons = read_answers(reply.content, tags, self.task)
        own: dict[str, npt.NDArray[np.float64] | None] = {}
        for tag, answer in answers.items():
            p = None
            if reply.tokens is not None:
                p = class_probabilities(reply.tokens, answer.position, self.task.class_names)
            if p is not None and self._prior is not None:
                p = p / self._prior
                p /= p.sum()
            own[tag] = p
        return _Given(answers, reasons, own)

    def _is_clear(self, given: "_Given") -> bool:
        """Tell whether a reply has the probabilities of all that it answers."""
        clear = all(p is not None for p in given.own.values())
        if not clear:
            self._vague += 1
            if self._vague >= _MAX_VAGUE:
                self.uses_logprobs = False
        return clear

    def _judged(
        self, event_ids: Sequence[bytes], tags: Sequence[str], given: list["_Given"]
    ) -> Judged:
        annotations: list[Annotation] = []
        rejects: list[tuple[bytes, str]] = []
        for tag, event_id in zip(tags, event_ids, strict=True):
            answers = [one.answers[tag] for one in given if tag in one.answers]
            if not answers:
                reasons = [one.reasons[tag] for one in given if tag in one.reasons]
                rejects.append((event_id, reasons[-1] if reasons else "no answer"))
                continue
            p = given[0].own.get(tag) if len(given) == 1 else None
            if p is None:
                p = sample_probabilities([a.label for a in answers], len(self.task.classes))
            annotations.append(
                Annotation(
                    event_id,
                    tuple(p.tolist()),
                    float(p.max()),
                    answers[0].why,
                    created_s=int(time.time()),
                )
            )
        return Judged(annotations, rejects)

    def annotate(self, events: Dataset) -> list[Annotation | None]:
        """Ask about every event, without a store; `label_events` keeps and never asks twice."""
        from buckler.teachers.llm.paid_run import PaidRun

        found: dict[bytes, Annotation] = {}

        def keep(outcomes: Sequence["Outcome"]) -> None:
            found.update((o.event_id, o) for outcome in outcomes for o in outcome.annotations)

        asyncio.run(PaidRun(self, keep).ask(self.prepare(events)))
        return [found.get(i) for i in events.ids]
