"""Joins bundles into a cascade, from files, and puts it beside its stages: `buckler cascade`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from buckler.bundle.archive import read_bundle
from buckler.dataset import Dataset, read_dataset
from buckler.evaluation.evaluation import Evaluation
from buckler.evaluation.report import ReportFiles, ReportTable
from buckler.pipeline.compare import comparison, measure_bundle
from buckler.pipeline.evaluate import (
    assess_scorer,
    names_of,
    report_context,
    write_report,
)
from buckler.readers.quarantine import Quarantine
from buckler.runtime import Scorer
from buckler.tasks import get_bundle_task
from buckler.training.cascade import Cascade, CascadeOptions, build_cascade

_RESAMPLES = 200


@dataclass(frozen=True)
class CascadeEvaluation:
    """Outcome of `evaluate_cascade`.

    Attributes
    ----------
    assessment
        Figures of the cascade on the test rows.
    comparison
        The stages and the cascade, side by side.
    notes
        Sentence on the share of the rows that reached each stage.
    report
        Files of the report; None where no folder was named.
    """

    assessment: Evaluation
    comparison: ReportTable
    notes: tuple[str, ...]
    report: ReportFiles | None


def cascade(
    stages: Sequence[Path],
    validation: Sequence[Path],
    output: Path,
    options: CascadeOptions,
    *,
    task: str | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Cascade:
    """Join several bundles: each passes on the events that it is unsure of.

    Parameters
    ----------
    stages
        Bundles of one task, cheapest first.
    validation
        Files of labeled events that no stage has learned from.
    output
        Bundle file to write.
    options
        Budgets, operating point and review.
    task
        Task file, where the bundles' task is your own.
    on_step
        Called with the name of each step.

    Raises
    ------
    BucklerError
        If an input or an option is not valid.
    """
    on_step("reading")
    events = _read_labeled(stages[0], validation, task)
    on_step("choosing")
    return build_cascade(stages, events, output, options)


def evaluate_cascade(
    cascade: Path,
    stages: Sequence[Path],
    test: Sequence[Path],
    report: Path | None = None,
    *,
    task: str | None = None,
) -> CascadeEvaluation:
    """Measure a cascade beside its stages on labeled files.

    Parameters
    ----------
    cascade, stages
        Bundle of the cascade, and those of its stages.
    task
        Task file, where the bundles' task is your own.

    Raises
    ------
    BucklerError
        If an input is not valid, or the report cannot be written.
    """
    rows, scorer = _read_labeled(cascade, test, task), Scorer(read_bundle(cascade))
    assessment = assess_scorer(scorer, rows)
    contenders = [
        measure_bundle(path.stem, read_bundle(path), rows, _RESAMPLES, known)
        for path, known in [*((path, None) for path in stages), (cascade, assessment)]
    ]
    beside = comparison(contenders, assessment)
    notes: tuple[str, ...] = ()
    if (decided := scorer.score(rows.raw).stage) is not None:
        shares = ", ".join(f"{(decided > i).mean():.4f}" for i in range(len(stages)))
        notes = (f"Share of the test rows that reached each stage: {shares}.",)
    files = None
    if report is not None:
        tested_on = f"{len(rows):,} rows from {names_of(test)}"
        context = report_context(scorer, assessment, rows, tested_on, notes)
        context = replace(context, comparison=beside)
        files = write_report(assessment, context, report)
    return CascadeEvaluation(assessment, beside, notes, files)


def _read_labeled(bundle: Path, paths: Sequence[Path], task: str | None) -> Dataset:
    manifest = read_bundle(bundle).manifest
    with Quarantine() as quarantine:
        events = read_dataset(
            paths,
            get_bundle_task(manifest, task),
            quarantine=quarantine,
        )
    return events.only_labeled()
