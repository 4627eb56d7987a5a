"""Plots of a report, as SVG text for the page."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np

from buckler.evaluation.evaluation import Evaluation
from buckler.evaluation.intervals import Estimate, Rate
from buckler.evaluation.metrics import Ranking, precisions
from buckler.extras import import_extra
from buckler.operating_point import USUAL_FPRS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from buckler.evaluation.report import LearningPoint

BLUE, RED, GRAY = "#1f5fa8", "#c0392b", "#8a8f98"


def draw_all(evaluation: Evaluation) -> dict[str, str]:
    """Return title -> SVG of every plot that the data permit.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    plots = {}
    with plot_style():
        ranking = Ranking(evaluation.score, evaluation.is_positive)
        if evaluation.positive and ranking.n_positive and ranking.n_negative:
            plots["ROC, false-positive rate on a logarithmic axis"] = _roc(evaluation, ranking)
            plots["Precision and recall"] = _precision_recall(ranking)
            plots["Scores"] = _histogram(evaluation)
        plots["Reliability"] = _reliability(evaluation)
        months = [s for s in evaluation.slices if s.by == "month" and s.n_positive]
        if len(months) > 1:
            plots["Detection by month"] = _months(evaluation)
    return plots


@contextmanager
def plot_style(extra: Mapping[str, object] | None = None) -> Iterator[None]:
    """Apply the style of all plots, and further settings of matplotlib.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    style = {
        "svg.hashsalt": "buckler",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e3e6ea",
        "axes.axisbelow": True,
        **dict.fromkeys(("axes.facecolor", "figure.facecolor", "savefig.facecolor"), "none"),
        **(extra or {}),
    }
    with import_extra("matplotlib", "the HTML report", "report").rc_context(style):
        yield


def new_figure(width: float = 4.6, height: float = 3.4) -> "tuple[Figure, Axes]":
    """Return an empty figure with its axes; sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def svg_of(figure: "Figure") -> str:
    """Return a figure as SVG text, from its root element on."""
    out = StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def draw_attacks(names: Sequence[str], before: Sequence[float], after: Sequence[float]) -> str:
    """Return shares before and after each attack as SVG, the largest loss on top.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    order = sorted(range(len(names)), key=lambda at: before[at] - after[at])
    with plot_style():
        figure, axes = new_figure(6.4, 0.3 * len(names) + 0.9)  # read on a telephone too
        for place, at in enumerate(order):
            axes.plot([after[at], before[at]], [place, place], color=GRAY, lw=1.4)
        axes.plot(
            [before[at] for at in order],
            range(len(order)),
            "o",
            color=BLUE,
            label="before",
            ms=9,
            mfc="none",
        )
        axes.plot([after[at] for at in order], range(len(order)), "o", color=RED, label="after",
                  ms=4.5)  # fmt: skip
        axes.set_yticks(range(len(order)), [names[at][:40] for at in order])
        axes.set(xlim=(0, 1.02), ylim=(-0.6, len(order) - 0.4), xlabel="Share detected")
        axes.legend(frameon=False, loc="lower left", ncols=2)
        return svg_of(figure)


def draw_learning(points: "Sequence[LearningPoint]") -> dict[str, str]:
    """Return title -> SVG of quality against own events, and dollars where answers cost any.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    points = [point for point in points if not np.isnan(point.auroc.value)]
    if len(points) < 2:
        return {}
    with plot_style():
        figure, axes = new_figure()
        events = [point.n_events for point in points]
        _draw_intervals(axes, events, [point.auroc for point in points])
        axes.set(xlabel="Own events with an answer", ylabel="AUROC on the others")
        if points[-1].cost_usd:
            axes.set_xticks(events, [f"{p.n_events:,}\n{p.cost_usd:.2f} USD" for p in points])
        else:
            axes.set_xticks(events, [f"{n:,}" for n in events])
        return {"Own events and quality": svg_of(figure)}


def draw_agreement(curve: Sequence[tuple[float, float, float]], target: float) -> str:
    """Return agreement and its bound by the share of events that are answered, as SVG.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    shares, values, bounds = zip(*curve, strict=True)
    with plot_style():
        figure, axes = new_figure(9.6, 3.4)
        axes.plot(shares, values, color=BLUE, label="agreement")
        axes.plot(shares, bounds, color=RED, label="lower bound")
        axes.axhline(target, color=GRAY, lw=1, ls="--", label="target")
        lowest = min(0.9, *bounds[len(bounds) // 4 :])
        axes.set(xlim=(0, 1.01), ylim=(lowest, 1.005), xlabel="Share of events answered")
        axes.legend(frameon=False, loc="lower left", ncols=3)
        return svg_of(figure)


def _draw_intervals(axes: "Axes", places: Sequence[int], found: Sequence[Estimate | Rate]) -> None:
    """Draw a line through figures, with their intervals."""
    values, low, high = np.array([(one.value, one.low, one.high) for one in found]).T
    spread = np.maximum([values - low, high - values], 0)
    axes.errorbar(places, values, spread, fmt="o-", color=BLUE, ms=4, lw=1, capsize=2)


def _roc(evaluation: Evaluation, ranking: Ranking) -> str:
    figure, axes = new_figure()
    roc = ranking.roc()
    floor = 1 / max(1, ranking.n_negative)
    axes.step(np.maximum(roc.fpr, floor / 2), roc.tpr, where="post", color=BLUE, lw=1.6)
    axes.set(xscale="log", xlim=(floor / 2, 1), ylim=(0, 1.01))
    for target in USUAL_FPRS:
        if target >= floor / 2:
            axes.axvline(target, color=GRAY, lw=0.8, ls=":")
    for at in evaluation.thresholds:
        if at.false_positives.n_rows and at.detection.n_rows:
            point = (max(at.false_positives.value, floor / 2), at.detection.value)
            axes.plot(*point, "o", color=RED, ms=5)
            axes.annotate(
                f"target {at.target_fpr:g}",
                point,
                textcoords="offset points",
                xytext=(6, -10),
                color=RED,
                fontsize=8,
            )
    axes.set(
        xlabel=f"False-positive rate ({ranking.n_negative:,} negatives)",
        ylabel=f"Detection rate ({ranking.n_positive:,} positives)",
    )
    return svg_of(figure)


def _precision_recall(ranking: Ranking) -> str:
    figure, axes = new_figure()
    roc = ranking.roc()
    precision = precisions(roc, ranking.n_positive, ranking.n_negative)
    axes.step(roc.tpr, precision, where="post", color=BLUE, lw=1.6)
    share = ranking.n_positive / (ranking.n_positive + ranking.n_negative)
    axes.axhline(share, color=GRAY, lw=0.8, ls=":")
    axes.annotate(
        "share of positive rows",
        (0.02, share),
        xytext=(0, 3),
        textcoords="offset points",
        color=GRAY,
        fontsize=8,
    )
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="Recall", ylabel="Precision")
    return svg_of(figure)


def _histogram(evaluation: Evaluation) -> str:
    figure, axes = new_figure()
    bins = np.linspace(0, 1, 51)
    for rows, color, name in (
        (~evaluation.is_positive, BLUE, "others"),
        (evaluation.is_positive, RED, "positive"),
    ):
        scores = evaluation.score[rows]
        axes.hist(scores, bins.tolist(), histtype="step", color=color, label=name, lw=1.4)
    for at in evaluation.thresholds:
        style = "-" if at.target_fpr == evaluation.deployed_fpr else ":"
        axes.axvline(at.score, color=GRAY, lw=1, ls=style)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="Score (line: the deployed threshold)", ylabel="Rows")
    axes.legend(frameon=False, loc="upper center")
    return svg_of(figure)


def _reliability(evaluation: Evaluation) -> str:
    figure, axes = new_figure()
    bins = evaluation.reliability
    axes.plot([0, 1], [0, 1], color=GRAY, lw=0.8, ls=":")
    axes.plot(
        [b.confidence for b in bins], [b.accuracy for b in bins], "o-", color=BLUE, ms=4, lw=1
    )
    predicted = "Predicted probability" if evaluation.positive else "Probability of the top class"
    share = "Share that is positive" if evaluation.positive else "Share that is correct"
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=predicted, ylabel=share)
    axes.set_title(f"ECE {evaluation.ece:.4f}", fontsize=9, loc="left")
    return svg_of(figure)


def _months(evaluation: Evaluation) -> str:
    months = [s for s in evaluation.slices if s.by == "month" and s.n_positive]
    figure, axes = new_figure(max(9.6, 0.42 * len(months) + 1.5))
    _draw_intervals(axes, range(len(months)), [s.detection for s in months])
    axes.set_xticks(range(len(months)), [s.value for s in months], rotation=45, ha="right")
    at = f" at the threshold for FPR {fpr:g}" if (fpr := evaluation.deployed_fpr) else ""
    axes.set(ylim=(0, 1.02), ylabel=f"Detection{at}")
    return svg_of(figure)
