"""Asks a teacher about events, once for each, and keeps every answer at once."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.labels import Annotation, LabelStore
from buckler.labels.ledger import Ledger, add_flags, add_redactions
from buckler.tasks import Task
from buckler.teachers.ensemble import Ensemble
from buckler.teachers.llm.anthropic import AnthropicTeacher
from buckler.teachers.llm.batch_run import BatchRun
from buckler.teachers.llm.injection import FLAG
from buckler.teachers.llm.language_model import LanguageModelTeacher, Prepared
from buckler.teachers.llm.limits import Budget, Spending
from buckler.teachers.llm.paid_run import Account, Outcome, PaidRun
from buckler.teachers.teacher import Teacher

BATCH_ROWS = 1000
MAX_REJECTS = 2  # an event with so many unusable answers is not asked about again


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    done, total
        Events.
    account
        Of a language model.
    who
        Name of the annotator: an ensemble's members speak one after the other.
    """

    done: int
    total: int
    account: Account | None
    who: str


@dataclass(frozen=True)
class Labeled:
    """What a labeling run did.

    Attributes
    ----------
    events
        Different events that were given.
    known
        Of these, already judged by this annotator in this version: not asked again.
    given_up
        Not asked again because answers were unusable before.
    new
        New annotations.
    silent
        Events of which the teacher said nothing.
    probabilities, labels
        New annotations of events that have a label of their own, to compare: float64 [n, classes]
        and int32 [n].
    account
        What a language model cost; None for other teachers.
    members
        Of an ensemble: its members' runs.
    """

    events: int
    known: int
    given_up: int
    new: int
    silent: int
    probabilities: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int32]
    account: Account | None = None
    members: dict[str, "Labeled"] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What a run would do, from a dry run."""

    events: int
    known: int
    calls: int
    estimate: Spending


def label_events(
    store: LabelStore,
    teacher: Teacher,
    events: Dataset,
    *,
    budget: Budget | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Labeled:
    """Ask a teacher about every event that it has not judged before.

    Answers are stored as they come: stop at any time, and the next run asks for the rest.
    """
    task = events.task
    members: dict[str, Labeled] = {}
    if isinstance(teacher, Ensemble):
        for member in teacher.members:
            name = f"{member.annotator.name} {member.annotator.version}".strip()
            members[name] = label_events(
                store, member, events, budget=budget, on_progress=on_progress
            )
        teacher.hear(store, task)
    rows, known, given_up = _unasked(store, teacher, events)
    todo = events.take(rows)
    heard = _Heard(task, todo)
    account: Account | None = None

    def report(done: int) -> None:
        if on_progress is not None:
            on_progress(Progress(done, len(todo), account, teacher.annotator.name))

    if isinstance(teacher, LanguageModelTeacher):
        keeper = _Keeper(store, teacher, task, heard)

        def advance(so_far: Account) -> None:
            nonlocal account
            account = so_far
            report(so_far.spent.events)

        account = _ask(teacher, keeper, todo, budget, advance)
    else:
        for start in range(0, len(todo), BATCH_ROWS):
            batch = todo.take(np.arange(start, min(start + BATCH_ROWS, len(todo))))
            said = [annotation for annotation in teacher.annotate(batch) if annotation is not None]
            heard.add(said)
            if said:
                _keep_texts(store, batch, {annotation.event_id for annotation in said})
                store.add(task, teacher.annotator, said)
            report(start + len(batch))
    return Labeled(
        events=known + given_up + len(todo),
        known=known,
        given_up=given_up,
        new=heard.count,
        silent=len(todo) - heard.count,
        probabilities=heard.probabilities(),
        labels=np.array(heard.labels, np.int32),
        account=account,
        members=members,
    )


def verdicts_of(store: LabelStore, teacher: Teacher, task: Task) -> dict[bytes, int]:
    """Return event -> class index of all that a teacher has said, in this version."""
    who = store.annotators()
    found: dict[bytes, int] = {}
    for batch in store.annotations(task):
        for row, annotator in enumerate(batch.annotators.tolist()):
            if who[annotator] == teacher.annotator:
                found[batch.event_ids[row]] = int(batch.probabilities[row].argmax())
    return found


def check_price(teacher: Teacher, budget: Budget) -> None:
    """Refuse a budget in dollars where a price is not known, an ensemble's members included.

    Raises
    ------
    SettingsError
        If so.
    """
    for member in teacher.members if isinstance(teacher, Ensemble) else [teacher]:
        unpriced = isinstance(member, LanguageModelTeacher) and member.price is None
        if unpriced and budget.usd is not None:
            raise SettingsError(
                f"no price is known for {member.annotator.name!r}: a budget in USD needs "
                "`price = { input = ..., output = ... }` in the teacher's settings"
            )


def plan_run(store: LabelStore, teacher: LanguageModelTeacher, events: Dataset) -> Plan:
    """Estimate what a run would cost, without asking anything."""
    rows, known, _ = _unasked(store, teacher, events)
    each = teacher.settings.events_per_call
    prepared = list(teacher.prepare(events.take(rows)))
    total = Spending()
    for start in range(0, len(prepared), each):
        total += teacher.estimate(prepared[start : start + each])
    samples = 1 if teacher.uses_logprobs else teacher.settings.samples
    return Plan(len(rows), known, -(-len(rows) // each) * samples, total)


def _unasked(
    store: LabelStore, teacher: Teacher, events: Dataset
) -> tuple[npt.NDArray[np.intp], int, int]:
    """Return the rows to ask about, how many events are known, and how many are given up."""
    ids = events.ids
    first = {event_id: row for row, event_id in reversed(list(enumerate(ids)))}
    known = store.known(events.task, teacher.annotator, first)
    given_up: set[bytes] = set()
    if isinstance(teacher, LanguageModelTeacher):
        given_up = (
            Ledger(store, events.task, teacher.annotator).rejected(MAX_REJECTS) & first.keys()
        )
        given_up -= known
    rows = sorted(row for i, row in first.items() if i not in known and i not in given_up)
    return np.array(rows, np.intp), len(known), len(given_up)


def _ask(
    teacher: LanguageModelTeacher,
    keeper: "_Keeper",
    events: Dataset,
    budget: Budget | None,
    on_progress: Callable[[Account], None],
) -> Account:
    prepared = _by_parts(teacher, events)
    if isinstance(teacher, AnthropicTeacher) and teacher.settings.batches:
        batches = BatchRun(
            teacher,
            keeper.ledger,
            keeper.close_batch,
            keeper.keep_events,
            budget=budget,
            on_progress=on_progress,
        )
        return asyncio.run(batches.ask(prepared))
    run = PaidRun(teacher, keeper.keep, budget=budget, on_progress=on_progress)
    return asyncio.run(run.ask(prepared))


def _by_parts(teacher: LanguageModelTeacher, events: Dataset) -> Iterator[Prepared]:
    for start in range(0, len(events), BATCH_ROWS):
        rows = np.arange(start, min(start + BATCH_ROWS, len(events)))
        yield from teacher.prepare(events.take(rows))


class _Keeper:
    """Stores all that a call brought in one transaction."""

    def __init__(
        self, store: LabelStore, teacher: LanguageModelTeacher, task: Task, heard: "_Heard"
    ) -> None:
        self._store, self._task, self._heard = store, task, heard
        self._annotator = teacher.annotator
        self.ledger = Ledger(store, task, teacher.annotator)

    def keep(self, outcomes: list[Outcome]) -> None:
        """Store annotations, costs, rejects, and what was noticed about the events."""
        with self._store.transaction():
            self._keep(outcomes)
        for outcome in outcomes:
            self._heard.add(outcome.annotations)

    def close_batch(self, outcomes: list[Outcome], number: int) -> None:
        """Store outcomes and note that their batch is collected."""
        with self._store.transaction():
            self._keep(outcomes)
            self.ledger.close(number)
        for outcome in outcomes:
            self._heard.add(outcome.annotations)

    def keep_events(self, asked: Sequence[Prepared]) -> None:
        """Store events with what was noticed about them."""
        self._store.add_events([e.event_id for e in asked], [e.raw for e in asked])
        add_flags(self._store, [(e.event_id, FLAG, e.injection) for e in asked if e.injection])
        add_redactions(self._store, [(e.event_id, e.originals) for e in asked if e.originals])

    def _keep(self, outcomes: list[Outcome]) -> None:
        self.keep_events([event for outcome in outcomes for event in outcome.asked])
        annotations = [annotation for outcome in outcomes for annotation in outcome.annotations]
        if annotations:
            self._store.add(self._task, self._annotator, annotations)
        self.ledger.record_rejects(reject for outcome in outcomes for reject in outcome.rejects)
        self.ledger.record_calls(outcome.call for outcome in outcomes)


class _Heard:
    """New annotations, compared with the events' own labels."""

    def __init__(self, task: Task, events: Dataset) -> None:
        ids = events.ids
        self._label = {
            i: label for i, label in zip(ids, events.labels.tolist(), strict=True) if label >= 0
        }
        self._n_classes = len(task.classes)
        self._rows: list[tuple[float, ...]] = []
        self.labels: list[int] = []
        self.count = 0

    def add(self, annotations: Sequence[Annotation]) -> None:
        self.count += len(annotations)
        for annotation in annotations:
            if annotation.event_id in self._label:
                self._rows.append(annotation.probabilities)
                self.labels.append(self._label[annotation.event_id])

    def probabilities(self) -> npt.NDArray[np.float64]:
        return np.array(self._rows, np.float64).reshape(-1, self._n_classes)


def _keep_texts(store: LabelStore, events: Dataset, ids: set[bytes]) -> None:
    columns = (events.table.column(name).to_pylist() for name in ("id", "text"))
    spoken = [(i, text) for i, text in zip(*columns, strict=True) if i in ids]
    store.add_events([i for i, _ in spoken], [text for _, text in spoken])
