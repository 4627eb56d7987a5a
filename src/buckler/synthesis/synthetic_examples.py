"""Synthetic examples, and the marked file that stores them.

A file of synthetic examples has no text column: each text is encoded behind a mark. So it cannot be
run or sent by mistake, no scanner reacts to it, and nobody takes it for real events.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from buckler.dataset import Dataset
from buckler.dataset.dataset import MADE_FROM
from buckler.errors import InputError
from buckler.files import atomic_writer, reading
from buckler.synthesis.defanging import refang
from buckler.synthesis.synthesis_report import SynthesisReport
from buckler.tasks import Task

SYNTHETIC_EXAMPLE = "synthetic_example"  # source of synthetic examples in a dataset
MARK = "buckler-synthetic_example:1:"
MAX_SYNTHETIC_EXAMPLE_BYTES = 1 << 18
_SCHEMA = pa.schema(
    [
        ("synthetic_example", pa.string()),
        ("class", pa.string()),
        ("combination", pa.string()),
        ("attributes", pa.string()),
        ("generator", pa.string()),
        ("generator_version", pa.string()),
        ("seed_groups", pa.list_(pa.string())),
    ]
)
_NOTICE = b"synthetic, for training a detector; names and addresses in it are reserved ones"


@dataclass(frozen=True)
class SyntheticExample:
    """A text that a generator wrote.

    Attributes
    ----------
    text
        Text with reserved names and addresses only.
    label
        Class name.
    combination
        Name of the combination of attributes that it was written for.
    attributes
        Attribute -> value.
    generator, version
        Name and version of the generator.
    seed_groups
        Groups of the real events that the generator used: where one of them is held out, the
        synthetic example is too.
    """

    text: str
    label: str
    combination: str
    attributes: dict[str, str]
    generator: str
    version: str
    seed_groups: tuple[str, ...] = ()


def encode_text(text: str) -> str:
    """Return a text in the form in which it is stored."""
    return MARK + base64.b64encode(text.encode()).decode("ascii")


def decode_text(stored: str) -> str:
    """Return the text that `encode_text` encoded.

    Raises
    ------
    InputError
        If `stored` has another form.
    """
    if not stored.startswith(MARK):
        raise InputError("not a synthetic example: its mark is missing")
    try:
        return base64.b64decode(stored[len(MARK) :], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"not a valid synthetic example ({type(error).__name__})") from error


def as_dataset(examples: Sequence[SyntheticExample], task: Task) -> Dataset:
    """Return synthetic examples as a student sees them (`refang`), in memory only.

    They have no group of their own; the column `MADE_FROM` holds their seed groups. Their ids
    differ from those of real events with the same text.
    """
    raw = [refang(e.text).encode() for e in examples]
    events = Dataset.from_texts(
        raw,
        task,
        ids=[blake2b(text, digest_size=16, person=b"synthetic").digest() for text in raw],
        labels=[e.label for e in examples],
        sources=[SYNTHETIC_EXAMPLE] * len(raw),
    )
    groups = pa.array([list(e.seed_groups) for e in examples], pa.list_(pa.string()))
    return events.with_column(MADE_FROM, groups)


def write_synthetic_examples(
    path: Path, examples: Sequence[SyntheticExample], task: Task, report: SynthesisReport
) -> None:
    """Write a Parquet file with the examples and their report.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    rows = [
        {
            "synthetic_example": encode_text(e.text),
            "class": e.label,
            "combination": e.combination,
            "attributes": json.dumps(e.attributes),
            "generator": e.generator,
            "generator_version": e.version,
            "seed_groups": list(e.seed_groups),
        }
        for e in examples
    ]
    table = pa.Table.from_pylist(rows, _SCHEMA).replace_schema_metadata(
        {
            b"buckler.synthetic_examples": _NOTICE,
            b"buckler.task": task.name.encode(),
            b"buckler.report": report.model_dump_json().encode(),
        }
    )
    with atomic_writer(path) as file:
        pq.write_table(table, file)


def read_synthetic_examples(
    path: Path, task: Task
) -> tuple[list[SyntheticExample], SynthesisReport]:
    """Return the synthetic examples of a file, and their report.

    Raises
    ------
    InputError
        If it is not a file of synthetic examples of this task.
    """
    try:
        with reading(path):
            table = pq.read_table(path)
    except pa.ArrowException as error:
        raise InputError(f"{path}: cannot be read ({str(error)[:100]})", path=path) from error
    metadata = table.schema.metadata or {}
    if b"buckler.synthetic_examples" not in metadata or table.schema.names != _SCHEMA.names:
        raise InputError(f"{path}: not a file of synthetic examples", path=path)
    if metadata.get(b"buckler.task", b"").decode("utf-8", "replace") != task.name:
        raise InputError(
            f"{path}: synthetic examples of another task than {task.name!r}", path=path
        )
    examples = []
    for number, row in enumerate(table.to_pylist(), 1):
        try:
            examples.append(_parse_row(row, task))
        except (InputError, TypeError, ValueError, AttributeError, RecursionError) as error:
            message = f"{path}: row {number}: {str(error)[:100]}"
            raise InputError(message, path=path, row=number) from error
    try:
        report = SynthesisReport.model_validate_json(metadata.get(b"buckler.report", b"{}"))
    except ValidationError as error:
        raise InputError(f"{path}: its report is not valid", path=path) from error
    return examples, report


def _parse_row(row: dict[str, object], task: Task) -> SyntheticExample:
    label, stored = str(row["class"]), str(row["synthetic_example"])
    if label not in task.classes:
        raise InputError(f"no class {label[:40]!r}")
    if len(stored) > 2 * MAX_SYNTHETIC_EXAMPLE_BYTES:
        raise InputError("longer than a synthetic example may be")
    groups = row["seed_groups"]
    if not isinstance(groups, list):
        raise InputError("seed_groups is no list")
    return SyntheticExample(
        text=decode_text(stored),
        label=label,
        combination=str(row["combination"]),
        attributes={str(k): str(v) for k, v in json.loads(str(row["attributes"])).items()},
        generator=str(row["generator"]),
        version=str(row["generator_version"]),
        seed_groups=tuple(map(str, groups)),
    )
