"""The plots of a report, as SVG text to be put into the page."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from buckler.errors import MissingExtraError
from buckler.evaluation.assess import Assessment
from buckler.evaluation.metrics import TARGET_FPRS, Ranking

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, RED, GRAY = "#1f5fa8", "#c0392b", "#8a8f98"


def draw_all(assessment: Assessment) -> dict[str, str]:
    """Return title -> SVG of every plot that the data allow.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    plots = {}
    with plot_style():
        ranking = Ranking(assessment.score, assessment.is_positive)
        if assessment.positive and ranking.n_positive and ranking.n_negative:
            plots["ROC, false-positive rate on a logarithmic axis"] = _roc(assessment, ranking)
            plots["Precision and recall"] = _precision_recall(ranking)
            plots["Scores"] = _histogram(assessment)
        plots["Reliability"] = _reliability(assessment)
        months = [s for s in assessment.slices if s.by == "month" and s.n_positive]
        if len(months) > 1:
            plots["Detection by month"] = _months(assessment)
    return plots


@contextmanager
def plot_style(**further: Any) -> Iterator[None]:
    """Draw in the style of all our plots.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise MissingExtraError("the HTML report", "report") from None
    style: dict[str, Any] = {
        "svg.hashsalt": "buckler",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e3e6ea",
        "axes.axisbelow": True,
        **further,
    }
    with mpl.rc_context(style):  # type: ignore[arg-type]
        yield


def new_figure(width: float = 4.6, height: float = 3.4) -> "Figure":
    """Return an empty figure; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def svg_of(figure: "Figure") -> str:
    """Return a figure as SVG text, from its root element on."""
    out = StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _roc(assessment: Assessment, ranking: Ranking) -> str:
    figure = new_figure()
    axes = figure.subplots()
    roc = ranking.roc()
    floor = 1 / max(1, ranking.n_negative)
    axes.step(np.maximum(roc.fpr, floor / 2), roc.tpr, where="post", color=BLUE, lw=1.6)
    axes.set_xscale("log")
    axes.set_xlim(floor / 2, 1)
    axes.set_ylim(0, 1.01)
    for target in TARGET_FPRS:
        if target >= floor / 2:
            axes.axvline(target, color=GRAY, lw=0.8, ls=":")
    for at in assessment.thresholds:
        if at.false_positives.n_rows and at.detection.n_rows:
            axes.plot(
                max(at.false_positives.value, floor / 2), at.detection.value, "o", color=RED, ms=5
            )
            axes.annotate(
                f"aimed at {at.target_fpr:g}",
                (max(at.false_positives.value, floor / 2), at.detection.value),
                textcoords="offset points",
                xytext=(6, -10),
                color=RED,
                fontsize=8,
            )
    axes.set_xlabel(f"False-positive rate ({ranking.n_negative:,} negatives)")
    axes.set_ylabel(f"Detection rate ({ranking.n_positive:,} positives)")
    return svg_of(figure)


def _precision_recall(ranking: Ranking) -> str:
    figure = new_figure()
    axes = figure.subplots()
    roc = ranking.roc()
    hits, detections = roc.tpr * ranking.n_positive, roc.fpr * ranking.n_negative
    axes.step(
        roc.tpr, hits / np.maximum(hits + detections, 1e-12), where="post", color=BLUE, lw=1.6
    )
    share = ranking.n_positive / (ranking.n_positive + ranking.n_negative)
    axes.axhline(share, color=GRAY, lw=0.8, ls=":")
    axes.annotate(
        "share of bad rows",
        (0.02, share),
        xytext=(0, 3),
        textcoords="offset points",
        color=GRAY,
        fontsize=8,
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    axes.set_xlabel("Recall")
    axes.set_ylabel("Precision")
    return svg_of(figure)


def _histogram(assessment: Assessment) -> str:
    figure = new_figure()
    axes = figure.subplots()
    bins = np.linspace(0, 1, 51)
    for rows, color, name in (
        (~assessment.is_positive, BLUE, "others"),
        (assessment.is_positive, RED, "positive"),
    ):
        axes.hist(
            assessment.score[rows],
            bins.tolist(),
            histtype="step",
            color=color,
            label=name,
            lw=1.4,
        )
    for at in assessment.thresholds:
        style = "-" if at.target_fpr == assessment.deployed_fpr else ":"
        axes.axvline(at.score, color=GRAY, lw=1, ls=style)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Score (line: the deployed threshold)")
    axes.set_ylabel("Rows")
    axes.legend(frameon=False, loc="upper center")
    return svg_of(figure)


def _reliability(assessment: Assessment) -> str:
    figure = new_figure()
    axes = figure.subplots()
    bins = assessment.reliability
    axes.plot([0, 1], [0, 1], color=GRAY, lw=0.8, ls=":")
    axes.plot(
        [b.confidence for b in bins], [b.accuracy for b in bins], "o-", color=BLUE, ms=4, lw=1
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel(
        "Predicted probability" if assessment.positive else "Probability of the top class"
    )
    axes.set_ylabel("Share that is bad" if assessment.positive else "Share that is right")
    axes.set_title(f"ECE {assessment.ece:.4f}", fontsize=9, loc="left")
    return svg_of(figure)


def _months(assessment: Assessment) -> str:
    months = [s for s in assessment.slices if s.by == "month" and s.n_positive]
    figure = new_figure(max(4.6, 0.42 * len(months) + 1.5))
    axes = figure.subplots()
    values = [s.detection.value for s in months]
    spread = [
        [max(0.0, s.detection.value - s.detection.low) for s in months],
        [max(0.0, s.detection.high - s.detection.value) for s in months],
    ]
    axes.errorbar(range(len(months)), values, spread, fmt="o-", color=BLUE, ms=4, lw=1, capsize=2)
    axes.set_xticks(range(len(months)), [s.value for s in months], rotation=45, ha="right")
    axes.set_ylim(0, 1.02)
    deployed = assessment.deployed_fpr
    axes.set_ylabel(f"Detection at the threshold for FPR {deployed:g}" if deployed else "Detection")
    return svg_of(figure)
