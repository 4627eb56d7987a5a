"""Measures a bundle on labeled test events and writes the report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

import buckler
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.splits import Leaks, find_leaks
from buckler.errors import InputError
from buckler.evaluation.evaluation import (
    Evaluation,
    Predictions,
    evaluate_predictions,
    slice_values,
)
from buckler.evaluation.report import (
    Mistake,
    ReportContext,
    ReportFiles,
    deployed_table,
    headline_sentence,
    operating_table,
    report_html,
    report_json,
)
from buckler.evaluation.source_tables import source_sentences, source_tables
from buckler.evaluation.unseen_sources import SourceRecord
from buckler.files import path_text
from buckler.readers.quarantine import Quarantine
from buckler.runtime import Scorer, load
from buckler.runtime.explanation import mark_pieces
from buckler.tasks import get_bundle_task

WORST = 25  # mistakes of a kind
_PIECES = 6
_CHARACTERS = 400
_UNCHECKED = "Whether the test rows stand in the training data was not checked."


@dataclass(frozen=True)
class BundleEvaluation:
    """Outcome of `evaluate`.

    Attributes
    ----------
    assessment
        Figures on the test rows.
    notes
        Sentences on the data that a reader must know.
    report
        Files that were written.
    """

    assessment: Evaluation
    notes: tuple[str, ...]
    report: ReportFiles


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of `evaluate`.

    Attributes
    ----------
    task
        Name of the task or its .toml file; by default the bundle's.
    columns
        Names of columns; `keep` names further columns to slice by.
    format
        Format of every file, whatever its suffix.
    resamples
        Resamples of the bootstrap.
    """

    task: str | None = None
    columns: ColumnNames = field(default_factory=ColumnNames)
    format: str | None = None
    resamples: int = 500


def evaluate(
    bundle: Path | str,
    data: Sequence[Path],
    output: Path,
    *,
    trained_on: Sequence[Path] = (),
    options: EvaluationOptions = EvaluationOptions(),
    on_step: Callable[[str], None] | None = None,
) -> BundleEvaluation:
    """Measure a bundle on labeled files and write ``report.html`` and ``report.json``.

    Parameters
    ----------
    bundle
        A .buckler file.
    data
        Labeled test files or folders; rows without a label are left out.
    output
        Folder for the report.
    trained_on
        Training data, to tell which test rows are not new.
    options
        Task, columns, format and resamples.
    on_step
        Called with the name of each step.

    Raises
    ------
    InputError
        If no test row has a label, or the task is not the bundle's.
    """
    step = on_step or (lambda _: None)
    scorer, columns = load(bundle), options.columns
    task = get_bundle_task(scorer.manifest, options.task)
    with Quarantine() as quarantine:
        step("reading")
        events = read_dataset(
            data, task, columns, format_name=options.format, quarantine=quarantine
        )
        n_rows, leaks, events = len(events), None, events.only_labeled()
        if not len(events):
            raise InputError("no test row has a label; name the label column", field="label_column")
        if trained_on:
            step("comparing with the training data")
            training = read_dataset(trained_on, task, columns, format_name=options.format)
            leaks = find_leaks(training, events)
        step("measuring")
        assessment = assess_scorer(
            scorer, events, leaks=leaks, slices=columns.keep, n_resamples=options.resamples
        )
        notes = (_UNCHECKED,) if leaks is None else leak_notes(leaks)
        if n_unlabeled := n_rows - len(events):
            notes += (f"{n_unlabeled:,} rows without a label were left out.",)
        if quarantine.count:
            notes += (f"{quarantine.summary()[0].upper()}{quarantine.summary()[1:]}.",)
    tested_on = f"{len(events):,} rows from {names_of(data)}"
    context = report_context(scorer, assessment, events, tested_on, notes)
    return BundleEvaluation(assessment, notes, write_report(assessment, context, output))


def assess_scorer(
    scorer: Scorer,
    events: Dataset,
    *,
    leaks: Leaks | None = None,
    slices: tuple[str, ...] = (),
    n_resamples: int = 500,
) -> Evaluation:
    """Score labeled events through the runtime and measure the answers.

    Raises
    ------
    InputError
        If an event has no label.
    """
    if (events.labels < 0).any():
        raise InputError(
            f"{int((events.labels < 0).sum()):,} of {len(events):,} test rows have no label; "
            "name the label column or leave these rows out"
        )
    predictions = Predictions(
        scorer.score(events.raw).probabilities,
        events.labels,
        events.group_codes(),
        classes=scorer.classes,
        positive=scorer.positive,
    )
    return evaluate_predictions(
        predictions,
        scorer.manifest.thresholds,
        scorer.manifest.deployed_fpr,
        slices=slice_values(events, leaks, slices, _sources_of(scorer)),
        n_resamples=n_resamples,
    )


def _sources_of(scorer: Scorer) -> tuple[str, ...]:
    """Return the names of the sources that a bundle was trained on, as far as it knows them."""
    record = SourceRecord.read(scorer.manifest.unseen_sources)
    return () if record is None else tuple(one.source for one in record.sources)


def report_context(
    scorer: Scorer,
    assessment: Evaluation,
    events: Dataset,
    tested_on: str,
    notes: tuple[str, ...] = (),
) -> ReportContext:
    """Return what stands around the test figures: unseen sources, thresholds, worst mistakes."""
    manifest = scorer.manifest
    record = SourceRecord.read(manifest.unseen_sources)
    if record is not None:
        notes = (*source_sentences(record), *notes)
    threshold = np.float32(np.inf if scorer.threshold is None else scorer.threshold)
    return ReportContext(
        sources={} if record is None else source_tables(record),
        headline=headline_sentence(assessment),
        operating=operating_table(assessment, manifest.operating_curve),
        deployed=deployed_table(assessment),
        mistakes=find_mistakes(scorer, events, assessment.score, assessment.score >= threshold),
        title=f"{manifest.name}: {manifest.task}",
        lead=f"{manifest.description}. Tested on {tested_on}.",
        notes=notes,
        provenance={
            "bundle": manifest.name,
            "bundle digest (SHA-256 of its manifest)": scorer.sha256,
            "student": f"{manifest.family} {manifest.settings}",
            "buckler": buckler.__version__,
            **{k: str(v) for k, v in manifest.provenance.items() if k != "buckler"},
        },
    )


# --- the worst mistakes: what a reader of a report looks at ---------------------------------------


def find_mistakes(
    scorer: Scorer,
    events: Dataset,
    scores: npt.NDArray[np.float32],
    detected: npt.NDArray[np.bool_],
) -> tuple[Mistake, ...]:
    """Return the worst false positives by score, then the worst misses, at most 25 of each.

    Events without a text of their own, such as rows of features, are shown by their features.

    Parameters
    ----------
    scores, detected
        Answers about these events, float32 [n] and bool [n].
    """
    if not scorer.positive:
        return ()
    wrong = np.flatnonzero(detected & ~events.is_positive)
    missed = np.flatnonzero(~detected & events.is_positive)
    worst = wrong[np.argsort(-scores[wrong], kind="stable")][:WORST]
    lowest = missed[np.argsort(scores[missed], kind="stable")][:WORST]
    rows: npt.NDArray[np.intp] = np.concatenate([worst, lowest])
    return tuple(
        _describe(scorer, events, int(row), float(scores[row]), is_miss=at >= len(worst))
        for at, row in enumerate(rows)
    )


def _describe(scorer: Scorer, events: Dataset, row: int, score: float, *, is_miss: bool) -> Mistake:
    raw = events.raw_text(row)
    label = scorer.label_to_explain(scorer.classes[0], detected=True, text=raw)
    found = scorer.explain(raw, label=label, top=_PIECES)
    text = _harmless(events.task.readable(raw))
    return Mistake(
        is_miss=is_miss,
        score=score,
        label=str(events.label_names[row] or ""),
        source=str(events.sources[row] or ""),
        because=found.because,
        runs=tuple(mark_pieces(text, found.contributions, _CHARACTERS)),
    )


def _harmless(text: str) -> str:
    """Return a text without characters that hide or move others."""
    return "".join(c if c.isprintable() or c == "\n" else "·" for c in text)


# --- the report -----------------------------------------------------------------------------------


def write_report(assessment: Evaluation, context: ReportContext, folder: Path) -> ReportFiles:
    """Write ``report.json`` and, where the extra is installed, ``report.html``.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    figures = report_json(assessment, context)
    return ReportFiles.write(folder / "report", figures, lambda: report_html(assessment, context))


def leak_notes(leaks: Leaks) -> tuple[str, ...]:
    """Return a sentence on what the test rows share with the training rows, if anything."""
    if not leaks.any:
        return ()
    n = len(leaks.same_text)
    return (
        f"Of {n:,} test rows, {int(leaks.same_text.sum()):,} stand in the training data too, "
        f"{int(leaks.near_text.sum()):,} nearly do, and {int(leaks.same_group.sum()):,} share a "
        "group with it; the slices give figures with and without them.",
    )


def names_of(paths: Sequence[Path]) -> str:
    """Return the names of files, for a sentence."""
    return ", ".join(path_text(path.name) for path in paths)


def headline(assessment: Evaluation) -> dict[str, float | int]:
    """Return the few figures that go into a bundle's card."""
    figures = {
        name: round(estimate.value, 6)
        for name, estimate in assessment.figures.items()
        if estimate.value == estimate.value
    }
    return {"test_rows": assessment.n_rows, **figures, "ece": round(assessment.ece, 6)}
