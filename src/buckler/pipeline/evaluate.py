"""Runs a bundle over labeled test events and writes the report."""

from dataclasses import dataclass
from pathlib import Path

import buckler
from buckler.dataset import Dataset
from buckler.dataset.splits import Leaks
from buckler.errors import InputError, MissingExtraError
from buckler.evaluation.evaluation import Evaluation, Predictions, evaluate_predictions
from buckler.evaluation.report import Comparison, ReportContext, report_html, report_json
from buckler.evaluation.slices import slice_values
from buckler.files import write_atomically
from buckler.runtime import Scorer


@dataclass(frozen=True)
class Evaluated:
    """An assessment and where its report lies; `html` is None without the `report` extra."""

    assessment: Evaluation
    json: Path
    html: Path | None


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
    verdicts = scorer.score(events.raw_texts)
    predictions = Predictions(
        verdicts.probabilities,
        events.labels,
        events.group_codes(),
        classes=scorer.classes,
        positive=scorer.positive,
    )
    return evaluate_predictions(
        predictions,
        scorer.manifest.thresholds,
        scorer.manifest.deployed_fpr,
        slices=slice_values(events, leaks, slices),
        n_resamples=n_resamples,
    )


def write_report(
    assessment: Evaluation,
    scorer: Scorer,
    folder: Path,
    *,
    tested_on: str,
    notes: tuple[str, ...] = (),
    provenance: dict[str, str] | None = None,
    comparison: Comparison | None = None,
    robustness: Comparison | None = None,
    auxiliary: Comparison | None = None,
) -> Evaluated:
    """Write ``report.json`` and, where the extra is installed, ``report.html``.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    manifest = scorer.manifest
    context = ReportContext(
        title=f"{manifest.name}: {manifest.task}",
        lead=f"{manifest.description}. Tested on {tested_on}.",
        notes=notes,
        provenance={
            "bundle": manifest.name,
            "bundle digest (SHA-256 of its manifest)": scorer.sha256,
            "student": f"{manifest.family} {manifest.settings}",
            "buckler": buckler.__version__,
            **{k: str(v) for k, v in manifest.provenance.items() if k != "buckler"},
            **(provenance or {}),
        },
        comparison=comparison,
        robustness=robustness,
        auxiliary=auxiliary,
    )
    json_path, html_path = folder / "report.json", folder / "report.html"
    write_atomically(json_path, report_json(assessment, context))
    try:
        write_atomically(html_path, report_html(assessment, context).encode())
    except MissingExtraError:
        return Evaluated(assessment, json_path, None)
    return Evaluated(assessment, json_path, html_path)


def leak_notes(leaks: Leaks | None) -> tuple[str, ...]:
    """Say what the test rows share with the training rows."""
    if leaks is None:
        return ("Whether the test rows stand in the training data was not checked.",)
    if not leaks.any:
        return ()
    n = len(leaks.same_text)
    return (
        f"Of {n:,} test rows, {int(leaks.same_text.sum()):,} stand in the training data too, "
        f"{int(leaks.near_text.sum()):,} nearly do, and {int(leaks.same_group.sum()):,} share a "
        "group with it; the slices give figures with and without them.",
    )


def headline(assessment: Evaluation) -> dict[str, float | int]:
    """Return the few figures that go into a bundle's card."""
    figures = {
        name: round(estimate.value, 6)
        for name, estimate in assessment.figures.items()
        if estimate.value == estimate.value
    }
    return {"test_rows": assessment.n_rows, **figures, "ece": round(assessment.ece, 6)}
