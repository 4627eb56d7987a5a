"""Specimens, and the marked file that holds them.

A file of specimens has no text column: each text stands encoded behind a mark. It can neither be
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

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from buckler.errors import InputError, OutputError
from buckler.events import Events
from buckler.events.collect import EVENT_SCHEMA, MADE_FROM
from buckler.synthesis.safeguards import dressed
from buckler.tasks import Task

SPECIMEN = "specimen"  # the source of specimens among events
MARK = "buckler-specimen:1:"
MAX_SPECIMEN_BYTES = 1 << 18
_SCHEMA = pa.schema(
    [
        ("specimen", pa.string()),
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
class Specimen:
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
        the specimen be.
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
        raise InputError("not a specimen: its mark is missing")
    try:
        return base64.b64decode(stored[len(MARK) :], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"not a sound specimen ({type(error).__name__})") from error


def as_events(specimens: Sequence[Specimen], task: Task) -> Events:
    """Return specimens as a student should see them (`dressed`), in memory only.

    They have no group of their own; `MADE_FROM` says which real groups they stem from. Their ids
    are of another kind than those of real events.
    """
    raw = [dressed(s.text).encode() for s in specimens]
    ids = [blake2b(text, digest_size=16, person=b"specimen").digest() for text in raw]
    text = pa.array(raw, pa.large_binary())
    n = len(raw)
    table = pa.table(
        {
            "id": pa.array(ids, pa.binary(16)),
            "text": text,
            "label": pa.array([s.label for s in specimens], pa.string()),
            "group": pa.nulls(n, pa.string()),
            "ts": pa.nulls(n, pa.int64()),
            "source": pa.array([SPECIMEN] * n, pa.string()),
        },
        schema=EVENT_SCHEMA,
    )
    made_from = pa.array([list(s.made_from) for s in specimens], pa.list_(pa.string()))
    labels = np.array([task.class_names.index(s.label) for s in specimens], np.int32)
    texts = task.canonical.canonical_column(text, task.max_bytes)
    return Events(table.append_column(MADE_FROM, made_from), texts, labels)


def write_specimens(path: Path, specimens: Sequence[Specimen], task: Task, report: Any) -> None:
    """Write a Parquet file; `report` (JSON types) goes with it.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    rows = [
        {
            "specimen": encoded(s.text),
            "class": s.label,
            "cell": s.cell,
            "attributes": json.dumps(s.attributes),
            "writer": s.writer,
            "writer_version": s.version,
            "made_from": list(s.made_from),
        }
        for s in specimens
    ]
    table = pa.Table.from_pylist(rows, _SCHEMA).replace_schema_metadata(
        {
            b"buckler.specimens": _NOTICE,
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


def read_specimens(path: Path, task: Task) -> tuple[list[Specimen], Any]:
    """Return the specimens of a file, and the report that goes with them.

    Raises
    ------
    InputError
        If it is no file of specimens of this task.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({str(error)[:100]})") from error
    metadata = table.schema.metadata or {}
    if b"buckler.specimens" not in metadata or table.schema.names != _SCHEMA.names:
        raise InputError(f"{path}: not a file of specimens; `buckler synth` writes them")
    if metadata.get(b"buckler.task", b"").decode("utf-8", "replace") != task.name:
        raise InputError(f"{path}: specimens of another task than {task.name!r}")
    found = []
    for number, row in enumerate(table.to_pylist(), 1):
        try:
            if row["class"] not in task.classes:
                raise InputError(f"no class {str(row['class'])[:40]!r}")
            if len(row["specimen"]) > 2 * MAX_SPECIMEN_BYTES:
                raise InputError("longer than a specimen may be")
            attributes = {str(k): str(v) for k, v in json.loads(row["attributes"]).items()}
            found.append(
                Specimen(
                    decoded(row["specimen"]),
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
