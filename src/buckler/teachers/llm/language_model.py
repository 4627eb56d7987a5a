"""The teacher that asks a language model, whatever server the model runs on."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.labels import Annotation, Annotator
from buckler.labels.ledger import CallResult
from buckler.tasks import Task
from buckler.teachers.budget import Account, Budget, Spending
from buckler.teachers.llm.answers import (
    Answer,
    class_probabilities,
    read_answers,
    sample_probabilities,
)
from buckler.teachers.llm.client import Choice, ModelClient
from buckler.teachers.llm.fence import new_tag, truncate, without_hidden
from buckler.teachers.llm.few_shot import choose_examples
from buckler.teachers.llm.injection import FLAG, detect_injection
from buckler.teachers.llm.model_settings import ModelSettings
from buckler.teachers.llm.prompt import ANSWER_TOKENS, REASON_TOKENS, Example, Prompt
from buckler.teachers.llm.redaction import redact
from buckler.teachers.llm.runner import MeteredClient, ModelCall, Runner
from buckler.teachers.teacher import (
    BATCH_ROWS,
    Estimate,
    Job,
    Teacher,
    read_teacher_settings,
)

_MAX_CLAIMED = 1000  # events at once
_MAX_UNCLEAR = 20  # replies without class probabilities, before samples are drawn at once

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PromptEvent:
    """An event as a prompt shows it.

    Attributes
    ----------
    event_id, raw
        Id and text as in the dataset.
    text
        Without hidden characters, redacted, cut to size; not yet fenced.
    injection
        Finding of the injection detector.
    originals
        Placeholder -> the redacted text.
    """

    event_id: bytes
    raw: bytes
    text: str
    injection: str | None = None
    originals: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reading:
    """One choice, read: answers, reasons for missing ones, and class probabilities, by tag."""

    answers: dict[str, Answer]
    reasons: dict[str, str]
    probabilities: dict[str, Floats | None]


class LanguageModelTeacher(Teacher):
    """Asks a language model about one or several events per call.

    Parameters
    ----------
    settings
        An instance of `settings_type`.

    Attributes
    ----------
    settings_type, client_type
        Settings in its file; client that is made from them.
    client, settings
        Connection to the model, and settings of the user.
    redacts
        True if secrets and personal data are replaced before an event is sent.
    prompt
        Maker of requests.
    prior
        Probabilities that the model gives to events without content; None until measured.
    """

    is_paid = True
    settings_type: type[ModelSettings]
    client_type: Callable[..., ModelClient]

    def __init__(self, task: Task, settings: ModelSettings) -> None:
        client = type(self).client_type(settings)
        self.task, self.client, self.settings = task, client, settings
        self.redacts = client.hosted if settings.redact is None else settings.redact
        examples = []
        if settings.few_shot:
            if settings.examples is None:
                raise SettingsError("few_shot needs `examples`, a labeled file to choose from")
            examples = [
                Example(self.prompt_text(self.task.readable(example.text))[0], example.label)
                for example in choose_examples(settings.examples, task, settings.few_shot)
            ]
        self.prompt = Prompt(task, rationale=settings.rationale, examples=examples)
        facts = [
            self.prompt.digest,
            settings.samples,
            settings.temperature,
            settings.events_per_call,
            settings.max_characters,
            self.redacts,
            settings.prior_correction,
            *client.version_facts,
            *([] if settings.max_tokens is None else [settings.max_tokens]),
        ]
        version = sha256(json.dumps(facts, default=str).encode()).hexdigest()[:12]
        self.annotator = Annotator(client.name, version, "llm")
        self.prior: Floats | None = None
        self._prior_lock = asyncio.Lock()
        self._n_unclear = 0

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> Self:
        """Read the settings from TOML."""
        return cls(task, read_teacher_settings(path, cls.kind, cls.settings_type))

    # --- labeling -----------------------------------------------------------------------------

    def annotate(self, events: Dataset) -> list[Annotation | None]:
        """Ask about every event, without a store; a labeling job never asks twice."""
        found: dict[bytes, Annotation] = {}

        def keep(results: Sequence[CallResult]) -> None:
            found.update((a.event_id, a) for result in results for a in result.annotations)

        Runner(self.client, self.settings, keep).run(self.calls(self.prepare(events)))
        return [found.get(event_id) for event_id in events.ids]

    def label(self, events: Dataset, job: Job) -> Account:
        """Ask about every event within the budget; every result is stored as it comes."""
        runner = Runner(
            self.client,
            self.settings,
            job.keep,
            job.budget,
            lambda account: job.report(account.spent.events, account),
        )
        return runner.run(self.calls(self.claim(self.prepare(events), job)))

    def claim(self, events: Iterator[PromptEvent], job: Job) -> Iterator[PromptEvent]:
        """Yield the events that no other job asks about, claimed shortly before they are."""
        at_once = min(self.settings.concurrency * self.settings.events_per_call, _MAX_CLAIMED)
        while group := list(islice(events, at_once)):
            mine = job.claim([event.event_id for event in group])
            yield from (event for event in group if event.event_id in mine)

    def estimate(self, events: Dataset) -> Estimate:
        """Return the expected calls and spending, without asking anything."""
        spending, n_calls = Spending(), 0
        for call in self.calls(self.prepare(events)):
            spending += call.estimate
            n_calls += 1 if self.client.has_probabilities else self.settings.samples
        return Estimate(
            n_calls,
            spending,
            is_priced=self.client.meter.price is not None,
            is_hosted=self.client.hosted,
            is_redacted=self.redacts,
        )

    def check_budget(self, budget: Budget) -> None:
        """Raise SettingsError for a budget in dollars if the price is unknown."""
        if self.client.meter.price is None and budget.usd is not None:
            raise SettingsError(
                f"no price is known for {self.annotator.name!r}: a budget in USD needs "
                "`price = { input = ..., output = ... }` in the teacher's settings",
                field="price",
            )

    # --- events and calls ---------------------------------------------------------------------

    def prepare(self, events: Dataset) -> Iterator[PromptEvent]:
        """Make events ready to be shown."""
        for start in range(0, len(events), BATCH_ROWS):
            part = events.take(np.arange(start, min(start + BATCH_ROWS, len(events))))
            for event_id, raw in zip(part.ids, part.raw_texts, strict=True):
                readable = self.task.readable(raw)
                text, originals = self.prompt_text(readable)
                yield PromptEvent(event_id, raw, text, detect_injection(readable), originals)

    def prompt_text(self, readable: str) -> tuple[str, dict[str, str]]:
        """Return a text as the model may see it, and the originals of its placeholders."""
        text, originals = without_hidden(readable), dict[str, str]()
        if self.redacts:
            text, originals = redact(text)
        return truncate(text, self.settings.max_characters), originals

    def calls(self, events: Iterator[PromptEvent]) -> "Iterator[LabelCall]":
        """Yield calls about these events."""
        while group := list(islice(events, self.settings.events_per_call)):
            yield LabelCall(self, group, [new_tag() for _ in group])

    # --- replies ------------------------------------------------------------------------------

    async def measure_prior(self, client: MeteredClient) -> None:
        """Ask about events without content, to see the classes that the model favors anyway.

        After Zhao et al. 2021, "Calibrate before use".
        """
        async with self._prior_lock:
            if self.prior is not None:
                return
            found = []
            for text in ("N/A", "...", "unknown"):
                tag = new_tag()
                reply = await client.send(self.prompt.request([(tag, text)]))
                reading = self.read(reply.choices[0], [tag])
                found += [p for p in reading.probabilities.values() if p is not None]
            n = len(self.task.classes)
            self.prior = np.mean(found, axis=0) if found else np.full(n, 1 / n)

    def read(self, choice: Choice, tags: Sequence[str]) -> _Reading:
        """Read one choice of a reply."""
        answers, reasons = read_answers(choice.content, tags, self.task)
        if choice.problem is not None:
            reasons = dict.fromkeys(reasons, choice.problem)
        probabilities: dict[str, Floats | None] = {}
        for tag, answer in answers.items():
            p = None
            if choice.tokens is not None:
                p = class_probabilities(
                    choice.tokens, answer.position, self.task.class_names, choice.content
                )
            if p is not None and self.prior is not None:
                p = p / self.prior
                p /= p.sum()
            probabilities[tag] = p
        return _Reading(answers, reasons, probabilities)

    def is_clear(self, reading: _Reading) -> bool:
        """Tell whether a reading has the probabilities of all its answers."""
        clear = all(p is not None for p in reading.probabilities.values())
        if not clear:
            self._n_unclear += 1
            if self._n_unclear >= _MAX_UNCLEAR:
                self.client.has_probabilities = False
        return clear

    def merge(
        self, event_ids: Sequence[bytes], tags: Sequence[str], readings: list[_Reading]
    ) -> tuple[list[Annotation], list[tuple[bytes, str]]]:
        """Return annotations, and (event id, reason) of events without one."""
        annotations: list[Annotation] = []
        rejects: list[tuple[bytes, str]] = []
        for tag, event_id in zip(tags, event_ids, strict=True):
            answers = [one.answers[tag] for one in readings if tag in one.answers]
            if not answers:
                reasons = [one.reasons[tag] for one in readings if tag in one.reasons]
                rejects.append((event_id, reasons[-1] if reasons else "no answer"))
                continue
            p = readings[0].probabilities.get(tag) if len(readings) == 1 else None
            if p is None:
                p = sample_probabilities([a.label for a in answers], len(self.task.classes))
            now = int(time.time())
            annotations.append(
                Annotation(
                    event_id, tuple(p.tolist()), float(p.max()), answers[0].why, created_s=now
                )
            )
        return annotations, rejects


class LabelCall(ModelCall):
    """One call about some events."""

    def __init__(
        self, teacher: LanguageModelTeacher, events: list[PromptEvent], tags: list[str]
    ) -> None:
        self.teacher, self.events, self.tags = teacher, events, tags
        self.n_events = len(events)
        self.request = teacher.prompt.request(
            [(tag, event.text) for tag, event in zip(tags, events, strict=True)]
        )
        client, settings = teacher.client, teacher.settings
        n_answers = 1 if client.has_probabilities else settings.samples
        n_requests = 1 if client.shares_input else n_answers
        answer_tokens = ANSWER_TOKENS + (REASON_TOKENS if settings.rationale else 0)
        self.estimate = client.meter.spending(
            self.n_events,
            n_requests * (client.meter.estimate_tokens(self.request.characters) + 1),
            n_answers * self.n_events * answer_tokens,
        )

    @property
    def event_ids(self) -> list[bytes]:
        """Ids of the events."""
        return [event.event_id for event in self.events]

    async def perform(self, client: MeteredClient) -> CallResult:
        """Make one request, or as many samples as it takes."""
        teacher, readings = self.teacher, list[_Reading]()
        if teacher.client.has_probabilities:
            if teacher.settings.prior_correction and teacher.prior is None:
                await teacher.measure_prior(client)
            reply = await client.send(self.request)
            readings = [teacher.read(choice, self.tags) for choice in reply.choices]
        is_clear = bool(readings) and teacher.is_clear(readings[0])
        n_readings = 1 if is_clear else teacher.settings.samples
        while len(readings) < n_readings:
            reply = await client.send(self.request.with_samples(n_readings - len(readings)))
            if not reply.choices:
                break
            readings += [teacher.read(choice, self.tags) for choice in reply.choices]
        return event_result(self.events, *teacher.merge(self.event_ids, self.tags, readings))

    def fail(self, reason: str) -> CallResult:
        """Return a result in which every event is rejected."""
        return event_result(self.events, [], [(i, reason) for i in self.event_ids])

    def split(self, event_ids: set[bytes]) -> list[ModelCall]:
        """Return calls about these events one by one."""
        if len(self.events) == 1:
            return []
        chosen = [event for event in self.events if event.event_id in event_ids]
        return [LabelCall(self.teacher, [event], [new_tag()]) for event in chosen]


def event_result(
    events: Sequence[PromptEvent],
    annotations: Sequence[Annotation] = (),
    rejects: Sequence[tuple[bytes, str]] = (),
) -> CallResult:
    """Return a result with texts, flags and redactions of the events that a call showed."""
    return CallResult(
        annotations,
        rejects,
        texts={event.event_id: event.raw for event in events},
        flags=[(event.event_id, FLAG, event.injection) for event in events if event.injection],
        redactions={event.event_id: event.originals for event in events if event.originals},
    )
