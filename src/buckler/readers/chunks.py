"""Chunks out of the columns of a file: choosing, checking, joining."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from buckler.errors import InputError, TooLargeError
from buckler.readers.feature_columns import FEATURE, ROW, Faults, join_features, parse_features
from buckler.readers.quarantine import Quarantine, Reason
from buckler.readers.reader import (
    COLUMN,
    CONTEXT,
    KEPT,
    URL_HOST,
    WHOLE,
    Chunk,
    ColumnSpec,
)
from buckler.readers.times import join_audit_times
from buckler.readers.url_hosts import check_hosts, join_hosts

MAX_TEXT_BYTES = 1 << 24
MAX_DECODED_BYTES = 1 << 28
SEPARATOR = b"\x1f"
_LARGE = pa.large_binary()


def choose_columns(path: Path, names: list[str], spec: ColumnSpec) -> dict[str, str]:
    """Return role -> column name for the columns that are there.

    Raises
    ------
    InputError
        If no column can be the text.
    """
    chosen = {}
    for role, candidates in spec.roles.items():
        if (found := find_name(candidates, names)) is not None:
            chosen[role.replace(KEPT, COLUMN, 1)] = found
        elif role.startswith(KEPT):
            raise InputError(
                f"{path}: no column named {candidates[0]} to keep "
                f"(it has: {', '.join(n[:40] for n in names[:20])})",
                path=path,
                field="keep",
            )
    if spec.keep_all:
        chosen |= {COLUMN + name: name for name in names}
    if spec.features is not None:
        there = set(names)
        missing = [name for name in spec.features.names if name not in there]
        if missing and "text" not in chosen:
            raise InputError(
                f"{path}: {len(missing)} of {len(spec.features)} features are no columns, "
                f"such as {', '.join(name[:40] for name in missing[:3])}",
                path=path,
                field=missing[0],
            )
        if not missing:
            return {
                **{role: name for role, name in chosen.items() if role != "text"},
                **{FEATURE + name: name for name in spec.features.names},
            }
    if "text" not in chosen:
        more = f" (or {len(spec.text) - 3} more)" if len(spec.text) > 4 else ""
        usual = " or ".join(spec.text[: 3 if more else 4]) + more
        raise InputError(
            f"{path}: no column named {usual} "
            f"(it has: {', '.join(n[:40] for n in names[:20]) or 'none'}); name it",
            path=path,
            field="text_column",
        )
    return chosen


def columns_by_role(batch: pa.RecordBatch, chosen: dict[str, str]) -> dict[str, pa.Array]:
    """Return the chosen columns by role; of two columns with one name, the first is meant."""
    names = batch.schema.names
    return {role: batch.column(names.index(name)) for role, name in chosen.items()}


def find_name(candidates: Sequence[str], names: Collection[str]) -> str | None:
    """Return the name of the first candidate that is there, else of one in other case."""
    exact = next((name for name in candidates if name in names), None)
    if exact is not None or not candidates:
        return exact
    by_lower = {name.lower(): name for name in reversed(list(names))}  # the first of two counts
    return next((by_lower[name.lower()] for name in candidates if name.lower() in by_lower), None)


def make_chunk(
    path: Path,
    spec: ColumnSpec,
    columns: dict[str, pa.Array],
    rows: npt.NDArray[np.int64],
    cursor: int,
    size_bytes: int,
    quarantine: Quarantine,
) -> Chunk:
    """Check the events, set bad rows aside and return the rest as a chunk."""
    schema, faults = spec.features, Faults()
    columns = join_audit_times(_keep_columns(columns, spec))
    if ROW in columns:
        events = columns[ROW]
    elif schema is not None and "text" not in columns:
        events, faults = join_features(schema, columns)
    else:
        alone: Faults = {}
        columns = join_context({**columns, "text": _as_binary(path, columns["text"])}, spec.context)
        events = columns["text"]
        if URL_HOST in columns:
            events, alone = join_hosts(events, _fields(columns.pop(URL_HOST)))
        elif spec.medium == "url":
            check_hosts(path, events)
        faults = _find_faults(events, any_bytes=spec.any_bytes) | alone
        if schema is not None:
            events = parse_features(schema, events, faults)
    columns = {
        role: readable(column)
        for role, column in columns.items()
        if role not in ("text", ROW) and not role.startswith(FEATURE)
    }
    if faults:
        for index in sorted(faults):
            quarantine.add(path, int(rows[index]), *faults[index])
        keep = np.ones(len(rows), bool)
        keep[list(faults)] = False
        mask, rows = pa.array(keep), rows[keep]
        events = events.filter(mask)
        columns = {role: column.filter(mask) for role, column in columns.items()}
    return Chunk(events, columns, rows, cursor, size_bytes)


def _keep_columns(columns: dict[str, pa.Array], spec: ColumnSpec) -> dict[str, pa.Array]:
    """Return the columns with those of a table that are to be kept as JSON."""
    table = {role: column for role, column in columns.items() if role.startswith(COLUMN)}
    if not table:
        return columns
    values = {role.removeprefix(COLUMN): _as_values(column) for role, column in table.items()}
    kept = {name: values[name] for name in spec.kept if name in values}
    found = {role: column for role, column in columns.items() if role not in table}
    for name, items in kept.items():
        found[KEPT + name] = pa.array(map(to_json, items), pa.large_string())
    if spec.keep_all:
        records = (
            dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)
        )
        found[WHOLE] = pa.array(map(to_json, records), pa.large_string())
    return found


def _as_values(column: pa.Array | pa.ChunkedArray) -> list[object]:
    plain = readable(_plain(Path("table"), column))
    values: list[object] = plain.to_pylist()
    return values


def to_json(value: object) -> str:
    """Return a value as JSON; bytes, and what JSON lacks, such as times, as text.

    A value that is nested too deep becomes null: it must not cost the event its verdict.
    """
    try:
        text = json.dumps(value, default=_for_json, ensure_ascii=False)
    except (RecursionError, ValueError):
        return "null"
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _for_json(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def readable(column: pa.Array) -> pa.Array:
    """Return a column of text with what is not UTF-8 replaced; other columns as they are."""
    if pa.types.is_dictionary(column.type):
        values = readable(column.dictionary)
        if values is column.dictionary:
            return column
        return pa.DictionaryArray.from_arrays(column.indices, values)
    if column.type not in (pa.string(), pa.large_string()):
        return column
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        is_large = column.type == pa.large_string()
        values = column.view(_LARGE if is_large else pa.binary()).to_pylist()
        found = [None if value is None else value.decode("utf-8", "replace") for value in values]
        return pa.array(found, column.type)
    return column


def _find_faults(text: pa.Array, *, any_bytes: bool) -> Faults:
    """Return the texts that are none, empty, too long or, unless any bytes do, not UTF-8."""
    lengths = pc.binary_length(text)
    if lengths.null_count:
        lengths = pc.fill_null(lengths, -1)
    lengths = lengths.to_numpy(zero_copy_only=False)
    suspects = (lengths <= 0) | (lengths > MAX_TEXT_BYTES)
    if not any_bytes and not is_utf8(text):
        suspects |= np.array([not is_utf8_bytes(value) for value in text.to_pylist()])
    faults: Faults = {}
    for index in np.flatnonzero(suspects).tolist():
        value = text[index].as_py()
        if value is None:
            reason: str = Reason.NO_TEXT
        elif not value:
            reason = "empty text"
        elif len(value) > MAX_TEXT_BYTES:
            reason = "text longer than 16 MiB"
        else:
            reason = "not UTF-8"
        faults[index] = (reason, value or b"")
    return faults


def decoded_lengths(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the bytes of each text of a column whose texts may share their bytes."""
    if pa.types.is_dictionary(column.type):
        lengths = decoded_lengths(column.dictionary)
        there = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
        found = np.zeros(len(column), np.int64)
        found[there] = lengths[column.indices.drop_null().to_numpy(zero_copy_only=False)]
        return found
    if is_view(column.type):
        views = read_views(column)
        own = views[column.offset : column.offset + len(column), 0]
        return np.where(column.is_valid().to_numpy(zero_copy_only=False), own, 0).astype(np.int64)
    try:
        return np.array(pc.fill_null(pc.binary_length(column), 0), np.int64)
    except pa.ArrowNotImplementedError:  # numbers
        return np.zeros(len(column), np.int64)


def read_views(column: pa.Array) -> npt.NDArray[np.int32]:
    """Return the views of a column, int32 [n, 4]; bytes behind the last one are left out."""
    buffer = column.buffers()[1]
    return np.frombuffer(buffer, np.int32, buffer.size // 16 * 4).reshape(-1, 4)


def is_view(kind: pa.DataType) -> bool:
    """Tell whether texts of this type point into shared buffers."""
    return kind in (pa.string_view(), pa.binary_view())


def _plain(path: Path, column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column whose texts stand one after the other, if they are not too large for that.

    Anyone may have written it: a few bytes of a dictionary may stand for gigabytes, and the views
    of nulls may point anywhere.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
    is_dictionary = pa.types.is_dictionary(column.type)
    if not is_dictionary and not is_view(column.type):
        return column
    size_bytes = int(decoded_lengths(column).sum())
    if size_bytes > MAX_DECODED_BYTES:
        raise TooLargeError(
            f"{path}: {len(column):,} rows unpack to {size_bytes:,} bytes, more than the "
            f"{MAX_DECODED_BYTES:,} that are held at once",
            path=path,
        )
    if is_dictionary:
        if is_view(column.dictionary.type):
            values = _plain(path, column.dictionary)
            column = pa.DictionaryArray.from_arrays(column.indices, values)
        return _plain(path, column.dictionary_decode())
    validity, _, *data = column.buffers()
    sound = read_views(column).copy()
    at = slice(column.offset, column.offset + len(column))
    sound[at][column.is_null().to_numpy(zero_copy_only=False)] = 0
    parts = [validity, pa.py_buffer(sound), *data]
    whole = pa.Array.from_buffers(column.type, len(column), parts, -1, column.offset)
    return whole.cast(_LARGE)


def _as_binary(path: Path, column: pa.Array) -> pa.Array:
    column = _plain(path, column)
    kind = column.type
    if kind == _LARGE:
        return column
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return column.cast(_LARGE)
    raise InputError(
        f"{path}: the text column holds {kind}, not text; name another",
        path=path,
        field="text_column",
    )


def is_utf8(text: pa.Array) -> bool:
    """Return True if a large_binary column is UTF-8 throughout."""
    try:
        text.view(pa.large_string()).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def is_utf8_bytes(value: bytes | None) -> bool:
    """Return True if bytes are UTF-8 throughout, or None."""
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def join_context(
    columns: dict[str, pa.Array], context: tuple[tuple[str, ...], ...]
) -> dict[str, pa.Array]:
    """Return the columns with the further fields of the context joined to the text.

    Fields follow the text, each after a separator, in the order of the task; empty ones at
    the end are left out, so that an event of which only the text is known is the text alone.
    """
    roles = [f"{CONTEXT}{index}" for index in range(len(context))]
    if not any(role in columns for role in roles):
        return columns
    n = len(columns["text"])
    text = _fields(columns["text"])
    parts = [
        pc.fill_null(_fields(columns[role]), b"")
        if role in columns
        else pa.repeat(pa.scalar(b"", _LARGE), n)
        for role in roles
    ]
    *others, tail = parts
    for part in reversed(others):  # from the back: what is empty there is left out
        tail = _join(part, tail)
    whole = pc.if_else(pc.equal(pc.binary_length(tail), 0), text, _join(text, tail, always=True))
    rest = {role: column for role, column in columns.items() if role not in roles}
    return {**rest, "text": whole}


def _join(head: pa.Array, tail: pa.Array, *, always: bool = False) -> pa.Array:
    both = pc.binary_join_element_wise(head, tail, pa.scalar(SEPARATOR, _LARGE))
    return both if always else pc.if_else(pc.equal(pc.binary_length(tail), 0), head, both)


def as_strings(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return any column as text; what Arrow cannot cast, such as lists, as Python writes it."""
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([_as_text(value) for value in column.to_pylist()], pa.string())


def _as_text(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    return text.decode("utf-8", "replace")


def _fields(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the column as bytes; a separator inside a field would forge the next one."""
    column = _plain(Path("table"), column)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), _LARGE)
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        column = as_strings(column)
    return pc.replace_substring(column.cast(_LARGE), SEPARATOR, b" ")


def check_is_text(path: Path, data: bytes) -> None:
    """Refuse what is not lines of text at all.

    Raises
    ------
    InputError
        If the data starts like a binary or a UTF-16 file.
    """
    head = data[:4096]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = f"{path}: UTF-16 text; convert it: iconv -f UTF-16 -t UTF-8"
        raise InputError(message, path=path)
    if head.count(0) > len(head) // 10:
        raise InputError(
            f"{path}: binary data, not lines of text; check the path or name the format",
            path=path,
            field="format_name",
        )
