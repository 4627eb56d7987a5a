"""Adapts a bundle to a stream of one's own: asks a teacher, learns, measures, and writes a bundle.

It joins the label store, teachers and `buckler.training.adaptation`. Answers are kept in the label
store as they come, so a stopped run resumes and asks nothing twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from buckler.bundle.archive import WEIGHTS, Bundle, parse_tensors
from buckler.bundle.writer import pack, write_bundle
from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.files import write_atomically
from buckler.operating_point import OperatingPoint
from buckler.pipeline.adaptation_report import AdaptationResult, write_adaptation_report
from buckler.pipeline.own_events import (
    AdaptOptions,
    Answers,
    ask_teacher,
    assume_benign,
    read_own_events,
)
from buckler.readers.quarantine import Quarantine
from buckler.runtime import Scorer, load
from buckler.runtime.scorer import load_with_content
from buckler.students import Export
from buckler.students.ngram import NgramStudent
from buckler.tasks import Task, get_bundle_task, get_task
from buckler.teachers.labeling import Progress
from buckler.teachers.teacher import Teacher
from buckler.training.adaptation import (
    AdaptedStudent,
    OwnEvents,
    OwnFigures,
    adapt_student,
    own_figures,
)
from buckler.training.fit import FittedStudent
from buckler.training.packaging import bundle_parts

_MAX_OTHERS = 20_000  # events without a label on which the threshold rests


def adapt(
    start: str | Path,
    events: Sequence[Path],
    output: Path,
    teacher: Teacher | None = None,
    options: AdaptOptions = AdaptOptions(),  # noqa: B008 - frozen
    *,
    on_step: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> AdaptationResult:
    """Adapt a bundle to own events, and write the adapted bundle.

    Parameters
    ----------
    start
        Bundle to start from, or the name of a ready-made one; a task file (TOML) starts from
        nothing.
    events
        Files or folders of own events, without labels.
    output
        Bundle to write. Where the start is as good on own events, it is written unchanged.
    teacher
        Teacher to ask about some of the events.
    options
        Number of events to ask about, budget, label store, threshold and columns.
    on_step, on_progress
        Called with the name of each step, and with events asked and dollars so far.

    Raises
    ------
    SettingsError
        If nothing gives labels, or the bundle cannot be adapted.
    InputError
        If events cannot be read, or too few have an answer.

    Examples
    --------
    >>> result = adapt("email.buckler", [Path("my-mail")], Path("mine.buckler"),
    ...                get_teacher("chat", Path("chat.toml"), task))  # doctest: +SKIP
    >>> result.before.auroc.value, result.after.auroc.value  # doctest: +SKIP
    (0.58, 0.87)
    """
    options.check(teacher)
    scorer, content = None, None
    if str(start).endswith(".toml"):
        task = get_task(options.task or start)
    else:
        scorer, content = load_with_content(start)
        task = get_bundle_task(scorer.manifest, options.task)
    student = start_student(task, content)
    task = task_to_adapt(task, content)
    on_step("reading")
    with Quarantine() as quarantine:
        read, test = read_own_events(events, task, options, quarantine)
        unreadable = quarantine.summary() if quarantine.count else ""
    on_step("gathering answers")
    if options.benign_except is None:
        answers = gather_answers(student, read, teacher, options, on_progress)
    elif scorer is None:
        raise SettingsError("an ordinary stream alone teaches nothing: start from a bundle")
    else:
        probabilities = scorer.score(read.raw).probabilities
        answers = assume_benign(read, probabilities, options.benign_except)
    on_step("adapting")
    own = own_events(answers, options)
    before = None if scorer is None else figures_on(own.measured, scorer)
    adapted = adapt_student(student, own, before, target_fpr=options.target_fpr, seed=options.seed)
    result = AdaptationResult(
        bundle=output,
        is_better=adapted.is_better,
        before=adapted.before,
        after=adapted.after,
        test_before=None if test is None or scorer is None else figures_on(test, scorer),
        test_after=None,
        n_stream=len(read),
        n_labeled=len(own.labeled),
        n_measured=int(own.sampled.sum()),
        n_test=0 if test is None else len(test),
        answered_by=answers.answered_by,
        cost_usd=answers.cost_usd,
        total_usd=answers.total_usd,
        stopped=answers.stopped,
        quarantine=unreadable,
    )
    on_step("writing")
    if content is not None and not result.is_better:
        write_atomically(output, pack(content.entries))
    else:
        _write(result, adapted, content, options)
    written = load(output)
    if test is not None:
        result = replace(result, test_after=figures_on(test, written))
    report = write_adaptation_report(result, adapted, written, test, options.report)
    return replace(result, report=report)


def figures_on(events: Dataset, scorer: Scorer) -> OwnFigures:
    """Return the figures of a bundle on labeled events, at its deployed threshold."""
    verdicts = scorer.score(events.raw)
    return own_figures(events, verdicts.probabilities, verdicts.detected)


def task_to_adapt(task: Task, content: Bundle | None) -> Task:
    """Return the task with the form in which the adapted student reads events.

    That is the form of the bundle. A start of features alone learns text too: it gets the wider
    form of the same features, if there is one.
    """
    if content is None:
        return task
    form = content.manifest
    task = replace(task, normalizer=form.normalizer, max_bytes=form.max_bytes)
    wider = None if form.settings.get("max_order") else task.text_normalizer.wider
    return replace(task, normalizer=wider) if wider else task


def start_student(task: Task, content: Bundle | None) -> NgramStudent:
    """Return the student of a verified bundle, or one whose weights are zero.

    Raises
    ------
    SettingsError
        If the student is of a kind that cannot be adapted.
    """
    if task.features:
        raise SettingsError("rows of features cannot be adapted to yet: only texts can")
    if content is None:
        return NgramStudent.with_zeros(len(task.classes))
    manifest = content.manifest
    tensors = parse_tensors(content.weights.get(WEIGHTS)) if manifest.model == "ngram" else {}
    if not tensors or "head" in tensors:
        raise SettingsError(
            f"{manifest.name}: only students of family ngram without a hidden layer can be "
            f"adapted, and this is {manifest.family}",
            field="start",
        )
    return NgramStudent.from_export(Export(manifest.model, dict(manifest.settings), tensors), task)


def gather_answers(
    student: NgramStudent,
    events: Dataset,
    teacher: Teacher | None,
    options: AdaptOptions,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Answers:
    """Return a stream with the answers of a teacher, or with the labels of its files alone."""
    if teacher is not None:
        return ask_teacher(student, events, teacher, options, on_progress)
    if not (events.labels >= 0).any():
        raise SettingsError(
            "a stream alone teaches nothing: start from a bundle, or give labels", field="start"
        )
    return Answers(events, events.labels >= 0, "labels of files")


def own_events(answers: Answers, options: AdaptOptions) -> OwnEvents:
    """Return the labeled events of a stream, and the others on which the threshold rests."""
    events = answers.events
    labeled = np.flatnonzero(events.labels >= 0)
    others = np.flatnonzero(events.labels < 0)
    if options.benign_except is not None:
        others = others[:0]  # no answer tells how likely they are positive
    if len(others) > _MAX_OTHERS:
        rng = np.random.default_rng(options.seed)
        others = np.sort(rng.permutation(others)[:_MAX_OTHERS])
    return OwnEvents(events.take(labeled), answers.sampled[labeled], events.take(others))


def _write(
    result: AdaptationResult,
    adapted: AdaptedStudent,
    content: Bundle | None,
    options: AdaptOptions,
) -> None:
    """Write the bundle, with what it rests on."""
    own = result.n_labeled, result.n_measured
    provenance: dict[str, object] = {
        "adapted_from": "nothing" if content is None else content.manifest.name,
        "adapted_from_sha256": "" if content is None else content.sha256,
        "own_events": f"{result.n_stream:,}, of which {own[0]:,} are labeled",
        "answered_by": result.answered_by,
        "cost_usd": round(result.total_usd, 4),
        "measured_on": f"{own[1]:,} own events that stand for the stream, unseen",
        "before": "-" if result.before is None else str(result.before),
        "after": str(result.after),
    }
    write_adapted(result.bundle, adapted.fitted, content, options.target_fpr, provenance)


def write_adapted(
    path: Path,
    fitted: FittedStudent,
    content: Bundle | None,
    target_fpr: float,
    provenance: Mapping[str, object],
) -> None:
    """Write the bundle of an adapted student; further questions of the start stay in it."""
    point = OperatingPoint(fpr=target_fpr)
    parts = bundle_parts(path.stem, fitted, operating_point=point, provenance=provenance)
    manifest, files = parts.manifest, dict(parts.files)
    if content is not None:
        manifest = replace(manifest, auxiliary=content.manifest.auxiliary)
        files |= content.auxiliary
    write_bundle(path, manifest, files)
