"""Synthetic examples, and the marked file that holds them.

A file of synthetic examples has no text column: each text stands encoded behind a mark. It can neither be
run nor sent by mistake, no scanner stumbles over it, and nobody takes it for real events.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from buckler.dataset import Dataset
from buckler.dataset.dataset import MADE_FROM
from buckler.errors import InputError, OutputError
from buckler.synthesis.safeguards import dressed
from buckler.tasks import Task

SYNTHETIC_EXAMPLE = "synthetic_example"  # the source of synthetic examples among events
MARK = "buckler-synthetic_example:1:"
MAX_SYNTHETIC_EXAMPLE_BYTES = 1 << 18
_SCHEMA = pa.schema(
    [
        ("synthetic_example", pa.string()),
        ("class", pa.string()),
        ("cell", pa.string()),
        ("attributes", pa.string()),
        ("writer", pa.string()),
        ("writer_version", pa.string()),
        ("made_from", pa.list_(pa.string())),
    ]
)
_NOTICE = b"synthetic, for training a detector; names and addresses in it are reserved ones"


@dataclass(frozen=True)
class SyntheticExample:
    """A text that somebody made up.

    Attributes
    ----------
    text
        With reserved names and addresses only.
    label
        Class name.
    cell
        Name of the plan's cell that it was written for.
    attributes
        Of the cell.
    writer, version
        Who wrote it.
    made_from
        Groups of the real events that the writer was shown: where one of them is held out, so must
        the synthetic example be.
    """

    text: str
    label: str
    cell: str
    attributes: dict[str, str]
    writer: str
    version: str
    made_from: tuple[str, ...] = ()


def encoded(text: str) -> str:
    """Return a text in the form in which it is stored."""
    return MARK + base64.b64encode(text.encode()).decode("ascii")


def decoded(stored: str) -> str:
    """Return the text again.

    Raises
    ------
    InputError
        If it is not what `encoded` made.
    """
    if not stored.startswith(MARK):
        raise InputError("not a synthetic example: its mark is missing")
    try:
        return base64.b64decode(stored[len(MARK) :], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"not a sound synthetic example ({type(error).__name__})") from error


def as_events(synthetic_examples: Sequence[SyntheticExample], task: Task) -> Dataset:
    """Return synthetic examples as a student should see them (`dressed`), in memory only.

    They have no group of their own; `MADE_FROM` says which real groups they stem from. Their ids
    are of another kind than those of real events.
    """
    raw = [dressed(s.text).encode() for s in synthetic_examples]
    ids = [blake2b(text, digest_size=16, person=b"synthetic").digest() for text in raw]
    events = Dataset.from_texts(
        raw,
        task,
        ids=ids,
        labels=[s.label for s in synthetic_examples],
        sources=[SYNTHETIC_EXAMPLE] * len(raw),
    )
    made_from = pa.array([list(s.made_from) for s in synthetic_examples], pa.list_(pa.string()))
    return events.with_column(MADE_FROM, made_from)


def write_synthetic_examples(
    path: Path, synthetic_examples: Sequence[SyntheticExample], task: Task, report: Any
) -> None:
    """Write a Parquet file; `report` (JSON types) goes with it.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    rows = [
        {
            "synthetic_example": encoded(s.text),
            "class": s.label,
            "cell": s.cell,
            "attributes": json.dumps(s.attributes),
            "writer": s.writer,
            "writer_version": s.version,
            "made_from": list(s.made_from),
        }
        for s in synthetic_examples
    ]
    table = pa.Table.from_pylist(rows, _SCHEMA).replace_schema_metadata(
        {
            b"buckler.synthetic_examples": _NOTICE,
            b"buckler.task": task.name.encode(),
            b"buckler.report": json.dumps(report).encode(),
        }
    )
    partial = path.with_name(path.name + ".partial")
    try:
        pq.write_table(table, partial)
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error})") from error


def read_synthetic_examples(path: Path, task: Task) -> tuple[list[SyntheticExample], Any]:
    """Return the synthetic examples of a file, and the report that goes with them.

    Raises
    ------
    InputError
        If it is no file of synthetic examples of this task.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({str(error)[:100]})") from error
    metadata = table.schema.metadata or {}
    if b"buckler.synthetic_examples" not in metadata or table.schema.names != _SCHEMA.names:
        raise InputError(
            f"{path}: not a file of synthetic examples; `buckler synthesize` writes them"
        )
    if metadata.get(b"buckler.task", b"").decode("utf-8", "replace") != task.name:
        raise InputError(f"{path}: synthetic examples of another task than {task.name!r}")
    found = []
    for number, row in enumerate(table.to_pylist(), 1):
        try:
            if row["class"] not in task.classes:
                raise InputError(f"no class {str(row['class'])[:40]!r}")
            if len(row["synthetic_example"]) > 2 * MAX_SYNTHETIC_EXAMPLE_BYTES:
                raise InputError("longer than a synthetic example may be")
            attributes = {str(k): str(v) for k, v in json.loads(row["attributes"]).items()}
            found.append(
                SyntheticExample(
                    decoded(row["synthetic_example"]),
                    row["class"],
                    str(row["cell"]),
                    attributes,
                    str(row["writer"]),
                    str(row["writer_version"]),
                    tuple(map(str, row["made_from"])),
                )
            )
        except (InputError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: row {number}: {str(error)[:100]}") from error
    try:
        report = json.loads(metadata.get(b"buckler.report", b"{}"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its report is no JSON") from error
    return found, report
