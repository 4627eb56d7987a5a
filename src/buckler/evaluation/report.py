"""The report: one self-contained HTML page, and the same figures as JSON."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from buckler.errors import MissingExtraError
from buckler.evaluation.evaluation import Evaluation
from buckler.evaluation.intervals import Estimate, Rate
from buckler.evaluation.plots import draw_all, draw_learning
from buckler.extras import import_extra
from buckler.files import write_atomically


@dataclass(frozen=True)
class Comparison:
    """A table that puts models, or anything else, side by side: heading, rows and caption."""

    heading: tuple[str, ...]
    rows: list[tuple[str, ...]]
    caption: str = (
        "The same test rows for all; 95 % intervals. The speed of a bundle is that of one thread, "
        "the speed of a teacher that of its run."
    )


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
    sources, options
        Figures by unseen source, and the thresholds that could be deployed.
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
    comparison: Comparison | None = None
    robustness: Comparison | None = None
    auxiliary: Comparison | None = None
    sources: Comparison | None = None
    options: Comparison | None = None
    headline: str = ""
    operating: Comparison | None = None
    deployed: Comparison | None = None
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


SOURCES_CAPTION = (
    "Each source scored by students that saw no event of its family, at the threshold of training, "
    "with 95 % intervals by group. AUROC within a source compares its own two kinds of events, so "
    "the source itself gives nothing away. A class with a single family cannot be left out: its "
    "source is marked as known."
)
OPERATING_CAPTION = (
    "Thresholds from events that the student had not learned, with their effect on these events "
    "and on the test rows. False alerts: in a day of a million events that are not positive. "
    "Precision: where one event in a thousand is positive."
)
DEPLOYED_CAPTION = "Test rows by true class, at the deployed threshold."
MISTAKES_CAPTION = (
    "Red raises the score, blue lowers it. The weights are those of the bundle; the "
    "events are test rows, cut to their beginning."
)
OPTIONS_CAPTION = (
    "Thresholds that could be deployed, and their effect on all unseen sources together. "
    "The rule names the negatives on which the false-positive rate holds."
)
AUXILIARY_CAPTION = (
    "Test rows with a known answer, with 95 % intervals; answers that the classifier did not learn "
    "count as wrong. Sure: a probability of one half or more."
)
ATTACK_CAPTION = (
    "Share of positive events detected at the deployed threshold, with intervals by group, before "
    "and after each attack, of the events to which the attack applies. Where no class is positive: "
    "the share of correct verdicts."
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
        "sources_caption": SOURCES_CAPTION,
        "options_caption": OPTIONS_CAPTION,
        "auxiliary_caption": AUXILIARY_CAPTION,
        "attack_caption": ATTACK_CAPTION,
        "operating_caption": OPERATING_CAPTION,
        "deployed_caption": DEPLOYED_CAPTION,
        "mistake_groups": [
            ("Worst false positives", [m for m in context.mistakes if not m.is_miss]),
            ("Worst misses", [m for m in context.mistakes if m.is_miss]),
        ],
        "mistakes_caption": MISTAKES_CAPTION,
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
        **vars(context),
        "notes": [*context.notes, *_own_notes(evaluation)],
        "comparison": _records(context.comparison),
        "robustness": _records(context.robustness),
        "auxiliary": _records(context.auxiliary),
        "sources": _records(context.sources),
        "options": _records(context.options),
        "operating": _records(context.operating),
        "deployed": _records(context.deployed),
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


def _records(table: Comparison | None) -> list[dict[str, str]] | None:
    if table is None:
        return None
    return [dict(zip(table.heading, row, strict=True)) for row in table.rows]


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


def rate_text(value: Rate, places: int = 4) -> str:
    """Return a share with its interval, or a dash where there are no rows."""
    if not value.n_rows:
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
