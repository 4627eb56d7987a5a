"""Measures how far a bundle may answer in place of its teacher, on held-out annotations.

It asks the teacher about events that it has not annotated, finds the least probability of an answer
under a bound on the agreement, and writes a report. `buckler.pipeline.escalate` uses the outcome.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

import buckler
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.splits import find_leaks
from buckler.errors import InputError
from buckler.evaluation.agreement_bound import AgreementBound, bound_agreement, is_answered
from buckler.evaluation.agreement_report import Disagreement, agreement_html
from buckler.evaluation.report import ReportFiles, without_nan
from buckler.files import harmless_cell, write_atomically
from buckler.labels import Annotation, LabelStore
from buckler.labels.ledger import Ledger
from buckler.readers.quarantine import Quarantine
from buckler.runtime import Scorer, load
from buckler.tasks import Task, get_bundle_task
from buckler.teachers.budget import Budget
from buckler.teachers.labeling import Progress, find_annotations, label
from buckler.teachers.teacher import Teacher

_MAX_SHOWN = 200  # disagreements on the page; the file holds all
_MAX_CHARACTERS = 300


@dataclass(frozen=True)
class AgreeOptions:
    """Options of `agree`; `escalate` uses store, budget, task and columns.

    Attributes
    ----------
    target
        Agreement that must hold on the events that the bundle answers.
    confidence
        Probability that it holds.
    per_class
        True asks for the agreement within each class.
    trained_on
        Training data: events like them are left out, as the bound holds for unseen events alone.
    store
        Label store that keeps the teacher's answers.
    budget
        Limits of the teacher in this run; None for none.
    usd_per_event
        Price of an answer, where the label store knows none.
    task
        Name of the task or its .toml file; by default the bundle's.
    columns, format
        Columns, and the format of every file.
    """

    target: float = 0.97
    confidence: float = 0.95
    per_class: bool = False
    trained_on: Sequence[Path] = ()
    store: str = "labels.db"
    budget: Budget | None = None
    usd_per_event: float | None = None
    task: str | None = None
    columns: ColumnNames = field(default_factory=ColumnNames)
    format: str | None = None


@dataclass(frozen=True)
class AgreementResult:
    """Outcome of `agree`.

    Attributes
    ----------
    bound
        Agreement, thresholds and shares.
    n_undecided
        Annotations that name no likeliest class; they agree with no answer.
    n_left_out
        Events that stand in the training data, or nearly do.
    n_unanswered
        Events without an annotation.
    usd_per_event
        Price of an answer of the teacher; 0 where it is not known.
    disagreements
        Events that the bundle answers and the teacher sees otherwise, the surest first.
    report
        Files that were written.
    """

    bound: AgreementBound
    n_undecided: int
    n_left_out: int
    n_unanswered: int
    usd_per_event: float
    disagreements: tuple[Disagreement, ...]
    report: ReportFiles

    @property
    def saving(self) -> str:
        """Calls and dollars saved, in a sentence."""
        saved = self.bound.answered.value if self.bound.agreement.n else 0.0
        return saving_sentence(1_000_000, round(1_000_000 * saved), self.usd_per_event)


def agree(
    bundle: Path | str,
    data: Sequence[Path],
    output: Path,
    teacher: Teacher,
    options: AgreeOptions = AgreeOptions(),
    *,
    on_step: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> AgreementResult:
    """Bound how far a bundle agrees with its teacher on events that it has not learned from.

    Parameters
    ----------
    bundle
        Bundle file, or the name of a ready-made bundle.
    data
        Files or folders of events that stand for those to come. The teacher is asked about those
        that it has not annotated.
    output
        Folder for ``agreement.json``, ``agreement.html`` and ``disagreements.csv``.
    teacher
        Teacher whose annotations count.
    options
        Target, confidence, label store and budget.
    on_step, on_progress
        Called with the name of each step, and with events asked and dollars so far.

    Raises
    ------
    SettingsError
        If an option makes no sense.
    InputError
        If events cannot be read, or none has an annotation.

    Examples
    --------
    >>> found = agree("mine.buckler", [Path("unseen.parquet")], Path("agreement"),
    ...               teacher)  # doctest: +SKIP
    >>> print(found.bound.sentence())  # doctest: +SKIP
    """
    budget = options.budget or Budget()
    teacher.check_budget(budget)
    scorer = load(bundle)
    task = get_bundle_task(scorer.manifest, options.task)
    on_step("reading")
    events, n_left_out = read_events(data, task, teacher, options), 0
    if options.trained_on:
        training = read_dataset(
            options.trained_on, task, options.columns, format_name=options.format, labeled=False
        )
        unseen = events.take(np.flatnonzero(~find_leaks(training, events).is_seen))
        n_left_out, events = len(events) - len(unseen), unseen
    on_step("asking")
    with LabelStore(options.store) as store:
        label(events, teacher, store, budget=budget, on_progress=on_progress)
        found = find_annotations(store, teacher, task)
        price = price_of(store, teacher, task, options)
    annotated = np.array([row for row, i in enumerate(events.ids) if i in found], np.intp)
    n_unanswered, events = len(events) - len(annotated), events.take(annotated)
    if not len(events):
        raise InputError("the teacher has annotated none of these events")
    on_step("measuring")
    answers = [found[i] for i in events.ids]
    classes = np.array([likeliest_class(one.probabilities) for one in answers], np.int64)
    probabilities = scorer.score(events.raw).probabilities
    bound = bound_agreement(
        probabilities,
        classes,
        events.group_codes(),
        scorer.classes,
        target=options.target,
        confidence=options.confidence,
        per_class=options.per_class,
    )
    disagreements = _disagreements(events, probabilities, answers, classes, bound)
    report = _write_report(output, scorer, teacher, bound, disagreements, price)
    return AgreementResult(
        bound=bound,
        n_undecided=int((classes < 0).sum()),
        n_left_out=n_left_out,
        n_unanswered=n_unanswered,
        usd_per_event=price,
        disagreements=disagreements,
        report=report,
    )


def read_events(
    data: Sequence[Path],
    task: Task,
    teacher: Teacher,
    options: AgreeOptions,
    quarantine: Quarantine | None = None,
) -> Dataset:
    """Return the events of files, each once, with the columns that the teacher reads."""
    given = options.columns
    columns = ColumnNames(given.text, group=given.group, keep=(*given.keep, *teacher.columns))
    return read_dataset(
        data, task, columns, format_name=options.format, labeled=False, quarantine=quarantine
    ).distinct()


def likeliest_class(probabilities: Sequence[float]) -> int:
    """Return the likeliest class; -1 where two are equally likely, as for dual use."""
    ranked = sorted(probabilities, reverse=True)
    if ranked[0] - ranked[1] < 1e-6:
        return -1
    return int(np.argmax(probabilities))


def price_of(store: LabelStore, teacher: Teacher, task: Task, options: AgreeOptions) -> float:
    """Return the dollars of an answer: as given, or the mean of all paid calls; 0 if unknown."""
    if options.usd_per_event is not None:
        return options.usd_per_event
    spent = Ledger(store, task, teacher.annotator).spent()
    return spent.cost_usd / spent.annotations if spent.annotations else 0.0


def saving_sentence(n_events: int, n_answered: int, usd_per_event: float) -> str:
    """Return calls and dollars with and without the bundle, in a sentence."""
    calls = f"Of {n_events:,} events, the bundle answers {n_answered:,}, the teacher the others"
    if not usd_per_event:
        return f"{calls}; the price of an answer is not known."
    return (
        f"{calls}: {usd_per_event * (n_events - n_answered):,.2f} in place of "
        f"{usd_per_event * n_events:,.2f} USD."
    )


def _disagreements(
    events: Dataset,
    probabilities: npt.NDArray[np.float32],
    answers: Sequence[Annotation],
    classes: npt.NDArray[np.int64],
    bound: AgreementBound,
) -> tuple[Disagreement, ...]:
    chosen, surest = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows = np.flatnonzero(is_answered(probabilities, bound.least) & (chosen != classes))
    names = events.task.class_names
    return tuple(
        Disagreement(
            event_id=events.ids[row].hex(),
            text=events.task.readable(events.raw_text(row)).encode("utf-8", "replace").decode(),
            by_bundle=names[chosen[row]],
            probability=float(surest[row]),
            by_teacher=names[classes[row]] if classes[row] >= 0 else "cannot tell",
            teacher_probability=max(answers[row].probabilities),
            rationale=answers[row].rationale or "",
        )
        for row in rows[np.argsort(-surest[rows], kind="stable")]
    )


def _write_report(
    output: Path,
    scorer: Scorer,
    teacher: Teacher,
    bound: AgreementBound,
    disagreements: tuple[Disagreement, ...],
    price: float,
) -> ReportFiles:
    document = {
        "buckler": buckler.__version__,
        "bundle": scorer.manifest.name,
        "bundle_sha256": scorer.sha256,
        "teacher": asdict(teacher.annotator),
        "usd_per_event": price,
        "sentence": bound.sentence(),
        **asdict(bound),
        "n_disagreements": len(disagreements),
    }
    names = [each.name for each in fields(Disagreement)]
    write_csv(output / "disagreements.csv", [vars(each) for each in disagreements], names)
    figures = json.dumps(without_nan(document), indent=1, allow_nan=False).encode() + b"\n"
    shown = [replace(each, text=each.text[:_MAX_CHARACTERS]) for each in disagreements[:_MAX_SHOWN]]
    title = f"{scorer.manifest.name} beside {teacher.annotator.name}"
    lead = saving_sentence(1_000_000, round(1_000_000 * bound.answered.value), price)
    return ReportFiles.write(
        output / "agreement", figures, lambda: agreement_html(title, lead, bound, shown)
    )


def write_csv(path: Path, rows: list[dict[str, object]], names: Sequence[str]) -> None:
    """Write rows as CSV of which no spreadsheet runs a cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: harmless_cell(value) for name, value in row.items()})
    write_atomically(path, text.getvalue().encode())
