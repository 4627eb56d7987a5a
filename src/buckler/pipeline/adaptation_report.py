"""The outcome of an adaptation, and its report: what was asked and paid, before and after, errors.

The figures rest on own events that stand for the stream, each scored without learning from its
group, and on labeled events of a test where there are any.
"""

from dataclasses import dataclass
from pathlib import Path

from buckler.dataset import Dataset
from buckler.evaluation.evaluation import Predictions, evaluate_predictions
from buckler.evaluation.intervals import Estimate, Rate
from buckler.evaluation.report import (
    LearningPoint,
    ReportContext,
    ReportFiles,
    ReportTable,
    operating_table,
    rate_text,
    report_html,
    report_json,
)
from buckler.pipeline.evaluate import find_mistakes
from buckler.runtime import Scorer
from buckler.training.adaptation import AdaptedStudent, OwnFigures

_NAMES = ("accuracy", "auroc", "detection", "false_positives")
_CAPTION = (
    "Own events that stand for the stream, each scored by a student, a calibration and a threshold "
    "that were made without its group; their answers count as the truth. Detection and false "
    "positives at the deployed threshold; 95 % intervals by group."
)
_TEST_CAPTION = " Test: labeled events that nothing was learned from, at the bundle's threshold."


@dataclass(frozen=True)
class AdaptationResult:
    """Outcome of `adapt`.

    Attributes
    ----------
    bundle
        File that was written.
    is_better
        False where the start was as good on own events: the file then holds the start, unchanged.
    before, after
        Figures on own events that stand for the stream, each scored by a student that was made
        without its group. `before` is None where there was no start.
    test_before, test_after
        Figures on labeled events that were never learned; None where none were given.
    n_stream, n_labeled, n_measured, n_test
        Events of the stream, events that were learned, events behind the figures, and events of
        the test.
    answered_by
        Source of the labels.
    cost_usd, total_usd
        Cost of this run, and of all answers about the stream, earlier runs included.
    stopped
        Reason why fewer events were asked about than wanted; None if none.
    quarantine
        Summary of the rows that could not be read; empty where there are none.
    report
        Files of the report; None where it was not written yet.
    """

    bundle: Path
    is_better: bool
    before: OwnFigures | None
    after: OwnFigures
    test_before: OwnFigures | None
    test_after: OwnFigures | None
    n_stream: int
    n_labeled: int
    n_measured: int
    n_test: int
    answered_by: str
    cost_usd: float
    total_usd: float
    stopped: str | None
    quarantine: str
    report: ReportFiles | None = None

    def table(self) -> ReportTable:
        """Return the figures before and after, on own events and on the test."""
        rows: list[tuple[str, ...]] = []
        for where, before, after in (
            ("own events", self.before, self.after),
            ("test", self.test_before, self.test_after),
        ):
            for name in _NAMES:
                now = None if after is None else getattr(after, name)
                if now is not None and now.value == now.value:
                    then = None if before is None else getattr(before, name)
                    title = name.replace("_", " ").replace("auroc", "AUROC")
                    rows.append((f"{where}: {title}", _text(then), _text(now)))
        caption = _CAPTION + (_TEST_CAPTION if self.n_test else "")
        return ReportTable(("figure", "before", "after"), rows, caption)


def write_adaptation_report(
    result: AdaptationResult,
    adapted: AdaptedStudent,
    scorer: Scorer,
    test: Dataset | None,
    folder: Path | None,
) -> ReportFiles:
    """Write the report as JSON, and as a page where the extra is installed.

    Parameters
    ----------
    adapted
        Adapted student, with its answers on own events.
    test
        Labeled events that were never learned; the figures of the page rest on them where given.
    folder
        Folder for ``report.html`` and ``report.json``; None puts them beside the bundle, under its
        name.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    manifest = scorer.manifest
    held_out = adapted.held_out
    if test is not None:
        events = test
        rows = f"{len(test):,} labeled own events that nothing was learned from"
    else:
        events = held_out.events
        rows = f"{len(events):,} own events, each scored without learning from its group"
    if test is not None or not result.is_better:
        verdicts = scorer.score(events.raw)
        probabilities, detected = verdicts.probabilities, verdicts.detected
    else:
        probabilities, detected = held_out.probabilities, held_out.detected
    predictions = Predictions(
        probabilities, events.labels, events.group_codes(), scorer.classes, scorer.positive
    )
    deployed = {} if test is None else dict(manifest.thresholds)
    evaluation = evaluate_predictions(
        predictions, deployed, manifest.deployed_fpr if deployed else None
    )
    context = ReportContext(
        title=f"{manifest.name}: adapted to own events",
        lead=f"{manifest.description}. Tested on {rows}.",
        notes=tuple(_notes(result)),
        provenance={name: str(value) for name, value in manifest.provenance.items()},
        headline=_headline(result),
        comparison=result.table(),
        operating=operating_table(evaluation, manifest.operating_curve),
        mistakes=find_mistakes(scorer, events, predictions.score, detected),
        learning=tuple(
            LearningPoint(n, result.total_usd * n / result.n_labeled, figures.auroc)
            for n, figures in sorted(adapted.curve.items())
        ),
    )
    stem = result.bundle.with_suffix("") if folder is None else folder / "report"
    figures = report_json(evaluation, context)
    return ReportFiles.write(stem, figures, lambda: report_html(evaluation, context))


def _headline(result: AdaptationResult) -> str:
    """Return what the adaptation brought, in one sentence."""
    before, after = result.before, result.after
    if result.n_test and result.test_after is not None:
        before, after = result.test_before, result.test_after
    parts: list[str] = []
    for name, value in (
        ("AUROC", "auroc"),
        ("detection", "detection"),
        ("false positives", "false_positives"),
        ("accuracy", "accuracy"),
    ):
        now = getattr(after, value).value
        if now == now and not (value == "accuracy" and parts):
            first = "" if before is None else f"{getattr(before, value).value:.3f} → "
            parts.append(f"{name} {first}{now:.3f}")
    asked = f"{result.n_labeled:,} own events with an answer ({result.answered_by}"
    cost = f", {result.total_usd:.2f} USD" if result.total_usd else ""
    return f"{asked}{cost}): {', '.join(parts)}."


def _notes(result: AdaptationResult) -> list[str]:
    """Return sentences on what a reader must know."""
    notes = [
        f"The stream has {result.n_stream:,} events; {result.n_measured:,} of the "
        f"{result.n_labeled:,} with an answer stand for it, as those drawn at random do."
    ]
    if not result.is_better:
        notes.append(
            "The start is as good or better on own events: the bundle is the start, unchanged. The "
            "figures after adapting are those of the students that were not kept."
        )
    if result.stopped:
        notes.append(f"Asking stopped: {result.stopped}.")
    if result.quarantine:
        notes.append(f"{result.quarantine[0].upper()}{result.quarantine[1:]}.")
    return notes


def _text(value: Rate | Estimate | None) -> str:
    if value is None:
        return "-"
    return rate_text(value, 3) if isinstance(value, Rate) else str(value)
