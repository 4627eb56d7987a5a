"""Contract of readers."""

import random
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from buckler.errors import BucklerError, InputError
from buckler.files import file_digest
from buckler.normalize.feature_table import is_feature_column
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import Chunk, ColumnSpec, Reader
from buckler.testing.contract import require

_HOSTILE_FILES = 20
Row = tuple[int, str]


def check_reader(kind: type[Reader], path: Path, spec: ColumnSpec | None = None) -> None:
    """Check a reader on a sound file of its format, and on damaged copies of it.

    Parameters
    ----------
    kind
        Class of the reader.
    path
        A file with at least one event.
    spec
        Columns to read.

    Raises
    ------
    ContractError
        If it breaks a rule.
    """
    spec = spec or ColumnSpec()
    reader = kind()
    require(kind.name, "a reader has a name")
    suffixes = kind.suffixes
    require(all(s == s.lower() for s in suffixes), "suffixes are written in lower case")
    digest = file_digest(path)
    chunks = _read(reader, path, spec)
    rows = _rows(chunks)
    require(rows, "the file has an event")
    require(rows == _rows(_read(reader, path, spec)), "every reading gives the same rows")
    require(file_digest(path) == digest, "reading changes no file")
    numbers = [number for number, _ in rows]
    require(numbers == sorted(set(numbers)) and numbers[0] >= 1, "rows are numbered upward from 1")
    for chunk in chunks:
        _check_chunk(chunk)
    for index, chunk in enumerate(chunks):
        rest = _rows(_read(reader, path, spec, chunk.cursor))
        require(rest == _rows(chunks[index + 1 :]), "reading resumes behind every cursor")
    _check_damaged(reader, path, spec)


def _read(reader: Reader, path: Path, spec: ColumnSpec, cursor: int = 0) -> list[Chunk]:
    return list(reader.chunks(path, spec, Quarantine(), cursor))


def _rows(chunks: list[Chunk]) -> list[Row]:
    return [
        (int(number), repr(event))  # of a missing feature, NaN, too
        for chunk in chunks
        for number, event in zip(chunk.rows, chunk.events.to_pylist(), strict=True)
    ]


def _check_chunk(chunk: Chunk) -> None:
    n = len(chunk.rows)
    is_text = chunk.events.type == pa.large_binary()
    require(is_text or is_feature_column(chunk.events), "events are texts or rows of features")
    require(chunk.events.null_count == 0, "no event is null")
    require(chunk.rows.dtype == np.int64, "row numbers are int64")
    lengths = {len(column) for column in chunk.columns.values()} | {len(chunk.events)}
    require(lengths == {n}, "events, rows and columns have one length")


def _check_damaged(reader: Reader, path: Path, spec: ColumnSpec) -> None:
    """Read damaged copies: each is read in part or refused with an error of ours."""
    rng = random.Random(20260103)  # noqa: S311 - not for secrets
    data = path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        damaged = Path(folder) / path.name
        try:
            _read(reader, damaged, spec)
        except InputError:
            pass
        else:
            require(False, "a missing file raises InputError")
        for number in range(_HOSTILE_FILES):
            changed = bytearray(data[: rng.randrange(len(data) + 1)])
            for _ in range(number):
                if changed:
                    changed[rng.randrange(len(changed))] = rng.randrange(256)
            damaged.write_bytes(rng.randbytes(500) if number == 0 else changed)
            try:
                for chunk in _read(reader, damaged, spec):
                    _check_chunk(chunk)
            except BucklerError:
                continue
