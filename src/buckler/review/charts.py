"""The dashboard's plots, as SVG pictures that follow the reader's light or dark theme."""

from collections.abc import Callable, Sequence

from buckler.evaluation.intervals import Estimate, Rate
from buckler.evaluation.plots import BLUE, RED, new_figure, plot_style, svg_of
from buckler.review.dashboard import Dashboard
from buckler.review.review_tables import State

_INK, _GRID = "#123456", "#654321"  # stand-ins that become the theme's colors
_THEME = (
    "<style>:root{color:#1c2330;--grid:#dfe3e8}"
    "@media (prefers-color-scheme:dark){:root{color:#e4e8ee;--grid:#39414d}}</style>"
)
_COLORS = (BLUE, "#d9822b", "#2e8b57", "#8e5bb5", RED, "#8a8f98")


def draw(name: str, board: Dashboard) -> str | None:
    """Return a plot as a whole SVG file; None where there is no such plot."""
    if name not in PLOTS:
        return None
    style = {
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.edgecolor": _INK,
        "grid.color": _GRID,
        "savefig.transparent": True,
    }
    with plot_style(style):
        svg = PLOTS[name](board)
    svg = svg.replace(_INK, "currentColor").replace(_GRID, "var(--grid)")
    start = svg.index(">") + 1
    return svg[:start] + _THEME + svg[start:]


def _queue(board: Dashboard) -> str:
    figure, axes = new_figure(4.6, 2.2)
    names = {
        State.OPEN: "waiting",
        State.SECOND: "second annotation",
        State.DISPUTED: "disputed",
        State.DONE: "labeled",
        State.DUPLICATE: "near-duplicates",
    }
    values = [board.states.get(state, 0) for state in names]
    bars = axes.barh(list(names.values()), values, color=BLUE)
    axes.bar_label(bars, [f"{v:,}" for v in values], padding=3, color=_INK, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, max(max(values) * 1.18, 1))
    axes.set_xlabel("Events")
    return svg_of(figure)


def _labels_a_day(board: Dashboard) -> str:
    figure, axes = new_figure(4.6, 2.6)
    days = list(board.by_day)
    totals: dict[str, int] = {}
    for of in board.by_day.values():
        for who, n in of.items():
            totals[who] = totals.get(who, 0) + n
    shown = sorted(totals, key=lambda who: -totals[who])[: len(_COLORS) - 1]
    bottom = [0] * len(days)
    for color, name in zip(_COLORS, [*shown, ""], strict=False):
        heights = [
            sum(n for w, n in of.items() if (w == name if name else w not in shown))
            for of in board.by_day.values()
        ]
        if any(heights):
            label = name[:24] or "others"
            axes.bar(range(len(days)), heights, bottom=bottom, color=color, label=label)
            bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    ticks = list(range(0, len(days), 7))
    axes.set_xticks(ticks, [days[i][5:] for i in ticks])
    axes.locator_params(axis="y", integer=True)
    axes.set_ylabel("Labels a day")
    if totals:
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    return svg_of(figure)


def _bundle(board: Dashboard) -> str:
    sampled = board.sampled
    rows: list[tuple[str, Rate | Estimate]] = [
        (f"precision ({sampled.precision.n_rows:,} detections labeled)", sampled.precision),
        (f"recall ({sampled.missed.n_rows:,} others labeled)", sampled.recall),
    ]
    return _intervals(rows, "On random samples (95 %)")


def _teachers(board: Dashboard) -> str:
    rows = [
        (f"{teacher.name[:22]}: {name[:16]} ({share.n_rows:,})", share)
        for teacher in board.teachers[:4]
        for name, share in list(teacher.of_class.items())[:6]
    ]
    return _intervals(rows[:16], "Accuracy against the analysts' labels (95 %)")


def _intervals(rows: Sequence[tuple[str, Rate | Estimate]], label: str) -> str:
    """Draw shares with their intervals, one below the other."""
    figure, axes = new_figure(4.6, 0.9 + 0.28 * max(2, len(rows)))
    for at, (_, share) in enumerate(rows):
        if share.value == share.value:
            axes.plot([share.low, share.high], [at, at], color=BLUE, lw=1.4)
            axes.plot(share.value, at, "o", color=BLUE, ms=5)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(label)
    return svg_of(figure)


PLOTS: dict[str, Callable[[Dashboard], str]] = {
    "queue": _queue,
    "labels": _labels_a_day,
    "bundle": _bundle,
    "teachers": _teachers,
}
