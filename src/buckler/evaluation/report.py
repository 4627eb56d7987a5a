"""The report: one self-contained HTML page, and the same figures as JSON."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np

from buckler.errors import MissingExtraError
from buckler.evaluation.evaluation import Evaluation
from buckler.evaluation.intervals import Estimate, Rate
from buckler.evaluation.plots import draw_all, draw_learning
from buckler.extras import import_extra
from buckler.files import write_atomically
from buckler.operating_point import OperatingCurve, OperatingPoint


@dataclass(frozen=True)
class ReportTable:
    """A table of a report: heading, rows and caption."""

    heading: tuple[str, ...]
    rows: list[tuple[str, ...]]
    caption: str = ""


@dataclass(frozen=True)
class LearningPoint:
    """A point of a learning curve.

    Attributes
    ----------
    n_events
        Own events that were learned.
    cost_usd
        Cost of their answers.
    auroc
        Area under the ROC curve on events that were not learned.
    """

    n_events: int
    cost_usd: float
    auroc: Estimate


@dataclass(frozen=True)
class Mistake:
    """A test row that the deployed threshold gets wrong.

    Attributes
    ----------
    is_miss
        True for a positive event that is not detected; else it is a false positive.
    score, label, source
        Score, true class, and source of the event.
    because
        Reason of the score in one sentence.
    runs
        Beginning of the event in runs: text, and how much it weighs toward the positive class, from
        -4 to 4.
    """

    is_miss: bool
    score: float
    label: str
    source: str
    because: str
    runs: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ReportContext:
    """The context of the figures in a report.

    Attributes
    ----------
    title
        Title of the page.
    lead
        Sentence that names the model and the test data.
    notes
        Caveats for the reader.
    provenance
        Name -> value: bundle, data, digests, versions.
    comparison
        The model beside other models and teachers.
    robustness
        Detection under attack.
    auxiliary
        Figures of the auxiliary classifiers.
    sources
        Tables of figures on unseen sources, by name; empty where the sources are not known.
    headline
        Effect of the deployed threshold, in one sentence.
    operating, deployed
        Usual false-positive rates with their thresholds and effects; detections by true class.
    mistakes
        Worst false positives and misses.
    learning
        Own events and dollars against quality, where a bundle was adapted.
    """

    title: str
    lead: str
    notes: tuple[str, ...]
    provenance: dict[str, str]
    comparison: ReportTable | None = None
    robustness: ReportTable | None = None
    auxiliary: ReportTable | None = None
    sources: Mapping[str, ReportTable] = field(default_factory=dict)
    headline: str = ""
    operating: ReportTable | None = None
    deployed: ReportTable | None = None
    mistakes: tuple[Mistake, ...] = ()
    learning: tuple[LearningPoint, ...] = ()


@dataclass(frozen=True)
class ReportFiles:
    """Files of a report; `html` is None without the extra `report`."""

    json: Path
    html: Path | None

    @staticmethod
    def write(stem: Path, figures: bytes, make_page: Callable[[], str]) -> "ReportFiles":
        """Write ``.json`` and, where the extra is installed, ``.html``.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        json_path, html_path = stem.with_suffix(".json"), stem.with_suffix(".html")
        write_atomically(json_path, figures)
        try:
            write_atomically(html_path, make_page().encode())
        except MissingExtraError:
            return ReportFiles(json_path, None)
        return ReportFiles(json_path, html_path)


_OPERATING_FPRS = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0001)
_BASE_RATE = 0.001  # of positive events, in the column of precision
_OPERATING_CAPTION = (
    "Thresholds from events that the student had not learned, with their effect on these events "
    "and on the test rows. False alerts: in a day of a million events that are not positive. "
    "Precision: where one event in a thousand is positive."
)
_MISTAKES_CAPTION = (
    "Red raises the score, blue lowers it. The weights are those of the bundle; the "
    "events are test rows, cut to their beginning."
)


def report_html(evaluation: Evaluation, context: ReportContext) -> str:
    """Return the page; everything that came from data is escaped.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    values = {
        **vars(context),
        "notes": [*context.notes, *_own_notes(evaluation)],
        "evaluation": evaluation,
        "mistake_groups": [
            ("Worst false positives", [m for m in context.mistakes if not m.is_miss]),
            ("Worst misses", [m for m in context.mistakes if m.is_miss]),
        ],
        "mistakes_caption": _MISTAKES_CAPTION,
        "figures": figure_rows(evaluation),
        "plots": {**draw_learning(context.learning), **draw_all(evaluation)},
        "slice_note": _slice_note(evaluation),
        "class_rows": _class_rows(evaluation),
        "number": number,
        "rate_text": rate_text,
    }
    return render_page("report.html.j2", values)


def report_json(evaluation: Evaluation, context: ReportContext) -> bytes:
    """Return the figures as JSON, with null for those that cannot be computed."""
    document = {
        **{name: _records(value) for name, value in vars(context).items()},
        "sources": None,
        **{name: _records(table) for name, table in context.sources.items()},
        "notes": [*context.notes, *_own_notes(evaluation)],
        "mistakes": [_mistake_record(mistake) for mistake in context.mistakes],
        "learning": [asdict(point) for point in context.learning],
        "classes": list(evaluation.classes),
        "positive": [evaluation.classes[i] for i in evaluation.positive],
        "n_rows": evaluation.n_rows,
        "class_counts": evaluation.class_counts,
        "figures": {name: asdict(estimate) for name, estimate in evaluation.figures.items()},
        "too_few_negatives_for_fpr": evaluation.too_few,
        "deployed_fpr": evaluation.deployed_fpr,
        "thresholds": [asdict(at) for at in evaluation.thresholds],
        "ece": evaluation.ece,
        "reliability": [asdict(each) for each in evaluation.reliability],
        "confusion": evaluation.confusion.tolist(),
        "f1": dict(zip(evaluation.classes, evaluation.f1.tolist(), strict=True)),
        "slices": [asdict(each) for each in evaluation.slices],
    }
    return json.dumps(without_nan(document), indent=1, allow_nan=False).encode() + b"\n"


def _mistake_record(mistake: Mistake) -> dict[str, object]:
    runs = "".join(text for text, _ in mistake.runs)
    return {**{k: v for k, v in vars(mistake).items() if k != "runs"}, "text": runs}


def _records(value: object) -> object:
    """Return a table as one object a row; any other value as it is."""
    if not isinstance(value, ReportTable):
        return value
    return [dict(zip(value.heading, row, strict=True)) for row in value.rows]


def without_nan(value: object) -> object:
    """Return a JSON document with null in place of every figure that cannot be computed."""
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


def rate_text(value: Rate | None, places: int = 4) -> str:
    """Return a share with its interval, or a dash where there are no rows."""
    if value is None or not value.n_rows:
        return "-"
    return f"{value.value:.{places}f} ({value.low:.{places}f} to {value.high:.{places}f})"


def figure_name(name: str) -> str:
    """Return the display name of a figure."""
    if name.startswith("tpr@fpr="):
        return f"Detection at FPR {name.removeprefix('tpr@fpr=')}"
    return {"auroc": "AUROC"}.get(name, name[0].upper() + name[1:])


def figure_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Return (name, value, interval) of every figure, including those with too few negatives."""
    rows = {
        name: (figure_name(name), number(estimate.value), _interval(estimate))
        for name, estimate in evaluation.figures.items()
    }
    for target in evaluation.too_few:
        name = f"tpr@fpr={target:g}"
        rows[name] = (figure_name(name), "too few negatives to say", "")
    rates = [name for name in rows if name.startswith("tpr@fpr=")]
    ranking = [name for name in ("auroc", "average precision") if name in rows]
    rest = [name for name in rows if name not in (*rates, *ranking)]
    return [
        *(rows[name] for name in (*ranking, *rates, *rest)),
        ("ECE", number(evaluation.ece), ""),
    ]


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return "" if math.isnan(estimate.value) else "one group, no interval"
    return f"{estimate.low:.4f} to {estimate.high:.4f}"


def _slice_note(evaluation: Evaluation) -> str:
    if not evaluation.positive:
        return "Accuracy of the likeliest class, with intervals by group."
    if evaluation.deployed_fpr is None:
        return "A detection is a verdict of a positive class."
    return (
        f"Detection and false positives at the deployed threshold (FPR {evaluation.deployed_fpr:g} "
        "on validation data), with intervals by group."
    )


def _class_rows(evaluation: Evaluation) -> list[tuple[str, str, str, str, str]]:
    """Return (name, rows, recall, precision, F1) of every class."""
    rows = []
    for i, name in enumerate(evaluation.classes):
        hits = int(evaluation.confusion[i, i])
        true, predicted = int(evaluation.confusion[i].sum()), int(evaluation.confusion[:, i].sum())
        recall = number(hits / true) if true else "-"
        precision = number(hits / predicted) if predicted else "-"
        rows.append((name, f"{true:,}", recall, precision, number(float(evaluation.f1[i]))))
    return rows


def _own_notes(evaluation: Evaluation) -> list[str]:
    notes = []
    if evaluation.too_few:
        rates = ", ".join(f"{t:g}" for t in evaluation.too_few)
        others = evaluation.n_rows - int(evaluation.is_positive.sum())
        notes.append(f"{others:,} rows that are not positive are too few to measure FPR {rates}.")
    for i, n in enumerate(evaluation.class_counts):
        if n == 0:
            notes.append(f"No test row is of class {evaluation.classes[i]}.")
    return notes


# --- the deployed threshold and others -----------------------------------------------------------


def headline_sentence(evaluation: Evaluation) -> str:
    """Return what the deployed threshold does on the test rows, in one sentence."""
    rows = f"{evaluation.n_rows:,} test rows"
    if not evaluation.positive:
        right = evaluation.confusion.trace() / max(1, evaluation.confusion.sum())
        return f"Of 100 test rows, {100 * right:.0f} get the right class ({rows})."
    at = evaluation.deployed_result
    names = " or ".join(evaluation.classes[i] for i in evaluation.positive[:3])
    if at is None or not at.detection.n_rows:
        return f"No threshold is deployed, or no test row is {names} ({rows})."
    detection = f"detects {100 * at.detection.value:.0f} of 100 {names} events"
    if not at.false_positives.n_rows:
        return f"At the deployed threshold, the bundle {detection} ({rows})."
    share = at.false_positives.value
    false = "no false positive"
    if share:
        false = (
            f"1 false positive in {round(1 / share):,}"
            if share < 0.05
            else (f"{100 * share:.0f} false positives in 100")
        )
    n = at.false_positives.n_rows
    return f"At the deployed threshold, the bundle {detection}; {false} others ({n:,} of {rows})."


def operating_table(evaluation: Evaluation, curve: OperatingCurve | None) -> ReportTable | None:
    """Return usual false-positive rates with their thresholds and effects; None without a curve."""
    if curve is None or not evaluation.positive:
        return None
    heading = (
        *("target FPR", "threshold", "detection, held out", "false alerts a day"),
        *("precision at 1 in 1,000", "detection, test rows", "FPR, test rows"),
    )
    rows: list[tuple[str, ...]] = []
    score, kinds = evaluation.score, (evaluation.is_positive, ~evaluation.is_positive)
    for fpr in _OPERATING_FPRS:
        if fpr < curve.least_fpr:
            continue
        threshold = curve.threshold(OperatingPoint(fpr=fpr))
        false, recall = curve.rates_at(threshold)
        false = max(false, curve.least_fpr)
        precision = _BASE_RATE * recall / (_BASE_RATE * recall + (1 - _BASE_RATE) * false)
        detected = score >= np.float32(threshold)
        on_test = [number(float(detected[kind].mean())) if kind.any() else "-" for kind in kinds]
        false_alerts, share = f"{false * 1e6:,.0f}", f"{precision:.2f}"
        rows.append(
            (f"{fpr:g}", f"{threshold:.4f}", f"{recall:.3f}", false_alerts, share, *on_test)
        )
    return ReportTable(heading, rows, _OPERATING_CAPTION) if rows else None


def deployed_table(evaluation: Evaluation) -> ReportTable | None:
    """Return how many rows of each class are detected at the deployed threshold."""
    at = evaluation.deployed_result
    if at is None or not evaluation.positive:
        return None
    detected = evaluation.score >= np.float32(at.score)
    rows: list[tuple[str, ...]] = []
    for name, kind in (("positive", evaluation.is_positive), ("others", ~evaluation.is_positive)):
        n, hits = int(kind.sum()), int(detected[kind].sum())
        rows.append((name, f"{n:,}", f"{hits:,}", f"{n - hits:,}"))
    heading = ("true class", "rows", "detected", "not detected")
    return ReportTable(heading, rows, "Test rows by true class, at the deployed threshold.")


def render_page(template: str, values: Mapping[str, object]) -> str:
    """Return a self-contained HTML page from a template beside this module, all values escaped.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    jinja2 = import_extra("jinja2", "the HTML report", "report")
    here = files("buckler.evaluation")
    loader = jinja2.FunctionLoader(lambda name: here.joinpath(name).read_text("utf-8"))
    environment = jinja2.Environment(autoescape=True, loader=loader)
    return str(environment.get_template(template).render(values))
