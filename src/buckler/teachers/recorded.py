"""Annotations of an earlier run, from a file that `buckler labels export` wrote.

They repeat a run exactly, without its teacher.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from buckler.dataset import Dataset
from buckler.errors import InputError, SettingsError
from buckler.files import reading, unique_keys
from buckler.labels import Annotation, Annotator
from buckler.tasks import Task
from buckler.teachers.teacher import TEACHERS, Teacher, require_settings

_MAX_LINE_BYTES = 1 << 20


@TEACHERS.add
class RecordedTeacher(Teacher):
    """The annotations of one annotator from a file, found by the hash of the event."""

    kind = "recorded"

    def __init__(self, annotator: Annotator, annotations: dict[bytes, Annotation]) -> None:
        self.annotator = annotator
        self._annotations = annotations

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> "RecordedTeacher":
        """Read ``.parquet`` or ``.jsonl`` with event_id, annotator, version, kind, p_CLASS.

        Raises
        ------
        SettingsError
            If the file holds the annotations of several annotators, or of another task.
        InputError
            If it cannot be read.
        """
        path = require_settings(path, cls.kind, "a file that `buckler labels export` wrote")
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

    def annotate(self, events: Dataset) -> list[Annotation | None]:
        """Return the recorded annotation of each event."""
        return [self._annotations.get(i) for i in events.ids]


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
