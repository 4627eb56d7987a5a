"""Who judges how well and at what price: labels only, the student, teachers, the upper bound."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.attacks import get_attacks
from buckler.dataset import Dataset
from buckler.dataset.splits import deduplicate, unlike
from buckler.evaluation.evaluation import Evaluation, Predictions, evaluate_predictions
from buckler.evaluation.intervals import Estimate
from buckler.evaluation.report import Comparison, figure_name, without_nan
from buckler.evaluation.robustness import Robustness
from buckler.evaluation.slices import slice_values
from buckler.files import write_atomically
from buckler.labels import LabelStore, open_existing
from buckler.labels.ledger import Ledger
from buckler.pipeline.evaluate import assess_scorer
from buckler.pipeline.recipe import Recipe, StudentSection
from buckler.pipeline.stages import StageOutput
from buckler.runtime import Scorer, load
from buckler.training.augmentation import attack_scorers
from buckler.training.fit import fit_student
from buckler.training.noise import Noise
from buckler.training.packaging import write_fitted
from buckler.training.targets import with_file_labels

LABELS_ONLY, STUDENT, UPPER_BOUND = "labels only", "this bundle", "upper bound: more true labels"
MIN_SPOKEN = 0.9  # of the test rows, for an annotator to stand in the table
_SINGLE = 300
_MIN_SECONDS = 0.3
_MIN_ROWS = 20_000


@dataclass(frozen=True)
class Judge:
    """A row of the table.

    Attributes
    ----------
    name
        Who.
    figures
        Name -> estimate on the test rows.
    parameters, size_bytes, events_per_second, usd_per_million, event_us
        None where it is not known; the last is the median time of a single event.
    """

    name: str
    figures: dict[str, Estimate]
    parameters: int | None = None
    size_bytes: int | None = None
    events_per_second: float | None = None
    usd_per_million: float | None = None
    event_us: float | None = None


def judge_bundle(
    name: str, path: Path, test: Dataset, n_resamples: int, assessed: Evaluation | None = None
) -> Judge:
    """Assess a bundle where that is not done yet, and time it: one thread, texts to verdicts."""
    scorer = load(path)
    assessment = assessed or assess_scorer(scorer, test, n_resamples=n_resamples)
    column = test.raw_texts
    # Texts that are parsed first take long enough by themselves.
    while len(column) < _MIN_ROWS and not scorer.parses_texts:
        column = _doubled(column)
    rounds, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < _MIN_SECONDS:
        scorer.score(column)
        rounds += 1
    return Judge(
        name,
        assessment.figures,
        scorer.manifest.provenance.get("parameters"),
        path.stat().st_size,
        rounds * len(column) / seconds,
        0.0,
        _median_us(scorer, test.raw_texts[:_SINGLE].to_pylist()),
    )


def _median_us(scorer: Scorer, texts: list[bytes]) -> float:
    """Return the median time of one event, in microseconds."""
    times = []
    for text in texts:
        started = time.perf_counter_ns()
        scorer.score_of(text)
        times.append(time.perf_counter_ns() - started)
    return float(np.median(times)) / 1000


def _doubled(column: Any) -> Any:
    return pa.chunked_array([*column.chunks, *column.chunks])


def judge_annotators(
    store: LabelStore, test: Dataset, speeds: dict[str, float], n_resamples: int
) -> list[Judge]:
    """Measure every annotator of the store that has judged nearly all test rows; humans aside."""
    task = test.task
    row_of = {event_id: row for row, event_id in enumerate(test.ids)}
    said: dict[int, npt.NDArray[np.float32]] = {}
    for batch in store.annotations(task):
        for event_id, annotator, p in zip(
            batch.event_ids, batch.annotators.tolist(), batch.probabilities, strict=True
        ):
            if event_id in row_of:
                if annotator not in said:
                    said[annotator] = np.full((len(test), len(task.classes)), np.nan, np.float32)
                said[annotator][row_of[event_id]] = p
    found = []
    for key, who in store.annotators().items():
        spoke = np.isfinite(said[key]).all(axis=1) if key in said else np.zeros(len(test), bool)
        if who.kind == "human" or spoke.mean() < MIN_SPOKEN:
            continue
        rows = np.flatnonzero(spoke)
        some = test.take(rows)
        assessed = _assess(said[key][rows], some, n_resamples)
        spent = Ledger(store, task, who).spent()
        name = f"{who.name} {who.version}".strip()
        cost = 1e6 * spent.cost_usd / spent.annotations if spent.annotations else None
        found.append(
            Judge(
                f"teacher: {name}",
                assessed.figures,
                events_per_second=speeds.get(name),
                usd_per_million=cost,
            )
        )
    return found


def _assess(p: npt.NDArray[np.float32], test: Dataset, n_resamples: int) -> Evaluation:
    task = test.task
    predictions = Predictions(
        p / np.maximum(p.sum(axis=1, keepdims=True), 1e-12),
        test.labels,
        test.group_codes(),
        classes=tuple(task.class_names),
        positive=tuple(task.class_names.index(name) for name in task.positive),
    )
    return evaluate_predictions(predictions, slices=slice_values(test), n_resamples=n_resamples)


def train_plain(
    path: Path,
    events: Dataset,
    student: StudentSection,
    deployed_fpr: float | None = None,
    noise: Noise = Noise.NONE,
) -> dict[str, Any]:
    """Write the bundle of a student that learns the labeled events and nothing else."""
    fitted = fit_student(
        events,
        student.family,
        student.settings,
        folds=student.folds,
        noise=noise,
        seed=student.seed,
    )
    write_fitted(path, fitted, events.task, deployed_fpr=deployed_fpr)
    return {"rows": fitted.n_rows}


def with_more_labels(train: Dataset, more: Dataset, test: Dataset) -> Dataset:
    """Return training rows and more labeled ones, none of which is like the test."""
    more = more.take(np.flatnonzero(more.labels >= 0))
    joined = Dataset.concat([train, more.take(unlike(more, test))])
    return deduplicate(joined, near=False).events


def comparison(judges: list[Judge], assessment: Evaluation) -> Comparison:
    """Return the table for the report."""
    positive = bool(assessment.positive)
    wanted = (
        [n for n in assessment.figures if n.startswith("tpr@fpr=")] + ["auroc"] if positive else []
    )
    names = [*wanted, "accuracy"]
    head = (
        "",
        *map(figure_name, names),
        "parameters",
        "bytes",
        "events/s",
        "one event, us",
        "USD per million",
    )
    rows = [
        (
            judge.name,
            *(str(judge.figures[name]) if name in judge.figures else "-" for name in names),
            _number(judge.parameters),
            _number(judge.size_bytes),
            _number(judge.events_per_second),
            "-" if judge.event_us is None else f"{judge.event_us:,.1f}",
            "-" if judge.usd_per_million is None else f"{judge.usd_per_million:,.2f}",
        )
        for judge in judges
    ]
    return Comparison(head, rows)


def save_comparison(judges: list[Judge], path: Path) -> None:
    """Write the figures as JSON."""
    document = without_nan([asdict(judge) for judge in judges])
    write_atomically(path, json.dumps(document, indent=1, allow_nan=False).encode() + b"\n")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def side_by_side(
    recipe: Recipe,
    step: Callable[..., StageOutput],
    read: StageOutput,
    split: StageOutput,
    train: StageOutput,
    test: Dataset,
    assessed: Evaluation,
    speeds: dict[str, float],
) -> list[Judge]:
    """Put the student beside others, where it has learned from more than labels.

    `step` runs a stage of the run; `assessed` is the student's own assessment; `speeds` are
    annotations a second by annotator.
    """
    task = test.task
    bound = recipe.compare.upper_bound
    if not (recipe.labels or recipe.pool or recipe.synthesis or bound):
        return []
    resamples, judges = recipe.evaluation.resamples, []
    rows = Dataset.load(split.folder / "train.arrow", task)
    labeled = with_file_labels(rows, Dataset.load(read.folder / "train.arrow", task))
    inputs = {"split": split.key, "read": read.key, "student": recipe.student.model_dump()}
    if len(np.unique(labeled.labels)) > 1:
        plain = step(
            "labels-only-1",
            inputs,
            lambda f: train_plain(f / "plain.buckler", labeled, recipe.student),
        )
        path = plain.folder / "plain.buckler"
        judges.append(judge_bundle(LABELS_ONLY, path, test, resamples))
    own = train.folder / f"{recipe.name or task.name}.buckler"
    judges.append(judge_bundle(STUDENT, own, test, resamples, assessed))
    if recipe.labels is not None:
        with open_existing(recipe.labels.store) as store:
            judges += judge_annotators(store, test, speeds, resamples)
    if bound:
        more = Dataset.load(read.folder / "upper_bound.arrow", task)
        whole = step(
            "upper-bound-1",
            inputs,
            lambda f: train_plain(
                f / "bound.buckler", with_more_labels(labeled, more, test), recipe.student
            ),
        )
        judges.append(judge_bundle(UPPER_BOUND, whole.folder / "bound.buckler", test, resamples))
    return judges


def under_attack(
    recipe: Recipe,
    step: Callable[..., StageOutput],
    split: StageOutput,
    train: StageOutput,
    test: Dataset,
) -> list[Robustness]:
    """Attack the student; where it learned from attacked copies, one that did not stands beside."""
    task = test.task
    attacks = get_attacks(recipe.evaluation.attacks, task.medium)
    bundles = {STUDENT: train.folder / f"{recipe.name or task.name}.buckler"}
    if recipe.augmentation is not None:
        rows = Dataset.load(split.folder / "train.arrow", task)
        plain = step(
            "not-augmented-1",
            {
                "split": split.key,
                "student": recipe.student.model_dump(),
                "deployed_fpr": recipe.evaluation.deployed_fpr,
            },
            lambda f: train_plain(
                f / "plain.buckler",
                rows,
                recipe.student,
                recipe.evaluation.deployed_fpr,
                recipe.student.noise,
            ),
        )
        bundles = {"not augmented": plain.folder / "plain.buckler", **bundles}
    scorers = {name: load(path) for name, path in bundles.items()}
    return attack_scorers(scorers, test, attacks, seed=recipe.student.seed)
