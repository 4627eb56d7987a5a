"""Gathers a stream of own events and answers about some of them: files, a teacher, or neither.

A part of the events is drawn at random, so that figures on them hold for the stream. The others are
chosen where an answer teaches most. The label store keeps every answer: a later run asks about none
of these events again, and counts them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.splits import unlike
from buckler.errors import InputError, SettingsError
from buckler.evaluation.calibration import probabilities_of
from buckler.labels import LabelStore
from buckler.labels.merging import Merge
from buckler.readers.quarantine import Quarantine
from buckler.students.ngram import NgramStudent
from buckler.students.ngram_adaptation import NgramAdapter
from buckler.tasks import Task
from buckler.teachers.budget import Account, Budget
from buckler.teachers.labeling import Progress, label
from buckler.teachers.teacher import Teacher
from buckler.training.selection import SelectionMethod, choose_events
from buckler.training.targets import with_annotations

Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
_CANDIDATES = 5_000  # among which the next events are chosen
_MAX_ASSUMED = 1_000
_MIN_ROUND = 10
_LEAST_SHARE = 0.01  # of positive events in a stream that is taken for ordinary


@dataclass(frozen=True)
class AdaptOptions:
    """Options of `adapt`.

    Attributes
    ----------
    asks
        Number of events to ask the teacher about, those of earlier runs included.
    random_share
        Share of them that is drawn at random: the figures rest on these alone. The others are
        chosen, uncertain and diverse.
    labels
        Labeled files of own events, beside a teacher or in its place.
    benign_except
        Without a teacher: take the stream for ordinary, except for this share of its events, which
        are left out by the start's scores.
    store
        Label store that keeps the answers: a file, or a URL.
    budget
        Limits of this run; None for none.
    target_fpr
        False-positive rate on the own stream whose threshold is deployed.
    task
        Name or file of the task; by default the bundle's.
    test
        Labeled files of own events that are never learned: a second pair of figures rests on them.
    report
        Folder of the report; by default it lies beside the bundle, under the bundle's name.
    columns, format
        Columns, and the format of every file.
    seed
        Random seed.
    """

    asks: int = 300
    random_share: float = 1 / 3
    labels: Sequence[Path] = ()
    benign_except: float | None = None
    store: str = "labels.db"
    budget: Budget | None = None
    target_fpr: float = 0.01
    task: str | None = None
    test: Sequence[Path] = ()
    report: Path | None = None
    columns: ColumnNames = field(default_factory=ColumnNames)
    format: str | None = None
    seed: int = 0

    def check(self, teacher: Teacher | None) -> None:
        """Raise SettingsError where options make no sense."""
        if teacher is None and not self.labels and self.benign_except is None:
            raise SettingsError(
                "adapting needs answers: a teacher, labeled events, or a stream that may be taken "
                "for ordinary",
                field="teacher",
            )
        if teacher is not None and self.benign_except is not None:
            raise SettingsError(
                "with a teacher, nothing is assumed; leave one of the two out", field="teacher"
            )
        if self.asks < 1:
            raise SettingsError("at least one event must be asked about", field="asks")
        for name in ("random_share", "target_fpr", "benign_except"):
            value = getattr(self, name)
            if value is not None and not (0 <= value < 1 and (value or name == "benign_except")):
                raise SettingsError(f"{name} must lie between 0 and 1", field=name)


@dataclass(frozen=True)
class Answers:
    """The stream with the answers so far.

    Attributes
    ----------
    events
        Labeled events of files first, then the stream.
    sampled
        bool: events that stand for the stream.
    answered_by
        Source of the labels.
    cost_usd, total_usd, stopped
        See `AdaptationResult`.
    """

    events: Dataset
    sampled: Bools
    answered_by: str
    cost_usd: float = 0.0
    total_usd: float = 0.0
    stopped: str | None = None


def read_own_events(
    events: Sequence[Path], task: Task, options: AdaptOptions, quarantine: Quarantine
) -> tuple[Dataset, Dataset | None]:
    """Return the labeled events of files and then the stream, each event once; and the test.

    Events that share a group, a text or a near-duplicate with the test are left out.

    Raises
    ------
    InputError
        If a file cannot be read, or no labeled row has a label.
    """
    read = partial(
        read_dataset,
        task=task,
        columns=options.columns,
        format_name=options.format,
        quarantine=quarantine,
    )
    parts = []
    if options.labels:
        parts.append(read(options.labels).only_labeled())
        if not len(parts[0]):
            raise InputError("no row has a label; name the label column", field="label_column")
    if events:
        parts.append(read(events, labeled=False))
    if not parts:
        raise InputError("no events to adapt to", field="events")
    found = Dataset.concat(parts).distinct()
    if not options.test:
        return found, None
    test = read(options.test).only_labeled()
    if not len(test):
        raise InputError("no row of the test has a label", field="label_column")
    return found.take(unlike(found, test)), test


def ask_teacher(
    student: NgramStudent,
    events: Dataset,
    teacher: Teacher,
    options: AdaptOptions,
    on_progress: Callable[[Progress], None],
) -> Answers:
    """Ask about random events first, then in rounds about those that would teach most.

    Parameters
    ----------
    student
        Student that the choice of the first round rests on.
    events
        The stream; events with a label are not asked about.
    """
    budget = options.budget or Budget()
    teacher.check_budget(budget)
    from_files = events.labels >= 0
    order = _random_order(events, options.seed)
    order = order[~from_files[order]]
    n_random, reached = max(1, round(options.asks * options.random_share)), 0
    tried = from_files.copy()
    stopped: str | None = None
    with LabelStore(options.store) as store:
        known = _with_answers(events, store)
        tried |= (known.labels >= 0) | ~teacher.can_answer(events)
        while True:
            n_drawn = int((known.labels[order[:reached]] >= 0).sum())
            while n_drawn < n_random and reached < len(order) and tried[order[reached]]:
                n_drawn += int(known.labels[order[reached]] >= 0)
                reached += 1
            answered = (known.labels >= 0) & ~from_files
            n_asked = int(((tried & ~from_files) if teacher.is_paid else answered).sum())
            number = options.asks - n_asked
            if stopped or number <= 0:
                break
            if n_drawn < n_random and reached < len(order):
                rows = order[reached:][: min(number, n_random - n_drawn)]
                rows = rows[~tried[rows]]
            else:
                number = min(number, max(_MIN_ROUND, int(answered.sum()) // 2))
                rows = _choose(student, known, order[~tried[order]], number, options.seed)
            if not len(rows):
                break

            def show(now: Progress, before: int = n_asked) -> None:
                account = now.account and Account(spent=budget.spent)
                on_progress(Progress(before + now.done, options.asks, account))

            report = label(events.take(rows), teacher, store, budget=budget, on_progress=show)
            tried[rows] = True
            stopped = None if report.account is None else report.account.stopped
            known = _with_answers(events, store)
        sampled = from_files.copy()
        sampled[order[:reached]] = True
        total_usd = _cost_of(events, store)
    name = str(teacher.annotator)
    return Answers(known, sampled, name, budget.spent.cost_usd, total_usd, stopped)


def assume_benign(events: Dataset, probabilities: npt.NDArray[np.float32], share: float) -> Answers:
    """Label random events as ordinary, but for a share that scores highest; labels of files stay.

    Parameters
    ----------
    probabilities
        float32 [n, classes]: answers of the start.
    share
        Share of the stream that may be positive.

    Raises
    ------
    SettingsError
        If the task has no positive class.
    """
    positive = events.task.positive_indices
    if not positive:
        raise SettingsError(f"no class of task {events.task.name!r} is the ordinary one")
    scores, ordinary = probabilities[:, positive].sum(axis=1), probabilities.copy()
    ordinary[:, positive] = -1
    rows = np.flatnonzero(events.labels < 0)
    rows = rows[np.argsort(scores[rows], kind="stable")][: len(rows) - int(share * len(rows))]
    rows = rows[_random_order(events.take(rows), 0)[:_MAX_ASSUMED]]
    labels, targets = events.labels.copy(), events.targets.copy()
    labels[rows] = ordinary[rows].argmax(axis=1)
    targets[rows, labels[rows]] = 1 - max(share, _LEAST_SHARE)
    targets[rows[:, None], positive] = max(share, _LEAST_SHARE) / len(positive)
    known = events.with_labels(labels).with_targets(targets)
    return Answers(known, labels >= 0, f"taken for ordinary, except for {share:.0%}")


def _cost_of(events: Dataset, store: LabelStore) -> float:
    """Return the cost of all answers about these events in USD."""
    own = set(events.ids)
    return sum(
        float(cost)
        for batch in store.annotations(events.task)
        for event_id, cost in zip(batch.event_ids, batch.cost_usd, strict=True)
        if event_id in own
    )


def _with_answers(events: Dataset, store: LabelStore) -> Dataset:
    return with_annotations(events, store, Merge.MEAN, required=False)[0]


def _random_order(events: Dataset, seed: int) -> Rows:
    """Return the rows in an order that depends only on each event and the seed.

    So the first events stay the first when the stream grows, and a later run draws them again.
    """
    salt = seed.to_bytes(8, "little", signed=True)
    keys = [blake2b(event_id, digest_size=8, salt=salt).digest() for event_id in events.ids]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.intp)


def _choose(student: NgramStudent, known: Dataset, rows: Rows, number: int, seed: int) -> Rows:
    """Return which rows to ask about next, by a student that is adapted to the answers so far."""
    rows = rows[:_CANDIDATES]
    if not len(rows):
        return rows
    labeled = known.only_labeled()
    if len(labeled) >= _MIN_ROUND:
        adapter = NgramAdapter(student, labeled.texts)
        weights = labeled.weights.astype(np.float64)
        correction = adapter.fit(np.arange(len(labeled)), labeled.targets, weights)
        student = adapter.student(correction)
    candidates = known.take(rows)
    probabilities = probabilities_of(student.predict_logits(candidates.texts))
    chosen = choose_events(
        candidates, number, SelectionMethod.BADGE, probabilities=probabilities, seed=seed
    )
    return rows[chosen.rows]
