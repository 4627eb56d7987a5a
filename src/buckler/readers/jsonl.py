"""Reads JSON lines (NDJSON) and JSON arrays; dotted names reach into nested objects."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler._kernel import json_array, json_lines
from buckler.errors import InputError
from buckler.normalize import FeatureSchema
from buckler.readers.chunks import choose_columns, is_utf8_bytes, make_chunk
from buckler.readers.feature_columns import FEATURE
from buckler.readers.json_array import document_chunks, is_document
from buckler.readers.lines import MAX_LINE_BYTES, Block, line_blocks, usable_lines
from buckler.readers.objects import Names, columns_of, reach, unfold
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import KEPT, READERS, WHOLE, Chunk, ColumnSpec, Reader

_LOOK_AT = 1000  # lines
Columns: TypeAlias = tuple[dict[str, pa.Array], npt.NDArray[np.int64]]  # by role, with row numbers
_EncodedNames: TypeAlias = tuple[tuple[bytes, ...], ...]
_Buffers: TypeAlias = tuple[bytes, list[tuple[bytes, bytes, bytes]]]


@READERS.add
class JsonLinesReader(Reader):
    """JSON lines, arrays of objects, and objects over several lines."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz", ".jsonl.zst")

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the objects behind byte `cursor`; else behind so many objects."""
        if is_document(path):
            yield from document_chunks(path, spec, quarantine, cursor)
            return
        names: Names | None = spec.roles if spec.mixed else None
        missing: InputError | None = None
        for block in line_blocks(path, quarantine, cursor):
            if names is None:
                try:
                    names = _choose(path, block, spec)
                except InputError as error:  # a log may begin with events of other kinds
                    missing = error
                if names is None:
                    _parse_slowly(path, block, {"text": ("",)}, quarantine)
                    continue
            features = None if "text" in names else spec.features
            columns, rows = _parse_fast(
                block, names, quarantine, pass_over=spec.mixed
            ) or _parse_slowly(
                path, block, names, quarantine, pass_over=spec.mixed, features=features
            )
            yield make_chunk(path, spec, columns, rows, block.cursor, block.size_bytes, quarantine)
        if names is None and missing is not None:
            raise missing


def _choose(path: Path, block: Block, spec: ColumnSpec) -> Names | None:
    """Return the names to try for each role: one, or all where the text's is nested.

    None where no line holds an object.

    Looks at the first objects, and at all of the block as long as none has a text.

    Raises
    ------
    InputError
        If no object has a text.
    """
    lines = block.data.split(b"\n")
    features = spec.features.names if spec.features is not None else ()
    tried = (*features, *(name for names in spec.roles.values() for name in names))
    nested = [name for name in tried if "." in name]
    names: dict[str, None] = {}
    for first in range(0, len(lines), _LOOK_AT):
        objects = ((0, _loads(line), b"") for line in lines[first : first + _LOOK_AT])
        for _, value, _ in unfold(objects):
            if isinstance(value, str):
                names.update(dict.fromkeys(spec.text[:1]))
            if isinstance(value, dict):
                names.update({n: None for n, found in value.items() if not isinstance(found, dict)})
                names.update({n: None for n in nested if reach(value, n) is not None})
        if features or not names.keys().isdisjoint(spec.text):
            break
    if not names:
        return None
    chosen = choose_columns(path, list(names), replace(spec, kept=(), keep_all=False))
    if "." in chosen.get("text", ""):
        return spec.roles
    if spec.keeps:
        roles = spec.roles
        if "text" not in chosen:
            del roles["text"]
        return roles
    return {role: (name,) for role, name in chosen.items() if not role.startswith(FEATURE)}


def _parse_fast(
    block: Block, names: Names, quarantine: Quarantine, *, pass_over: bool
) -> Columns | None:
    """Parse in the kernel; None where a line needs the slow path, or whole values are kept."""
    found = scan_lines(block.data, names) if is_utf8_bytes(block.data) else None
    if found is None:
        return None
    columns, rows = found
    rows += block.first_row
    if pass_over and (n_others := columns["text"].null_count):
        quarantine.pass_over("other events", n_others)
        return with_text(columns, rows)
    return columns, rows


def with_text(columns: dict[str, pa.Array], rows: npt.NDArray[np.int64]) -> Columns:
    """Return the columns of the events that have a text, with their row numbers."""
    has_text = columns["text"].is_valid()
    kept = {role: column.filter(has_text) for role, column in columns.items()}
    return kept, rows[has_text.to_numpy(zero_copy_only=False)]


def scan_lines(
    data: bytes, names: Names, *, max_line_bytes: int = MAX_LINE_BYTES, most_left: int = 0
) -> Columns | None:
    """Return columns by role, and line numbers from 0, of events on lines, read in the kernel.

    Lines that need a closer look are left out; None where these are more than `most_left`, where
    whole values are kept, or without a text. The data must be UTF-8.
    """
    return _scan(names, lambda encoded: json_lines(data, encoded, max_line_bytes, most_left))


def scan_array(data: bytes, names: Names, n_values: int) -> Columns | None:
    """Return columns by role, and places from 0, of events in an array without white space.

    Values that need a closer look are left out; None where it is no array of so many values, and
    as in `scan_lines`.
    """
    return _scan(names, lambda encoded: json_array(data, encoded, n_values))


def _scan(names: Names, read: Callable[[_EncodedNames], _Buffers | None]) -> Columns | None:
    if "text" not in names or any(role == WHOLE or role.startswith(KEPT) for role in names):
        return None
    roles = ["text", *(role for role in names if role != "text")]
    found = read(_encode(tuple(names[role] for role in roles)))
    if found is None:
        return None
    rows = np.frombuffer(found[0], np.int64).copy()
    columns = {}
    for role, buffers in zip(roles, found[1], strict=True):
        kind = pa.binary() if role == "text" else pa.string()
        columns[role] = pa.Array.from_buffers(kind, len(rows), list(map(pa.py_buffer, buffers)))
    return columns, rows


@lru_cache(maxsize=64)
def _encode(names: tuple[tuple[str, ...], ...]) -> _EncodedNames:
    return tuple(tuple(name.encode("utf-8", "surrogatepass") for name in some) for some in names)


def _parse_slowly(
    path: Path,
    block: Block,
    names: Names,
    quarantine: Quarantine,
    *,
    pass_over: bool = False,
    features: FeatureSchema | None = None,
) -> Columns:
    """Parse line by line and set aside what is not an object with a text or a feature."""
    lines = zip(*usable_lines(path, block, quarantine), strict=True)
    objects = unfold((row, _loads(line), line) for line, row in lines)
    return columns_of(path, objects, names, quarantine, pass_over=pass_over, features=features)


def _loads(line: bytes) -> object:
    try:
        found: object = json.loads(line)
        return found
    except (ValueError, RecursionError):
        return None
