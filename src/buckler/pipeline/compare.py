"""Puts the student beside labels only, teachers and an upper bound: figures, speed and price."""

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.attacks import get_attacks
from buckler.bundle.archive import Bundle
from buckler.bundle.writer import pack
from buckler.dataset import Dataset
from buckler.evaluation.agreement_bound import bound_agreement
from buckler.evaluation.evaluation import (
    Evaluation,
    Predictions,
    evaluate_predictions,
    slice_values,
)
from buckler.evaluation.intervals import Estimate
from buckler.evaluation.report import ReportTable, figure_name, without_nan
from buckler.evaluation.robustness import Robustness
from buckler.files import write_atomically
from buckler.labels import Annotator, LabelStore, open_existing
from buckler.labels.ledger import Ledger
from buckler.pipeline.agree import likeliest_class
from buckler.pipeline.evaluate import assess_scorer
from buckler.pipeline.fit_stages import FitLabelsOnly, FitNotAugmented, FitUpperBound
from buckler.pipeline.prepare import Sources, TrainingAndTest
from buckler.pipeline.recipe import Recipe
from buckler.pipeline.stages import Result, StageRunner
from buckler.runtime import Scorer
from buckler.training.augmentation import attack_scorers
from buckler.training.noise import Noise
from buckler.training.promotion import PairedComparison, compare_bundles

LABELS_ONLY, STUDENT, UPPER_BOUND = "labels only", "this bundle", "upper bound: more true labels"
MIN_BOUNDED = 100  # annotated test rows, for a bound on the agreement
MIN_ANNOTATED = 0.9  # share of the test rows, for an annotator to stand in the table
_CAPTION = (
    "The same test rows for all; 95 % intervals. The speed of a bundle is that of one thread, "
    "the speed of a teacher that of its run."
)
_SINGLE = 300
_MIN_SECONDS = 0.3
_MIN_ROWS = 20_000


@dataclass(frozen=True)
class Contender:
    """A row of the comparison: a bundle or an annotator on the test rows.

    Attributes
    ----------
    name
        Name in the table.
    figures
        Name -> estimate on the test rows.
    parameters, size_bytes, events_per_second, usd_per_million, event_us
        None where unknown; the last is the median time of a single event.
    """

    name: str
    figures: dict[str, Estimate]
    parameters: int | None = None
    size_bytes: int | None = None
    events_per_second: float | None = None
    usd_per_million: float | None = None
    event_us: float | None = None


def measure_bundle(
    name: str,
    bundle: Bundle,
    test: Dataset,
    n_resamples: int,
    assessment: Evaluation | None = None,
) -> Contender:
    """Assess a bundle where that is not done yet, and time it: one thread, texts to verdicts."""
    scorer = Scorer(bundle)
    assessment = assessment or assess_scorer(scorer, test, n_resamples=n_resamples)
    column = test.raw
    # Texts that are parsed first take long enough by themselves.
    while len(column) < _MIN_ROWS and not scorer.parses_texts:
        column = pa.chunked_array([*column.chunks, *column.chunks])
    rounds, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < _MIN_SECONDS:
        scorer.score(column)
        rounds += 1
    parameters = scorer.manifest.provenance.get("parameters")
    return Contender(
        name,
        assessment.figures,
        parameters if isinstance(parameters, int) else None,
        len(pack(bundle.entries)),
        rounds * len(column) / seconds,
        0.0,
        _median_us(scorer, test.take(np.arange(min(_SINGLE, len(test)))).raw_texts),
    )


def _median_us(scorer: Scorer, texts: list[bytes]) -> float:
    """Return the median time of one event, in microseconds."""
    times = []
    for text in texts:
        started = time.perf_counter_ns()
        scorer.score_of(text)
        times.append(time.perf_counter_ns() - started)
    return float(np.median(times)) / 1000


def read_annotations(store: LabelStore, test: Dataset) -> dict[Annotator, npt.NDArray[np.float32]]:
    """Return what each annotator, people aside, says of events: float32 [n, classes], or NaN."""
    row_of = {event_id: row for row, event_id in enumerate(test.ids)}
    nothing = np.full((len(test), len(test.task.classes)), np.nan, np.float32)
    found: dict[int, npt.NDArray[np.float32]] = defaultdict(nothing.copy)
    for batch in store.annotations(test.task):
        for event_id, annotator, p in zip(
            batch.event_ids, batch.annotators.tolist(), batch.probabilities, strict=True
        ):
            if event_id in row_of:
                found[annotator][row_of[event_id]] = p
    annotators = store.annotators()
    return {
        who: found[key] for key, who in annotators.items() if who.kind != "human" and key in found
    }


def measure_annotators(
    store: LabelStore, test: Dataset, speeds: dict[str, float], n_resamples: int
) -> list[Contender]:
    """Measure every annotator, people aside, that has annotated nearly all test rows.

    Parameters
    ----------
    speeds
        Annotations a second by the annotator's name and version.
    """
    found = []
    for who, p in read_annotations(store, test).items():
        annotated = np.isfinite(p).all(axis=1)
        if annotated.mean() < MIN_ANNOTATED:
            continue
        rows = np.flatnonzero(annotated)
        assessment = _assess(p[rows], test.take(rows), n_resamples)
        spent = Ledger(store, test.task, who).spent()
        price = 1e6 * spent.cost_usd / spent.annotations if spent.annotations else None
        found.append(
            Contender(
                f"teacher: {who}",
                assessment.figures,
                events_per_second=speeds.get(str(who)),
                usd_per_million=price,
            )
        )
    return found


def bound_agreements(store: LabelStore, test: Dataset, scorer: Scorer) -> list[str]:
    """Return a sentence on how far a bundle agrees with each annotator of test rows.

    The bundle has learned nothing of these annotations. `buckler.pipeline.agree` bounds the
    agreement on further events.
    """
    sentences = []
    for who, p in read_annotations(store, test).items():
        rows = np.flatnonzero(np.isfinite(p).all(axis=1))
        if len(rows) < MIN_BOUNDED:
            continue
        events, answers = test.take(rows), [likeliest_class(one) for one in p[rows].tolist()]
        bound = bound_agreement(
            scorer.score(events.raw).probabilities,
            np.array(answers),
            events.group_codes(),
            scorer.classes,
        )
        sentences.append(
            f"Beside {who}, on {len(rows):,} test rows that it annotated: {bound.sentence()}"
        )
    return sentences


def _assess(p: npt.NDArray[np.float32], test: Dataset, n_resamples: int) -> Evaluation:
    task = test.task
    predictions = Predictions(
        p / np.maximum(p.sum(axis=1, keepdims=True), 1e-12),
        test.labels,
        test.group_codes(),
        classes=tuple(task.class_names),
        positive=tuple(task.positive_indices),
    )
    return evaluate_predictions(predictions, slices=slice_values(test), n_resamples=n_resamples)


def comparison(contenders: Sequence[Contender], assessment: Evaluation) -> ReportTable:
    """Return the table for the report."""
    positive = bool(assessment.positive)
    ranking = [n for n in assessment.figures if n.startswith("tpr@fpr=")] + ["auroc"]
    names = [*(ranking if positive else []), "accuracy"]
    heading = (
        "",
        *map(figure_name, names),
        "parameters",
        "bytes",
        "events/s",
        "one event, us",
        "USD per million",
    )
    rows = [
        (
            one.name,
            *(str(one.figures[name]) if name in one.figures else "-" for name in names),
            _number(one.parameters),
            _number(one.size_bytes),
            _number(one.events_per_second),
            "-" if one.event_us is None else f"{one.event_us:,.1f}",
            "-" if one.usd_per_million is None else f"{one.usd_per_million:,.2f}",
        )
        for one in contenders
    ]
    return ReportTable(heading, rows, _CAPTION)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


@dataclass(frozen=True)
class StudentComparison:
    """A student beside others.

    Attributes
    ----------
    contenders
        One for each bundle and annotator; none where the student stands alone.
    against_labels
        The student against one that learned from labels alone, paired; None where there is none.
    agreements
        Sentence on the agreement with each annotator of test rows.
    warning
        Sentence where a student of labels alone is clearly better; empty elsewhere.
    """

    contenders: Sequence[Contender] = ()
    against_labels: PairedComparison | None = None
    agreements: tuple[str, ...] = ()
    warning: str = ""


def compare_students(
    runner: StageRunner,
    recipe: Recipe,
    sources: Result[Sources],
    split: Result[TrainingAndTest],
    student: Bundle,
    assessment: Evaluation,
    speeds: dict[str, float],
) -> "StudentComparison":
    """Put the student beside others that learned from less, or from more true labels.

    The figures are written to ``comparison.json`` too.

    Parameters
    ----------
    runner, recipe, sources, split
        The run so far.
    student, assessment
        Bundle of the student, and its assessment on the test rows.
    speeds
        Annotations a second by annotator.
    """
    bound = recipe.compare.upper_bound
    test, n_resamples = split.output.test, recipe.evaluation.resamples
    spec = replace(recipe.student.spec, noise=Noise.NONE)
    bundles = {STUDENT: student}
    plain = FitLabelsOnly(sources, split, spec)
    if len(np.unique(plain.events().labels)) > 1:
        bundles = {LABELS_ONLY: runner.run(plain).output.assemble(), **bundles}
    if bound:
        bundles[UPPER_BOUND] = runner.run(FitUpperBound(sources, split, spec)).output.assemble()
    with runner.step("compare") as report:
        known = {STUDENT: assessment}
        contenders = [
            measure_bundle(name, bundle, test, n_resamples, known.get(name))
            for name, bundle in bundles.items()
        ]
        agreements: list[str] = []
        if recipe.labels is not None:
            with open_existing(recipe.labels.store) as store:
                teachers = measure_annotators(store, test, speeds, n_resamples)
                agreements = bound_agreements(store, test, Scorer(student))
            at = len(contenders) - bool(bound)  # the upper bound stands last
            contenders[at:at] = teachers
        figures = without_nan([asdict(one) for one in contenders])
        text = json.dumps(figures, indent=1, allow_nan=False)
        write_atomically(recipe.output / "comparison.json", text.encode() + b"\n")
        report.summary = {"contenders": len(contenders)}
        against = None
        if LABELS_ONLY in bundles:
            ours, labels_only = Scorer(student), Scorer(bundles[LABELS_ONLY])
            against = compare_bundles(labels_only, ours, "the test rows", test)
    warning = against.sentence() if against is not None and against.worse else ""
    return StudentComparison(contenders, against, tuple(agreements), warning)


def attack_students(
    runner: StageRunner,
    recipe: Recipe,
    sources: Result[Sources],
    split: Result[TrainingAndTest],
    student: Scorer,
) -> list[Robustness]:
    """Attack the student; if it learned from attacked copies, attack one that did not too."""
    task, spec = runner.task, recipe.student.spec
    scorers = {STUDENT: student}
    if recipe.augmentation is not None:
        stage = FitNotAugmented(sources, split, spec, recipe.evaluation.operating_point)
        scorers = {"not augmented": Scorer(runner.run(stage).output.assemble()), **scorers}
    with runner.step("attack") as report:
        report.summary = {"models": len(scorers)}
        attacks = get_attacks(recipe.evaluation.attacks, task.medium)
        return attack_scorers(scorers, split.output.test, attacks, seed=spec.seed)
