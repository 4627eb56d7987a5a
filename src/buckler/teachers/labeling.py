"""Labels a dataset: asks a teacher about each event once, and keeps every answer at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import InputError, SettingsError
from buckler.evaluation.agreement import cohens_kappa
from buckler.evaluation.intervals import UNKNOWN, Rate, rate
from buckler.evaluation.intervals import Estimate as Estimated
from buckler.evaluation.metrics import expected_calibration_error
from buckler.labels import Annotation, Annotator, LabelStore
from buckler.labels.ledger import Call, Ledger
from buckler.labels.withdrawal import withdrawn_annotators
from buckler.tasks import Task
from buckler.teachers.budget import Account, Budget
from buckler.teachers.teacher import Estimate, Job, Teacher

MAX_REJECTS = 2  # an event with so many unusable answers is not asked about again
MIN_COMPARED = 30
_NO_AGREEMENT = 0.01  # of kappa: as good as chance


@dataclass(frozen=True)
class Progress:
    """Progress of a labeling job.

    Attributes
    ----------
    done, total
        Events.
    account
        Calls and cost so far; None for a teacher that costs nothing.
    """

    done: int
    total: int
    account: Account | None


@dataclass(frozen=True)
class Agreement:
    """A comparison of annotations with the labels of the data.

    Attributes
    ----------
    n
        Events with both.
    accuracy
        Share of annotations that agree with the label.
    confidence, ece, log_loss
        Mean confidence, expected calibration error and log loss; None for few events.
    recall, false_positives
        Share of positive events, and of the others, that the teacher calls positive; None for few
        events, and where the data lack one of the two.
    most_common, most_common_share
        Most frequent label, and its share: the accuracy of always naming it.
    kappa
        Agreement beyond chance; NaN for few events, and where only one class occurs.
    """

    n: int
    accuracy: Rate
    confidence: float | None = None
    ece: float | None = None
    log_loss: float | None = None
    recall: Rate | None = None
    false_positives: Rate | None = None
    most_common: str = ""
    most_common_share: float = 0.0
    kappa: Estimated = UNKNOWN

    @property
    def warning(self) -> str:
        """Sentence on a teacher that says less than a constant; empty for any other."""
        if self.n < MIN_COMPARED:
            return ""
        is_chance = self.kappa.low <= _NO_AGREEMENT  # False for NaN
        if self.accuracy.high < self.most_common_share:
            text = (
                f"agrees on {self.accuracy.value:.0%}, worse than always saying "
                f"{self.most_common} ({self.most_common_share:.0%})"
            )
            if is_chance:
                return f"{text} and no better than chance: it is useless here"
            return f"{text}, though better than chance (kappa {self.kappa})"
        if is_chance:
            return (
                f"agrees on {self.accuracy.value:.0%}, no better than chance (kappa "
                f"{self.kappa}): it is useless here"
            )
        return ""


@dataclass(frozen=True)
class LabelReport:
    """Outcome of a labeling job.

    Attributes
    ----------
    events
        Distinct events in the dataset.
    known
        Events that the teacher had annotated before, in this version.
    given_up
        Events that are not asked about again because earlier answers were unusable.
    new
        New annotations.
    silent
        Events about which the teacher said nothing.
    elsewhere
        Events that another job of this teacher asked about at the same time.
    probabilities, labels
        Annotations of labeled events, also of earlier jobs, and these labels: float64
        [n, classes], int32 [n].
    agreement
        ReportTable of the two; None if no event has both.
    account
        Calls and cost of this job; None for a teacher that costs nothing.
    total
        Calls and cost of this teacher in all jobs on the task.
    """

    events: int
    known: int
    given_up: int
    new: int
    silent: int
    elsewhere: int
    probabilities: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int32]
    agreement: Agreement | None
    account: Account | None
    total: Call


@dataclass(frozen=True)
class LabelPlan:
    """Expected work of a labeling job.

    Attributes
    ----------
    events
        Events to ask about.
    known
        Events that the teacher has annotated before.
    estimate
        Calls and spending.
    """

    events: int
    known: int
    estimate: Estimate


def label(
    events: Dataset,
    teacher: Teacher,
    store: LabelStore | str | Path = "labels.db",
    *,
    budget: Budget | None = None,
    rng: np.random.Generator | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> LabelReport:
    """Ask a teacher about every event that it has not annotated before.

    The store keeps answers as they come: stop at any time, and the next job asks about the rest.
    A teacher that costs money is asked in random order: what a budget pays for is a sample of the
    events, not the beginning of a file.

    Parameters
    ----------
    store
        An open label store, or the file or URL of one.
    rng
        Generator of the random order; by default one with seed 0.

    Raises
    ------
    SettingsError
        If the budget is in dollars and no price is known.
    InputError
        If the teacher is withdrawn: nothing is paid for what does not count.
    BucklerError
        If the teacher cannot go on; earlier answers are stored.

    Examples
    --------
    >>> report = label(events, get_teacher("chat", Path("chat.toml"), task), "labels.db",
    ...                budget=Budget(usd=5))  # doctest: +SKIP
    >>> report.new, report.account.spent.cost_usd  # doctest: +SKIP
    (1000, 0.42)
    """
    budget = budget or Budget()
    teacher.check_budget(budget)
    if not isinstance(store, LabelStore):
        with LabelStore(store) as opened:
            return label(events, teacher, opened, budget=budget, rng=rng, on_progress=on_progress)
    if teacher.annotator in _withdrawn(store, events.task):
        raise InputError(
            f"{teacher.annotator.full_name} is withdrawn from task {events.task.name!r}: its "
            "annotations do not count; restore it first",
            field="annotator",
        )
    rows, n_known, n_given_up = _rows_to_ask(events, teacher, store)
    if teacher.is_paid:
        rows = (rng or np.random.default_rng(0)).permutation(rows)
    remaining = events.take(rows)
    ledger = Ledger(store, events.task, teacher.annotator)
    pairs = zip(events.ids, events.labels.tolist(), strict=True)
    label_of = {event_id: value for event_id, value in pairs if value >= 0}
    earlier = label_of.keys() - set(remaining.ids)
    compared = store.probabilities(events.task, teacher.annotator, earlier)
    n_new = 0

    def count(annotations: Sequence[Annotation]) -> None:
        nonlocal n_new
        n_new += len(annotations)
        compared.update(
            (a.event_id, a.probabilities) for a in annotations if a.event_id in label_of
        )

    def show(done: int, account: Account | None) -> None:
        on_progress(Progress(done, len(remaining), account))

    job = Job(ledger, budget, count, show)
    try:
        account = teacher.label(remaining, job)
    finally:
        ledger.release()
    n_classes = len(events.task.classes)
    probabilities = np.array(list(compared.values()), np.float64).reshape(-1, n_classes)
    labels = np.array([label_of[i] for i in compared], np.int32)
    group_of = dict(zip(events.ids, events.group_codes().tolist(), strict=True))
    groups = np.array([group_of[i] for i in compared], np.int64)
    return LabelReport(
        events=n_known + n_given_up + len(remaining),
        known=n_known,
        given_up=n_given_up,
        new=n_new,
        silent=len(remaining) - n_new - job.n_elsewhere,
        elsewhere=job.n_elsewhere,
        probabilities=probabilities,
        labels=labels,
        agreement=compare(probabilities, labels, groups, events.task) if len(labels) else None,
        account=account,
        total=ledger.spent(),
    )


def plan(events: Dataset, teacher: Teacher, store: LabelStore) -> LabelPlan:
    """Estimate the work and cost of a labeling job, without asking anything.

    Raises
    ------
    SettingsError
        If the teacher costs nothing.
    """
    if not teacher.is_paid:
        raise SettingsError(
            f"the teacher {teacher.kind!r} costs nothing: there is nothing to estimate"
        )
    rows, n_known, _ = _rows_to_ask(events, teacher, store)
    return LabelPlan(len(rows), n_known, teacher.estimate(events.take(rows)))


def find_annotations(store: LabelStore, teacher: Teacher, task: Task) -> dict[bytes, Annotation]:
    """Return event -> annotation of all annotations of a teacher, in this version."""
    annotators = store.annotators()
    found: dict[bytes, Annotation] = {}
    for batch in store.annotations(task):
        for row, annotator in enumerate(batch.annotators.tolist()):
            if annotators[annotator] == teacher.annotator:
                found[batch.event_ids[row]] = Annotation(
                    batch.event_ids[row],
                    tuple(batch.probabilities[row].tolist()),
                    float(batch.confidence[row]),
                    batch.rationales[row],
                    float(batch.cost_usd[row]),
                    int(batch.created_s[row]),
                )
    return found


def annotated_classes(store: LabelStore, teacher: Teacher, task: Task) -> dict[bytes, int]:
    """Return event -> class index of all annotations of a teacher, in this version."""
    found = find_annotations(store, teacher, task)
    return {i: int(np.argmax(annotation.probabilities)) for i, annotation in found.items()}


def compare(
    probabilities: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int32],
    groups: npt.NDArray[np.int64],
    task: Task,
) -> Agreement:
    """Compare annotations, float64 [n, classes], with labels [n]; intervals are by group [n]."""
    n, classes = len(labels), probabilities.argmax(axis=1)
    right = classes == labels
    accuracy = rate(right, groups)
    if n < MIN_COMPARED:
        return Agreement(n, accuracy)
    counts = np.bincount(labels, minlength=len(task.classes))
    kappa = cohens_kappa(classes.astype(np.int64), labels.astype(np.int64), len(task.classes)).kappa
    confidence = probabilities.max(axis=1)
    of_label = probabilities[np.arange(n), labels]
    recall = false_positives = None
    predicted = np.isin(classes, task.positive_indices)
    positive = np.isin(labels, task.positive_indices)
    if positive.any() and not positive.all():
        recall = rate(predicted[positive], groups[positive])
        false_positives = rate(predicted[~positive], groups[~positive])
    return Agreement(
        n,
        accuracy,
        confidence=float(confidence.mean()),
        ece=expected_calibration_error(confidence, right),
        log_loss=float(-np.log(np.maximum(of_label, 1e-12)).mean()),
        recall=recall,
        false_positives=false_positives,
        most_common=task.class_names[int(counts.argmax())],
        most_common_share=float(counts.max() / n),
        kappa=kappa,
    )


def _withdrawn(store: LabelStore, task: Task) -> list[Annotator]:
    annotators = store.annotators()
    return [annotators[key] for key in withdrawn_annotators(store, task)]


def _rows_to_ask(
    events: Dataset, teacher: Teacher, store: LabelStore
) -> tuple[npt.NDArray[np.intp], int, int]:
    """Return the rows to ask about, and the numbers of known and of given-up events."""
    first = {event_id: row for row, event_id in reversed(list(enumerate(events.ids)))}
    known = store.find_known(events.task, teacher.annotator, first)
    ledger = Ledger(store, events.task, teacher.annotator)
    given_up = (ledger.find_rejected(MAX_REJECTS) & first.keys()) - known
    rows = sorted(row for i, row in first.items() if i not in known and i not in given_up)
    return np.array(rows, np.intp), len(known), len(given_up)
