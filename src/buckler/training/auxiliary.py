"""Auxiliary classifiers: further questions about an event, such as which technique it shows.

Each is a student of its own, of the recipe's family, over the same normalized text. It ends as a
bundle inside the bundle.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from buckler.bundle.archive import AUXILIARY
from buckler.bundle.manifest import AUXILIARY_NAME
from buckler.bundle.writer import pack
from buckler.dataset import Dataset
from buckler.dataset.splits import near_duplicate_clusters
from buckler.errors import InputError
from buckler.evaluation.evaluation import slice_values
from buckler.evaluation.intervals import Estimate, Rate, bootstrap, rate
from buckler.evaluation.report import ReportTable, rate_text
from buckler.files import read_bytes
from buckler.runtime import Scorer
from buckler.tasks import Task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import bundle_parts

_FIGURES = "figures.json"
_CONFIDENT = 0.5
_MEASURES = (
    "right",
    "among three",
    "always the commonest",
    "share confident",
    "right if confident",
)
_CAPTION = (
    "Test rows with a known answer, with 95 % intervals; answers that the classifier did not learn "
    "count as wrong. Sure: a probability of one half or more."
)
Floats = npt.NDArray[np.float32]


class AuxiliarySettings(BaseModel):
    """A further question, which a column of the data answers for some events.

    Attributes
    ----------
    name
        Name of the column in verdicts, such as ``technique``.
    column
        Column of the data; by default the same name.
    on
        ``detections``: learned from events of positive classes and asked about detections;
        ``all``: about every event.
    separator
        Separator of several answers in a cell; any of them is right.
    cut_at
        Text at which an answer ends: ``"."`` takes the technique of a sub-technique.
    min_rows
        Answers with fewer training rows are not learned.
    folds_by
        ``group``, or ``text`` where the groups are the answers themselves, so that a fold by group
        could never know them: near-duplicates stay together then.
    student
        Settings of the family that differ from the recipe's.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    column: str = ""
    on: Literal["detections", "all"] = "detections"
    separator: str = ""
    cut_at: str = ""
    min_rows: int = Field(default=20, ge=2)
    folds_by: Literal["group", "text"] = "group"
    student: dict[str, object] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not re.fullmatch(AUXILIARY_NAME, self.name):
            raise ValueError(
                "the name of an auxiliary classifier is a lower-case word that no column of "
                "verdicts has, such as technique"
            )
        self.column = self.column or self.name
        return self

    def values_in(self, cell: object) -> tuple[str, ...]:
        """Return the answers in a cell, each once; none where it is empty."""
        text = "" if cell is None else str(cell)
        parts = text.split(self.separator) if self.separator else [text]
        if self.cut_at:
            parts = [part.partition(self.cut_at)[0] for part in parts]
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


@dataclass(frozen=True)
class AuxiliaryFigures:
    """Figures of an auxiliary classifier on the test rows.

    Attributes
    ----------
    name, on
        Name of the question, and the events that it is asked about.
    n_classes
        Answers that are learned.
    training_rows, test_rows, unknown_rows
        Rows with an answer; the last are test rows whose answer is not learned.
    measures
        Name of a measure -> estimate.
    sources
        Source, share of right answers with its interval and rows, and rows of unknown answers.
    """

    name: str
    on: str
    n_classes: int
    training_rows: int
    test_rows: int
    unknown_rows: int
    measures: dict[str, Estimate]
    sources: list[tuple[str, Rate, int]]


@dataclass(frozen=True)
class AuxiliaryClassifiers:
    """Trained auxiliary classifiers.

    Attributes
    ----------
    files
        Their bundles, by their names in the outer bundle.
    figures
        Figures of each, for the report.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    figures: tuple[AuxiliaryFigures, ...] = ()

    def save(self, folder: Path) -> None:
        """Write bundles and figures into a folder."""
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        text = json.dumps([asdict(figures) for figures in self.figures])
        (folder / _FIGURES).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, task: Task) -> "AuxiliaryClassifiers":  # noqa: ARG003
        """Read what `save` wrote."""
        figures = []
        for record in json.loads(read_bytes(folder / _FIGURES)):
            measures = {name: Estimate(**values) for name, values in record["measures"].items()}
            sources = [(name, Rate(**right), n) for name, right, n in record["sources"]]
            figures.append(AuxiliaryFigures(**record | {"measures": measures, "sources": sources}))
        files = {name: read_bytes(folder / name) for name in AUXILIARY[: len(figures)]}
        return cls(files, tuple(figures))


def fit_auxiliary(
    training: Dataset,
    test: Dataset,
    questions: Sequence[AuxiliarySettings],
    spec: StudentSpec,
    n_resamples: int,
) -> AuxiliaryClassifiers:
    """Train an auxiliary classifier for each question and measure it on the test rows.

    Raises
    ------
    InputError
        If the column of a question is missing, or too few events have an answer.
    """
    found = AuxiliaryClassifiers()
    for file, question in zip(AUXILIARY, questions, strict=False):
        answered = _find_answered(training, question)
        task = _task_of(question, answered)
        examples = _examples(answered, task, by_text=question.folds_by == "text")
        whole = {"segments": "none"} if "segments" in spec.settings else {}  # no positive class
        fitted = fit_student(examples, spec.with_settings({**whole, **question.student}))
        provenance = {"auxiliary": question.name, "column": question.column}
        bundle = bundle_parts(question.name, fitted, provenance=provenance).assemble()
        asked = answered.take([])
        if question.column in test.table.column_names:
            asked = _find_answered(test, question)
        measurement = _Measurement.of(Scorer(bundle), asked, answered.commonest)
        figures = AuxiliaryFigures(
            name=question.name,
            on=question.on,
            n_classes=len(task.classes),
            training_rows=len(examples),
            test_rows=len(asked.answers),
            unknown_rows=int((~measurement.known).sum()),
            measures=measurement.measures(n_resamples),
            sources=measurement.sources(),
        )
        files = {**found.files, file: pack(bundle.entries)}
        found = AuxiliaryClassifiers(files, (*found.figures, figures))
    return found


@dataclass(frozen=True)
class _AnsweredEvents:
    """Events whose column holds an answer, and the answers; several may be right."""

    events: Dataset
    answers: list[tuple[str, ...]]

    def take(self, rows: Sequence[int]) -> "_AnsweredEvents":
        return _AnsweredEvents(
            self.events.take(np.array(rows, np.intp)), [self.answers[row] for row in rows]
        )

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(value for answers in self.answers for value in answers)

    @property
    def commonest(self) -> str:
        return self.counts.most_common(1)[0][0]


def _find_answered(events: Dataset, question: AuxiliarySettings) -> _AnsweredEvents:
    if question.column not in events.table.column_names:
        raise InputError(
            f"auxiliary classifier {question.name!r}: no column named {question.column!r} in the "
            "data",
            field=question.column,
        )
    asked = np.ones(len(events), bool)
    if question.on == "detections" and events.task.positive:
        asked = events.is_positive
    cells = [question.values_in(cell) for cell in events.column(question.column)]
    rows = [row for row in np.flatnonzero(asked).tolist() if cells[row]]
    return _AnsweredEvents(events.take(np.array(rows, np.intp)), [cells[row] for row in rows])


def _task_of(question: AuxiliarySettings, answered: _AnsweredEvents) -> Task:
    """Return the task whose classes are the answers that are frequent enough."""
    counts = answered.counts
    classes = sorted(value for value, n in counts.items() if n >= question.min_rows)
    if len(classes) < 2:
        raise InputError(
            f"auxiliary classifier {question.name!r}: of the {len(counts):,} values of column "
            f"{question.column!r} in {len(answered.answers):,} training rows, {len(classes)} have "
            f"{question.min_rows} rows or more, and two are needed; lower min_rows, or add rows",
            field=question.column,
        )
    return replace(
        answered.events.task,
        name=f"{answered.events.task.name}/{question.name}",
        description=f"Which {question.name}, by column {question.column}",
        classes=dict.fromkeys(classes, ""),
        positive=(),
        aliases={},
        guidance="",
    )


def _examples(answered: _AnsweredEvents, task: Task, *, by_text: bool) -> Dataset:
    """Return the events whose answers are classes; several answers of an event share its target."""
    index = {name: i for i, name in enumerate(task.classes)}
    targets = np.zeros((len(answered.answers), len(index)), np.float32)
    for row, answers in enumerate(answered.answers):
        targets[row, [index[value] for value in answers if value in index]] = 1
    rows = np.flatnonzero(targets.any(axis=1))
    targets = targets[rows] / targets[rows].sum(axis=1, keepdims=True)
    events = answered.events.take(rows)
    if by_text:
        events = events.with_groups([str(n) for n in near_duplicate_clusters(events.texts)])
    labels = targets.argmax(axis=1).astype(np.int32)
    return replace(events, task=task, labels=labels, soft_targets=targets)


@dataclass(frozen=True)
class _Measurement:
    """Test events with flags that say how they were answered."""

    events: Dataset
    known: npt.NDArray[np.bool_]  # an answer of the event is a class
    right: npt.NDArray[np.bool_]
    among_three: npt.NDArray[np.bool_]
    commonest: npt.NDArray[np.bool_]
    confident: npt.NDArray[np.bool_]

    @staticmethod
    def of(scorer: Scorer, asked: _AnsweredEvents, commonest: str) -> "_Measurement":
        probabilities = scorer.score(asked.events.raw).probabilities
        order = np.argsort(-probabilities, axis=1, kind="stable")

        def within(k: int) -> npt.NDArray[np.bool_]:
            pairs = zip(order[:, :k], asked.answers, strict=True)
            return np.array(
                [any(scorer.classes[i] in own for i in row) for row, own in pairs], bool
            )

        return _Measurement(
            asked.events,
            known=np.array(
                [not set(own).isdisjoint(scorer.classes) for own in asked.answers], bool
            ),
            right=within(1),
            among_three=within(3),
            commonest=np.array([commonest in own for own in asked.answers], bool),
            confident=probabilities.max(axis=1, initial=0) >= _CONFIDENT,
        )

    def measures(self, n_resamples: int) -> dict[str, Estimate]:
        """Return each measure with its interval; an answer that is not learned counts as wrong."""
        if not len(self.events):
            return {}
        flags = (self.right, self.among_three, self.commonest, self.confident)

        def measure(weights: npt.NDArray[np.float64] | None) -> dict[str, float]:
            w = np.ones(len(self.events)) if weights is None else weights
            confident = float(w[self.confident].sum())
            hits = float(w[self.confident & self.right].sum())
            values = [float((one * w).sum() / w.sum()) for one in flags]
            values.append(hits / confident if confident else float("nan"))
            return dict(zip(_MEASURES, values, strict=True))

        found = bootstrap(measure, self.events.group_codes(), n_resamples)
        return {name: one for name, one in found.items() if one.value == one.value}

    def sources(self) -> list[tuple[str, Rate, int]]:
        """Return each source with its share of right answers and its rows of unknown answers."""
        values = slice_values(self.events).get("source")
        if values is None:
            return []
        groups, found = self.events.group_codes(), []
        for name in sorted({value for value in values if value is not None}):
            own = values == name
            n_unknown = int((~self.known[own]).sum())
            found.append((str(name), rate(self.right[own], groups[own]), n_unknown))
        return found


def auxiliary_table(figures: Sequence[AuxiliaryFigures]) -> ReportTable:
    """Return the figures of auxiliary classifiers as a table of the report."""
    heading = ("auxiliary classifier", "classes", "test rows", "of an unknown answer", *_MEASURES)
    rows: list[tuple[str, ...]] = []
    for one in figures:
        rows.append(
            (
                f"{one.name} ({one.on})",
                f"{one.n_classes:,} in {one.training_rows:,} rows",
                f"{one.test_rows:,}",
                f"{one.unknown_rows:,}",
                *(str(one.measures.get(name, "-")) for name in _MEASURES),
            )
        )
        empty = ["-"] * (len(_MEASURES) - 1)
        for source, right, unknown in one.sources:
            cells = ("", f"{right.n_rows:,}", f"{unknown:,}", rate_text(right), *empty)
            rows.append((f"  {source}", *cells))
    return ReportTable(heading, rows, _CAPTION)
