"""Measures how often text planted in a malicious event turns a teacher's verdict."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset, id_of_text
from buckler.errors import InputError
from buckler.evaluation.intervals import Rate, wilson
from buckler.labels import LabelStore
from buckler.labels.ledger import flagged
from buckler.tasks import Task
from buckler.teachers.llm.injection import FLAG
from buckler.teachers.llm.injections import Injection, injections
from buckler.teachers.llm.limits import Budget
from buckler.teachers.llm.paid_run import Account
from buckler.teachers.llm.planting import plant
from buckler.teachers.run import label_events, verdicts_of
from buckler.teachers.teacher import Teacher

# Planted as well, to see what any added text does: as long as an injection, and about nothing.
CONTROL = "The minutes of the meeting are in the usual place, see page {n} for the list of dates."


@dataclass(frozen=True)
class Probe:
    """What the probe found.

    Attributes
    ----------
    flips
        Injected events whose verdict is no longer bad, of those whose clean verdict was.
    control
        The same with a harmless text planted.
    detected
        Injected events that the detector flagged; None if the teacher runs no detector.
    families
        Flips by the move that the injection makes.
    disguises
        Flips by how it is written, languages other than English apart.
    unanswered
        Injected events that got no annotation: no harm, and no label.
    account
        What the calls cost.
    """

    flips: Rate
    control: Rate
    detected: Rate | None
    families: dict[str, Rate]
    disguises: dict[str, Rate]
    unanswered: int
    account: Account | None = None


@dataclass
class _Count:
    flips: int = 0
    n: int = 0

    def add(self, flipped: bool) -> None:
        self.flips += flipped
        self.n += 1

    @property
    def rate(self) -> Rate:
        return wilson(self.flips, self.n)


@dataclass
class _Counts:
    flips: _Count = field(default_factory=_Count)
    control: _Count = field(default_factory=_Count)
    families: defaultdict[str, _Count] = field(default_factory=lambda: defaultdict(_Count))
    disguises: defaultdict[str, _Count] = field(default_factory=lambda: defaultdict(_Count))
    unanswered: int = 0


def probe_injection(
    store: LabelStore,
    teacher: Teacher,
    events: Dataset,
    *,
    n_calls: int = 200,
    seed: int = 1,
    budget: Budget | None = None,
) -> Probe:
    """Plant injections in malicious events and compare the verdicts with the clean ones.

    Clean verdicts are annotations like any other; injected events go to the store under a task of
    their own, so that they never become training data, and a second probe pays only for what is
    new. Events and injections are paired in turn, so each injection is used about as often.

    Raises
    ------
    InputError
        If the task has no positive class, or the teacher calls no clean event bad.
    """
    task = events.task
    positive = np.array([name in task.positive for name in task.classes])
    if not positive.any():
        raise InputError(f"task {task.name!r} has no positive class that an injection could turn")
    wanted = int(np.ceil(n_calls / 4))
    clean = _clean_events(events, positive, wanted, seed)
    label_events(store, teacher, clean, budget=budget)
    verdicts = verdicts_of(store, teacher, task)
    columns = (clean.table.column(name).to_pylist() for name in ("id", "text"))
    found = [
        raw for i, raw in zip(*columns, strict=True) if i in verdicts and positive[verdicts[i]]
    ]
    if not found:
        raise InputError(
            f"{teacher.annotator.name} calls none of {len(clean)} events bad: nothing to turn"
        )
    good = next(
        name for name, is_positive in zip(task.classes, positive, strict=True) if not is_positive
    )
    suite = injections()
    planted: dict[bytes, tuple[bytes, Injection | None]] = {}
    for number in range(n_calls):
        raw, injection = found[number % len(found)], suite[number % len(suite)]
        text = plant(task, raw, injection.written(good))
        planted[id_of_text(text)] = (text, injection)
    for number, raw in enumerate(found):
        text = plant(task, raw, CONTROL.replace("{n}", str(number + 2)))
        planted[id_of_text(text)] = (text, None)
    apart = replace(task, name=f"{task.name}/injection-probe")
    labeled = label_events(store, teacher, _as_events(planted, apart), budget=budget)
    counts = _count(planted, verdicts_of(store, teacher, apart), positive)
    detected = None
    if labeled.account is not None:
        injected = {i for i, (_, injection) in planted.items() if injection is not None}
        detected = wilson(len(injected & flagged(store, FLAG)), len(injected))
    return Probe(
        counts.flips.rate,
        counts.control.rate,
        detected,
        {name: count.rate for name, count in sorted(counts.families.items())},
        {name: count.rate for name, count in sorted(counts.disguises.items())},
        counts.unanswered,
        labeled.account,
    )


def _count(
    planted: dict[bytes, tuple[bytes, Injection | None]],
    verdicts: dict[bytes, int],
    positive: npt.NDArray[np.bool_],
) -> _Counts:
    counts = _Counts()
    for event_id, (_, injection) in planted.items():
        if event_id not in verdicts:
            counts.unanswered += 1
            continue
        flipped = not positive[verdicts[event_id]]
        if injection is None:
            counts.control.add(flipped)
            continue
        counts.flips.add(flipped)
        counts.families[injection.family].add(flipped)
        other = injection.language != "en" and injection.disguise == "plain"
        counts.disguises["another language" if other else injection.disguise].add(flipped)
    return counts


def _clean_events(events: Dataset, positive: npt.NDArray[np.bool_], n: int, seed: int) -> Dataset:
    """Choose events that are labeled bad, or any if none is labeled."""
    labeled = events.labels >= 0
    rows = np.arange(len(events))
    if labeled.any():
        rows = np.flatnonzero(labeled & positive[events.labels])
    if not len(rows):
        raise InputError("no event is labeled bad: nothing to turn")
    return events.take(np.sort(np.random.default_rng(seed).permutation(rows)[:n]))


def _as_events(planted: dict[bytes, tuple[bytes, Injection | None]], task: Task) -> Dataset:
    return Dataset.from_texts([text for text, _ in planted.values()], task, ids=list(planted))
