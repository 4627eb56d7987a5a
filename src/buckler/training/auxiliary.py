"""Further questions beside the task's own, such as which technique: learned, measured, bundled.

Each head is a student of its own, of the recipe's family, over the same normalized text; it ends as
a bundle inside the bundle.
"""

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler.bundle.manifest import AuxiliaryEntry
from buckler.bundle.reader import AUXILIARY
from buckler.dataset import Dataset
from buckler.dataset.deduplication import near_duplicate_clusters
from buckler.errors import InputError
from buckler.evaluation.intervals import Rate, bootstrap, rate
from buckler.evaluation.report import Comparison, rate_text
from buckler.evaluation.slices import slice_values
from buckler.files import write_atomically
from buckler.pipeline.recipe import HeadSection, Recipe, StudentSection
from buckler.runtime import load
from buckler.tasks import Task
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted

_FIGURES = "heads.json"
_SURE = 0.5
Answers = list[tuple[str, ...]]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Learned:
    """What a stage of heads left.

    Attributes
    ----------
    heads
        As a manifest lists them.
    files
        Their bundles, by the names that a bundle gives them.
    figures
        A record for each, for the report.
    """

    heads: tuple[AuxiliaryEntry, ...] = ()
    files: dict[str, bytes] | None = None
    figures: tuple[dict[str, Any], ...] = ()

    @staticmethod
    def read(folder: Path, sections: list[HeadSection]) -> "Learned":
        """Read what `learn_heads` wrote."""
        names = AUXILIARY[: len(sections)]
        return Learned(
            tuple(AuxiliaryEntry(section.name, section.on) for section in sections),
            {name: (folder / name).read_bytes() for name in names},
            tuple(json.loads((folder / _FIGURES).read_bytes())),
        )


def learn_heads(folder: Path, train: Dataset, test: Dataset, recipe: Recipe) -> dict[str, Any]:
    """Train each head of a recipe and measure it on the test rows; write bundles and figures.

    Raises
    ------
    InputError
        If the column of a head is missing, or too few events tell of it.
    """
    figures = []
    for section, name in zip(recipe.head, AUXILIARY, strict=False):
        figures.append(_learn(folder / name, train, test, section, recipe))
    write_atomically(folder / _FIGURES, json.dumps(figures).encode())
    return {figure["head"]: f"{figure['classes']} classes" for figure in figures}


def heads_table(figures: tuple[dict[str, Any], ...]) -> Comparison:
    """Return the figures of heads, for a report."""
    rows: list[tuple[str, ...]] = []
    for figure in figures:
        rows.append(
            (
                f"{figure['head']} ({figure['on']})",
                f"{figure['classes']:,} in {figure['training_rows']:,} rows",
                f"{figure['test_rows']:,}",
                f"{figure['not_learned']:,}",
                *(_text(figure["figures"].get(name)) for name in _MEASURES),
            )
        )
        for source, *values, not_learned in figure["sources"]:
            right = rate_text(Rate(*values))
            cells = ["-"] * (len(_MEASURES) - 1)
            rows.append((f"  {source}", "", f"{values[-1]:,}", f"{not_learned:,}", right, *cells))
    return Comparison(("head", "classes", "test rows", "of a class not learned", *_MEASURES), rows)


_MEASURES = ("right", "among three", "always the commonest", "share sure", "right where sure")


def _learn(
    path: Path, train: Dataset, test: Dataset, section: HeadSection, recipe: Recipe
) -> dict[str, Any]:
    rows, answers = _told(train, section)
    counts = Counter(value for found in answers for value in found)
    classes = sorted(value for value, n in counts.items() if n >= section.min_rows)
    if len(classes) < 2:
        raise InputError(
            f"head {section.name!r}: of the {len(counts):,} values of column {section.column!r} in "
            f"{len(rows):,} training rows, {len(classes)} have {section.min_rows} rows or more, "
            "and two are needed; lower min_rows, or tell more"
        )
    inner = _task(train.task, section, classes)
    learned = _labeled(train, rows, answers, inner, by_text=section.folds_by == "text")
    student: StudentSection = recipe.student
    fitted = fit_student(
        learned,
        student.family,
        {**student.settings, **section.student},
        folds=student.folds,
        seed=student.seed,
    )
    write_fitted(path, fitted, inner, provenance={"head": section.name, "column": section.column})
    probabilities, truth, asked = _judged(path, test, section)
    right = _right(probabilities, truth, classes, 1)
    known = np.array([bool(set(found) & set(classes)) for found in truth], bool)
    common = counts.most_common(1)[0][0]
    return {
        "head": section.name,
        "on": section.on,
        "classes": len(classes),
        "left_out": len(counts) - len(classes),
        "training_rows": len(learned),
        "test_rows": len(truth),
        "not_learned": int((~known).sum()),
        "figures": _measure(probabilities, truth, classes, common, asked, recipe),
        "sources": [
            [str(source), *vars(rate(right[of])).values(), int((~known[of]).sum())]
            for source, of in _sources(asked)
        ],
    }


def _told(events: Dataset, section: HeadSection) -> tuple[npt.NDArray[np.intp], Answers]:
    """Return the rows that the column tells something of, and what."""
    task = events.task
    column = section.column
    if column not in events.table.column_names:
        raise InputError(f"head {section.name!r}: no column named {column!r} in the data")
    asked = np.ones(len(events), bool)
    if section.on == "detections" and task.positive:
        asked = np.isin(events.labels, task.positive_indices)
    values = events.column(column)
    rows, answers = [], []
    for row in np.flatnonzero(asked):
        if found := section.values_in(values[row]):
            rows.append(row)
            answers.append(found)
    return np.array(rows, np.intp), answers


def _task(task: Task, section: HeadSection, classes: list[str]) -> Task:
    return replace(
        task,
        name=f"{task.name}/{section.name}",
        description=f"Which {section.name}, by column {section.column}",
        classes=dict.fromkeys(classes, ""),
        positive=(),
        aliases={},
        guidance="",
    )


def _labeled(
    events: Dataset,
    rows: npt.NDArray[np.intp],
    answers: Answers,
    task: Task,
    *,
    by_text: bool,
) -> Dataset:
    """Return the events whose answers are classes; one of several answers has all as its target."""
    index = {name: i for i, name in enumerate(task.classes)}
    kept, targets = [], []
    for row, found in zip(rows, answers, strict=True):
        known = [index[value] for value in found if value in index]
        if known:
            target = np.zeros(len(index), np.float32)
            target[known] = 1 / len(known)
            kept.append(row)
            targets.append(target)
    chosen = events.take(np.array(kept, np.intp))
    labels = np.array([target.argmax() for target in targets], np.int32)
    if by_text:
        chosen = chosen.with_groups([str(n) for n in near_duplicate_clusters(chosen.texts)])
    return replace(chosen, task=task, labels=labels, soft_targets=np.stack(targets))


def _judged(path: Path, test: Dataset, section: HeadSection) -> tuple[Floats, Answers, Dataset]:
    if section.column not in test.table.column_names:
        return np.zeros((0, 1), np.float32), [], test.take(np.zeros(0, np.intp))
    rows, answers = _told(test, section)
    asked = test.take(rows)
    verdicts = load(path).score(asked.raw_texts)
    return verdicts.probabilities, answers, asked


def _measure(
    probabilities: Floats,
    truth: Answers,
    classes: list[str],
    common: str,
    asked: Dataset,
    recipe: Recipe,
) -> dict[str, list[float]]:
    """Return each measure with its interval; what was not learned counts as wrong."""
    if not truth:
        return {}
    right, three = (_right(probabilities, truth, classes, k) for k in (1, 3))
    always = np.array([common in found for found in truth])
    sure = probabilities.max(axis=1) >= _SURE

    def measure(weights: npt.NDArray[np.float64] | None) -> dict[str, float]:
        w = np.ones(len(truth)) if weights is None else weights
        of_sure = float(w[sure].sum())
        hits = float(w[sure & right].sum())
        values = [float((flags * w).sum() / w.sum()) for flags in (right, three, always, sure)]
        return dict(
            zip(_MEASURES, [*values, hits / of_sure if of_sure else float("nan")], strict=True)
        )

    found = bootstrap(measure, asked.group_codes(), recipe.evaluation.resamples)
    return {k: [e.value, e.low, e.high] for k, e in found.items() if e.value == e.value}


def _right(
    probabilities: Floats, truth: Answers, classes: list[str], k: int
) -> npt.NDArray[np.bool_]:
    """Tell where a true answer is among the k likeliest classes."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    pairs = zip(order, truth, strict=True)
    return np.array([any(classes[i] in found for i in row) for row, found in pairs], bool)


def _sources(asked: Dataset) -> list[tuple[object, npt.NDArray[np.bool_]]]:
    values = slice_values(asked).get("source")
    if values is None:
        return []
    return [(name, values == name) for name in sorted({v for v in values if v is not None})]


def _text(estimate: list[float] | None) -> str:
    if estimate is None:
        return "-"
    value, low, high = estimate
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
