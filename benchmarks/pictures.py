"""Draws the pictures of the README: `python -m benchmarks.pictures`.

`score.svg` shows what a ready-made bundle says of a URL. `labels.svg` and `annotations.svg` plot
tables of docs/study.md, so that a chart and its table cannot differ.
"""

import html
import re
from pathlib import Path

import buckler
from buckler.runtime.verdicts import Verdict

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "images"
URL = "https://paypal-login.secure-verify.xyz/account/update"
LABELS = {
    "0 annotations": "labels only",
    "1,100 annotations": "and 1,100 LLM annotations",
    "7,100 annotations": "and 7,100",
    "14,300 annotations": "and 14,300",
    "14,300, another prior": "and 14,300, another prior",
}
ANNOTATIONS = {"`random`": "drawn at random", "`uncertain`": "chosen by uncertainty"}
_LETTER, _SIZE, _LEFT = 13.2, 22, 28  # pixels of a monospaced letter at this size
_CURVES = ("#8c959f", "#bf8700", "#d1242f", "#0969da", "#1a7f37")
_FOR, _AGAINST, _INK, _GRAY = "#d1242f", "#1a7f37", "#1f2328", "#656d76"


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    verdict = buckler.load("url").score_one(URL, top=8)
    (PICTURES / "score.svg").write_text(score_picture(URL, verdict))
    study = (ROOT / "docs" / "study.md").read_text()
    plot_table(study, "human labels", LABELS, PICTURES / "labels.svg")
    plot_table(study, "annotations known", ANNOTATIONS, PICTURES / "annotations.svg")


def score_picture(event: str, verdict: Verdict) -> str:
    """Return an event with its pieces marked, and its score beside the threshold, as SVG."""
    explanation = verdict.explanation
    assert explanation is not None
    width = int(2 * _LEFT + _LETTER * len(event))
    named = [piece for piece in explanation.contributions if piece.start is not None]
    strongest = max(abs(piece.weight) for piece in named)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="190" '
        f'viewBox="0 0 {width} 190" role="img" font-family="monospace">',
        f"<title>{html.escape(explanation.because)}</title>",
        f'<rect width="{width}" height="190" rx="10" fill="#f6f8fa"/>',
    ]
    for piece in named:
        x, n = _LEFT + _LETTER * (piece.start or 0), (piece.end or 0) - (piece.start or 0)
        color = _FOR if piece.weight > 0 else _AGAINST
        shade = 0.12 + 0.4 * abs(piece.weight) / strongest
        parts.append(
            f'<rect x="{x:.1f}" y="24" width="{_LETTER * n:.1f}" height="34" rx="5" '
            f'fill="{color}" fill-opacity="{shade:.2f}"/>'
        )
    parts.append(
        f'<text x="{_LEFT}" y="48" font-size="{_SIZE}" textLength="{_LETTER * len(event):.1f}" '
        f'fill="{_INK}">{html.escape(event)}</text>'
    )
    length = width - 2 * _LEFT
    at, threshold = (_LEFT + length * value for value in (verdict.score, verdict.threshold or 0.5))
    state = "detection" if verdict.detected else "no detection"
    parts += [
        f'<rect x="{_LEFT}" y="88" width="{length}" height="10" rx="5" fill="#d0d7de"/>',
        f'<rect x="{_LEFT}" y="88" width="{at - _LEFT:.1f}" height="10" rx="5" fill="{_FOR}"/>',
        f'<rect x="{threshold - 1:.1f}" y="80" width="3" height="26" fill="{_INK}"/>',
        f'<text x="{threshold - 6:.1f}" y="124" font-size="14" text-anchor="end" '
        f'fill="{_GRAY}">threshold {verdict.threshold:.3f}</text>',
        f'<text x="{_LEFT}" y="124" font-size="14" fill="{_INK}">'
        f"{verdict.label} {verdict.score:.3f}: {state}</text>",
        f'<text x="{_LEFT}" y="164" font-size="14" fill="{_GRAY}">'
        f"red: for {verdict.label}; green: against; stronger color, more weight</text>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def plot_table(study: str, corner: str, curves: dict[str, str], path: Path) -> None:
    """Plot accuracy against a number, from the first table of the study with this corner cell."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"svg.hashsalt": "buckler", "font.size": 12})
    rows = [re.split(r" *\| *", line.strip("| \n")) for line in study.splitlines() if "|" in line]
    first = next(i for i, row in enumerate(rows) if row[0] == corner)
    found = {row[0]: row[1:] for row in reversed(rows[first + 2 :]) if row[0] in curves}
    ticks = range(len(rows[first]) - 1)
    figure, axes = pyplot.subplots(figsize=(7.2, 4.6), layout="constrained")
    for (name, label), color in zip(curves.items(), _CURVES, strict=False):
        points = [(x, *_estimate(cell)) for x, cell in zip(ticks, found[name], strict=True)]
        x, mean, half = zip(*(point for point in points if point[1] is not None), strict=True)
        axes.errorbar(x, mean, half, marker="o", capsize=3, label=label, color=color)
    axes.set_xticks(list(ticks), rows[first][1:])
    axes.set_xlabel(corner)
    axes.set_ylabel("accuracy, 29 site categories")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, metadata={"Date": None})


def _estimate(cell: str) -> tuple[float | None, float]:
    """Return the mean and half the width of the interval of a cell; None where it has none."""
    mean, _, half = cell.partition(" ± ")
    return (None if mean == "-" else float(mean)), float(half or 0)


if __name__ == "__main__":
    main()
