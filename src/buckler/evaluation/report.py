"""The report: one self-contained HTML page, and the same figures as JSON."""

import json
import math
from dataclasses import dataclass
from typing import Any

from buckler.evaluation.assess import Assessment
from buckler.evaluation.bootstrap import Estimate
from buckler.evaluation.metrics import Rate
from buckler.evaluation.pages import render
from buckler.evaluation.plots import draw_all


@dataclass(frozen=True)
class Comparison:
    """Several judges side by side: a head, and a row of texts for each."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class About:
    """What stands around the figures.

    Attributes
    ----------
    title
        Of the page.
    lead
        A sentence on what was tested on what.
    notes
        What a reader must know before believing the figures.
    provenance
        Name -> value: bundle, data, digests, versions.
    comparison
        The model beside others.
    robustness
        What it catches under attack.
    heads
        How further questions are answered.
    """

    title: str
    lead: str
    notes: tuple[str, ...]
    provenance: dict[str, str]
    comparison: Comparison | None = None
    robustness: Comparison | None = None
    heads: Comparison | None = None


HEAD_CAPTION = (
    "Test rows whose answer is known, with 95 % intervals; answers that were not learned count as "
    "wrong. Sure: a probability of one half or more."
)
ATTACK_CAPTION = (
    "Share of positive events caught at the deployed threshold, with Wilson intervals: before, and "
    "after each attack, of the events that it could be applied to. Where no class is bad: the "
    "share of right verdicts."
)


def report_html(assessment: Assessment, about: About) -> str:
    """Return the page; everything that came from data is escaped.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return render(
        "report.html.j2",
        title=about.title,
        lead=about.lead,
        notes=[*about.notes, *_own_notes(assessment)],
        n_rows=f"{assessment.n_rows:,}",
        comparison=about.comparison,
        robustness=about.robustness,
        heads=about.heads,
        head_caption=HEAD_CAPTION,
        attack_caption=ATTACK_CAPTION,
        resampling="cluster bootstrap over groups",
        figures=[
            {"name": name, "value": value, "interval": interval}
            for name, value, interval in figure_rows(assessment)
        ],
        thresholds=[
            {
                "target": f"{at.target_fpr:g}"
                + (" (deployed)" if at.target_fpr == assessment.deployed_fpr else ""),
                "score": f"{at.score:.6f}",
                "detection": rate_text(at.detection),
                "false_positives": rate_text(at.false_positives),
            }
            for at in assessment.thresholds
        ],
        plots=[
            {"title": title, "svg": svg, "wide": title == "Detection by month"}
            for title, svg in draw_all(assessment).items()
        ],
        slices=[
            {
                "by": s.by,
                "value": s.value[:80],
                "n_positive": f"{s.n_positive:,}",
                "n_other": f"{s.n_other:,}",
                "auroc": number(s.auroc),
                "detection": rate_text(s.detection),
                "false_positives": rate_text(s.false_positives),
                "accuracy": rate_text(s.accuracy),
            }
            for s in assessment.slices
        ],
        slice_note=_slice_note(assessment),
        has_positive=bool(assessment.positive),
        classes=_class_rows(assessment),
        class_names=assessment.classes,
        confusion=[
            {"name": name, "index": i, "cells": [f"{int(c):,}" for c in assessment.confusion[i]]}
            for i, name in enumerate(assessment.classes)
        ],
        provenance=[{"name": k, "value": v} for k, v in about.provenance.items()],
    )


def report_json(assessment: Assessment, about: About) -> bytes:
    """Return the figures as JSON; what cannot be computed is null."""
    document = {
        "title": about.title,
        "lead": about.lead,
        "notes": [*about.notes, *_own_notes(assessment)],
        "provenance": about.provenance,
        "comparison": _records(about.comparison),
        "robustness": _records(about.robustness),
        "heads": _records(about.heads),
        "classes": list(assessment.classes),
        "positive": [assessment.classes[i] for i in assessment.positive],
        "n_rows": assessment.n_rows,
        "class_counts": assessment.class_counts,
        "figures": {
            name: {"value": e.value, "low": e.low, "high": e.high}
            for name, e in assessment.figures.items()
        },
        "too_few_negatives_for_fpr": assessment.too_few,
        "deployed_fpr": assessment.deployed_fpr,
        "thresholds": [
            {
                "target_fpr": at.target_fpr,
                "score": at.score,
                "detection": vars(at.detection),
                "false_positives": vars(at.false_positives),
            }
            for at in assessment.thresholds
        ],
        "ece": assessment.ece,
        "reliability": [vars(b) for b in assessment.reliability],
        "confusion": assessment.confusion.tolist(),
        "f1": dict(zip(assessment.classes, assessment.f1.tolist(), strict=True)),
        "slices": [
            {
                **vars(s),
                "detection": vars(s.detection),
                "false_positives": vars(s.false_positives),
                "accuracy": vars(s.accuracy),
            }
            for s in assessment.slices
        ],
    }
    return json.dumps(without_nan(document), indent=1, allow_nan=False).encode() + b"\n"


def _records(table: Comparison | None) -> list[dict[str, str]] | None:
    if table is None:
        return None
    return [dict(zip(table.head, row, strict=True)) for row in table.rows]


def without_nan(value: Any) -> Any:
    """Return a JSON document in which what cannot be computed is null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(v) for v in value]
    return value


def number(value: float) -> str:
    """Return a figure with four places, or a dash."""
    return "-" if math.isnan(value) else f"{value:.4f}"


def rate_text(value: Rate) -> str:
    """Return a share with its interval, or a dash where there are no rows."""
    if not value.n_rows:
        return "-"
    return f"{value.value:.4f} ({value.low:.4f} to {value.high:.4f})"


def figure_name(name: str) -> str:
    """Return the name of a figure as people read it."""
    if name.startswith("tpr@fpr="):
        return f"Detection at FPR {name.removeprefix('tpr@fpr=')}"
    return {"auroc": "AUROC"}.get(name, name[0].upper() + name[1:])


def figure_rows(assessment: Assessment) -> list[tuple[str, str, str]]:
    """Return (name, value, interval) of every figure, those about which nothing can be said too."""
    rows = {
        name: (figure_name(name), number(estimate.value), _interval(estimate))
        for name, estimate in assessment.figures.items()
    }
    for target in assessment.too_few:
        name = f"tpr@fpr={target:g}"
        rows[name] = (figure_name(name), "too few negatives to say", "")
    rates = [name for name in rows if name.startswith("tpr@fpr=")]
    ranking = [name for name in ("auroc", "average precision") if name in rows]
    rest = [name for name in rows if name not in (*rates, *ranking)]
    return [
        *(rows[name] for name in (*ranking, *rates, *rest)),
        ("ECE", number(assessment.ece), ""),
    ]


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return ""
    return f"{estimate.low:.4f} to {estimate.high:.4f}"


def _slice_note(assessment: Assessment) -> str:
    if not assessment.positive:
        return "Accuracy of the likeliest class, with Wilson intervals."
    if assessment.deployed_fpr is None:
        return "A detection is a verdict of a positive class."
    return (
        f"Detection and false positives at the deployed threshold (FPR {assessment.deployed_fpr:g} "
        "on validation data), with Wilson intervals."
    )


def _class_rows(assessment: Assessment) -> list[dict[str, str]]:
    rows = []
    for i, name in enumerate(assessment.classes):
        hits = int(assessment.confusion[i, i])
        true, said = int(assessment.confusion[i].sum()), int(assessment.confusion[:, i].sum())
        rows.append(
            {
                "name": name,
                "n": f"{true:,}",
                "recall": number(hits / true) if true else "-",
                "precision": number(hits / said) if said else "-",
                "f1": number(float(assessment.f1[i])),
            }
        )
    return rows


def _own_notes(assessment: Assessment) -> list[str]:
    notes = []
    if assessment.too_few:
        rates = ", ".join(f"{t:g}" for t in assessment.too_few)
        others = assessment.n_rows - int(assessment.is_positive.sum())
        notes.append(
            f"{others:,} rows that are not positive are too few to say anything of FPR {rates}."
        )
    for i, n in enumerate(assessment.class_counts):
        if n == 0:
            notes.append(f"No test row is of class {assessment.classes[i]}.")
    return notes
