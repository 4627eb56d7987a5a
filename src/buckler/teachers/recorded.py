"""Annotations of an earlier run: from `buckler labels export`, or from any table of answers.

They repeat a run exactly, without its teacher.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from buckler.dataset import ColumnNames, Dataset, UnknownLabels, read_dataset
from buckler.errors import InputError, SettingsError
from buckler.files import reading, unique_keys
from buckler.labels import Annotation, Annotator
from buckler.labels.answer_columns import AnswerColumns, Answers, read_answers
from buckler.labels.exchange import read_answers_of
from buckler.tasks import Task
from buckler.teachers.teacher import (
    TEACHERS,
    Teacher,
    read_teacher_settings,
    require_settings,
)

_MAX_LINE_BYTES = 1 << 20
_NO_EVENT = bytes(16)


class RecordedSettings(BaseModel):
    """Settings of a recorded teacher whose answers stand in a table of its own form.

    Attributes
    ----------
    file
        Table of events, or of their digests, with an answer each.
    annotator, version, kind
        Annotator who gave the answers.
    text_column
        Column with the event; by default the task's usual names are tried.
    digest_column
        Column with the SHA-1 or SHA-256 of the event in hexadecimal, where the table has no event.
    label_column, probability_column, confidence_column, runner_up_column, rationale_column
        Columns of the answer; see `AnswerColumns`.
    confidence
        Probability that a label is right, in rows that state none.
    """

    model_config = ConfigDict(extra="forbid")

    file: Path
    annotator: str
    version: str = ""
    kind: str = "llm"
    text_column: str | None = None
    digest_column: str | None = None
    label_column: str | None = None
    probability_column: str | None = None
    confidence_column: str | None = None
    runner_up_column: str | None = None
    rationale_column: str | None = None
    confidence: float = Field(default=1.0, gt=0, le=1)

    @property
    def columns(self) -> AnswerColumns:
        """The columns of the answers."""
        return AnswerColumns(
            self.label_column,
            self.probability_column,
            self.confidence_column,
            self.runner_up_column,
            self.rationale_column,
        )


@TEACHERS.add
class RecordedTeacher(Teacher):
    """The annotations of one annotator from a file, found by the id or a digest of the event."""

    kind = "recorded"

    def __init__(
        self,
        annotator: Annotator,
        annotations: dict[bytes, Annotation],
        by_digest: dict[str, Annotation] | None = None,
    ) -> None:
        self.annotator = annotator
        self._annotations, self._by_digest = annotations, by_digest or {}

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> "RecordedTeacher":
        """Read an export (``.parquet`` or ``.jsonl``), or a ``.toml`` that describes a table.

        An export has the columns event_id, annotator, version, kind and p_CLASS for each class.

        Raises
        ------
        SettingsError
            If the file holds the annotations of several annotators, or of another task.
        InputError
            If it cannot be read.
        """
        path = require_settings(path, cls.kind, "a file that `buckler labels export` wrote")
        if path.suffix == ".toml":
            return cls._from_table(read_teacher_settings(path, cls.kind, RecordedSettings), task)
        annotations: dict[bytes, Annotation] = {}
        annotators: set[tuple[str, str, str]] = set()
        columns = [f"p_{name}" for name in task.classes]
        for number, row in enumerate(_rows(path), 1):
            try:
                event_id = bytes.fromhex(row["event_id"])
                probabilities = tuple(float(row[column]) for column in columns)
                annotations[event_id] = Annotation(
                    event_id,
                    probabilities,
                    float(row.get("confidence") or 1.0),
                    row.get("rationale") and str(row["rationale"]),
                    0.0,  # paid for where it was recorded
                    int(row.get("created_s") or 0),
                )
                annotators.add(
                    (
                        str(row["annotator"]),
                        str(row.get("version") or ""),
                        str(row.get("kind") or "model"),
                    )
                )
            except (KeyError, TypeError, ValueError, OverflowError, InputError) as error:
                raise SettingsError(
                    f"{path}: row {number} is no annotation on task {task.name!r} "
                    f"({type(error).__name__}: {str(error)[:80]})",
                    path=path,
                    row=number,
                ) from error
        if len(annotators) != 1:
            raise SettingsError(
                f"{path}: annotations of {len(annotators)} annotators; a recorded teacher is one",
                path=path,
            )
        return cls(Annotator(*annotators.pop()), annotations)

    @classmethod
    def _from_table(cls, settings: RecordedSettings, task: Task) -> "RecordedTeacher":
        annotator = Annotator(settings.annotator, settings.version, settings.kind)
        columns, path = settings.columns, settings.file
        try:
            if settings.digest_column is not None:
                table = pa.Table.from_pylist(list(_rows(path)))
                if settings.digest_column not in table.column_names:
                    raise InputError(f"no column named {settings.digest_column}")
                answers = read_answers(table, task, columns, settings.confidence)
                digests = [str(v).lower() for v in table.column(settings.digest_column).to_pylist()]
                found = zip(digests, _annotations(answers, [_NO_EVENT] * len(digests)), strict=True)
                return cls(annotator, {}, {d: a for d, a in found if a is not None})
            events = read_dataset(
                [path],
                task,
                ColumnNames(
                    settings.text_column,
                    settings.label_column,
                    keep=replace(columns, label=None).names,
                    unknown_labels=UnknownLabels.SET_ASIDE,
                ),
                labeled=settings.label_column is not None,
            )
            if settings.label_column is None:
                answers = read_answers(events.table, task, columns, settings.confidence)
            else:
                answers = read_answers_of(events, columns, settings.confidence)
            annotations = [a for a in _annotations(answers, events.ids) if a is not None]
        except InputError as error:
            raise InputError(f"{path}: {error}", path=path, field=error.field) from error
        return cls(annotator, {one.event_id: one for one in annotations})

    def annotate(self, events: Dataset) -> list[Annotation | None]:
        """Return the recorded annotation of each event."""
        if self._by_digest:
            pairs = zip(events.ids, events.raw_texts, strict=True)
            for event_id, text in ((i, t) for i, t in pairs if i not in self._annotations):
                if (found := self._find(text)) is not None:
                    self._annotations[event_id] = replace(found, event_id=event_id)
        return [self._annotations.get(i) for i in events.ids]

    def can_answer(self, events: Dataset) -> npt.NDArray[np.bool_]:
        """Return which events have a recorded annotation, bool [n]."""
        return np.array([one is not None for one in self.annotate(events)], bool)

    def _find(self, text: bytes) -> Annotation | None:
        """Return the annotation of an event, or of its first field alone, by its digest."""
        for part in dict.fromkeys((text, text.partition(b"\x1f")[0])):
            for digest in (sha1(part, usedforsecurity=False), sha256(part)):
                if (found := self._by_digest.get(digest.hexdigest())) is not None:
                    return found
        return None


def _annotations(answers: Answers, ids: list[bytes]) -> list[Annotation | None]:
    """Return an annotation for each row with an answer, None for the others."""
    found: list[Annotation | None] = [None] * len(ids)
    for row in answers.rows.tolist():
        found[row] = Annotation(
            ids[row],
            tuple(answers.probabilities[row].tolist()),
            float(answers.confidence[row]),
            answers.rationales[row],
        )
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with reading(path):
            if path.suffix == ".parquet":
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches():
                        yield from batch.to_pylist()
                return
            with path.open("rb") as lines:
                blocks = iter(lambda: lines.readline(_MAX_LINE_BYTES), b"")
                for number, line in enumerate(blocks, 1):
                    if not line.strip(b"\xef\xbb\xbf \t\r\n"):
                        continue
                    row = json.loads(line, object_pairs_hook=unique_keys)
                    if not isinstance(row, dict):
                        raise InputError(
                            f"{path}: line {number} is not a JSON object", path=path, row=number
                        )
                    yield row
    except (pa.ArrowInvalid, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: not a sound file of annotations: {str(error)[:100]}", path=path
        ) from error
