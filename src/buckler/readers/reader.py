"""The seam between files and events: one Reader for each format, found by suffix.

A reader turns a file into chunks of at most a few thousand rows in bounded memory. It never fails
on a bad row (that goes to the quarantine) and raises InputError where the file as a whole makes no
sense. To add a format: one new module with one class under ``@reader``, imported below, or an
entry point in the group ``buckler.readers`` of another package.
"""

import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.errors import InputError
from buckler.normalize import FeatureSchema
from buckler.readers.context import context_roles, join_context
from buckler.readers.feature_columns import FEATURE, pack_features, unsound_rows
from buckler.readers.quarantine import Quarantine

MAX_TEXT_BYTES = 1 << 24


@dataclass(frozen=True)
class Wanted:
    """Which columns to read: for each role the names to try, in order.

    `text` must be there; any of `optional` (label, group, ts, source, or a user's own) may not.
    Texts that are not UTF-8 are bad rows, unless `any_bytes` says that the task decodes for itself.
    Where `features` are wanted, a table's columns of these names become packed rows; a text column
    of such rows (JSON or packed) will do too. `context` names the columns of the further fields of
    a text, see `events.context`. A `mixed` log holds events of many kinds, each in its own form:
    those without a text are passed over, not set aside.
    """

    text: tuple[str, ...] = ("text",)
    optional: dict[str, tuple[str, ...]] = field(default_factory=dict)
    any_bytes: bool = False
    features: FeatureSchema | None = None
    context: tuple[tuple[str, ...], ...] = ()
    mixed: bool = False


def roles_of(wanted: Wanted) -> dict[str, tuple[str, ...]]:
    """Return role -> names to try, for all that is wanted."""
    return {"text": wanted.text, **context_roles(wanted.context), **wanted.optional}


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file.

    Attributes
    ----------
    text
        The texts, as large_binary; no nulls.
    columns
        The optional columns that the file has, by role.
    rows
        int64: the number of each row in the file, counted from 1.
    cursor
        Where to go on behind this chunk; means what the reader wants it to mean.
    size_bytes
        How much of the file was read for it, for progress.
    """

    text: pa.Array
    columns: dict[str, pa.Array]
    rows: npt.NDArray[np.int64]
    cursor: int
    size_bytes: int


class Reader(ABC):
    """One file format."""

    suffixes: tuple[str, ...] = ()
    name = ""

    @abstractmethod
    def chunks(
        self, path: Path, wanted: Wanted, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the rows behind `cursor` (0 for the beginning, else one that a chunk gave)."""


_READERS: dict[str, type[Reader]] = {}


def reader(kind: type[Reader]) -> type[Reader]:
    """Register a reader class under its name."""
    _READERS[kind.name] = kind
    return kind


@cache
def _readers() -> dict[str, type[Reader]]:
    for module in (
        "parquet",
        "csv",
        "jsonl",
        "auditd",
        "lines",
        "mail",
        "outlook",
        "evtx",
        "pe",
        "pages",
        "mail_pages",
    ):
        import_module(f"buckler.readers.{module}")
    import_module("buckler.triage.alerts")
    for entry in entry_points(group="buckler.readers"):
        reader(entry.load())
    return _READERS


def get_reader(path: Path, format_name: str | None = None) -> Reader:
    """Return the reader for a file, by its suffix or by the name of a format.

    Raises
    ------
    InputError
        If no reader knows the suffix or the name.
    """
    readers = _readers()
    if format_name is not None:
        if format_name not in readers:
            raise InputError(f"unknown format {format_name!r}: known are {', '.join(readers)}")
        return readers[format_name]()
    name = path.name.lower()
    fitting = [(s, kind) for kind in readers.values() for s in kind.suffixes if name.endswith(s)]
    if fitting:  # "audit.log" says more than ".log"
        return max(fitting, key=lambda pair: len(pair[0]))[1]()
    if path.parent.name in ("cur", "new"):
        return readers["eml"]()
    known = " ".join(s for kind in readers.values() for s in kind.suffixes)
    raise InputError(
        f"{path}: no reader for this suffix; known are {known}, or name the format",
        path=path,
        field="format_name",
    )


def find_inputs(paths: Iterable[Path], format_name: str | None = None) -> list[Path]:
    """Return the files to read, in a stable order; folders are searched.

    Raises
    ------
    InputError
        If a path does not exist, or nothing that can be read was found.
    """
    found: list[Path] = []
    paths = list(paths)
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if _readable(p, format_name) and _regular(p))
        elif not path.exists():
            raise InputError(f"{path}: no such file")
        elif not _regular(path):
            raise InputError(f"{path}: not a regular file")
        else:
            found.append(path)
    if not found:
        raise InputError(f"{', '.join(map(str, paths))}: no file there that Buckler can read")
    return found


def _regular(path: Path) -> bool:
    return stat.S_ISREG(path.stat().st_mode)


def _readable(path: Path, format_name: str | None) -> bool:
    if format_name is not None:
        return path.is_file() and not path.name.startswith(".")
    try:
        get_reader(path)
    except InputError:
        return False
    return path.is_file()


def choose_columns(path: Path, names: list[str], wanted: Wanted) -> dict[str, str]:
    """Return role -> column name for the columns that are there.

    Raises
    ------
    InputError
        If no column can be the text.
    """
    chosen = {}
    for role, candidates in roles_of(wanted).items():
        for candidate in candidates:
            if candidate in names:
                chosen[role] = candidate
                break
    if wanted.features is not None:
        there = set(names)
        missing = [name for name in wanted.features.names if name not in there]
        if missing and "text" not in chosen:
            raise InputError(
                f"{path}: {len(missing)} of {len(wanted.features)} features are no columns, "
                f"such as {', '.join(name[:40] for name in missing[:3])}"
            )
        if not missing:
            return {
                **{role: name for role, name in chosen.items() if role != "text"},
                **{FEATURE + name: name for name in wanted.features.names},
            }
    if "text" not in chosen:
        raise InputError(
            f"{path}: no column named {' or '.join(wanted.text)} "
            f"(it has: {', '.join(n[:40] for n in names[:20]) or 'none'}); name it",
            path=path,
            field="text_column",
        )
    return chosen


def make_chunk(
    path: Path,
    wanted: Wanted,
    columns: dict[str, pa.Array],
    rows: npt.NDArray[np.int64],
    cursor: int,
    size_bytes: int,
    quarantine: Quarantine,
) -> Chunk:
    """Check the texts, set bad rows aside and return the rest as a chunk."""
    schema = wanted.features
    if schema is not None and "text" not in columns:
        columns, rows = pack_features(path, schema, columns, rows, quarantine)
    text = _as_binary(path, columns["text"])
    columns = join_context({**columns, "text": text}, wanted.context)
    text = columns["text"]
    keep = np.ones(len(text), bool)
    lengths = pa.compute.fill_null(pa.compute.binary_length(text), -1).to_numpy(
        zero_copy_only=False
    )
    suspects = (lengths <= 0) | (lengths > MAX_TEXT_BYTES)
    if not wanted.any_bytes and not is_utf8(text):
        suspects |= np.array([not _is_utf8(value) for value in text.to_pylist()])
    unsound = unsound_rows(schema, text) if schema is not None else {}
    suspects[list(unsound)] = True
    for index in np.flatnonzero(suspects):
        value = text[int(index)].as_py()
        if int(index) in unsound:
            reason = unsound[int(index)]
        elif value is None:
            reason = "no text"
        elif not value:
            reason = "empty text"
        elif len(value) > MAX_TEXT_BYTES:
            reason = "text longer than 16 MiB"
        else:
            reason = "not UTF-8"
        quarantine.add(path, int(rows[index]), reason, value or b"")
        keep[index] = False
    rest = {role: column for role, column in columns.items() if role != "text"}
    if not keep.all():
        mask = pa.array(keep)
        text = text.filter(mask)
        rest = {role: column.filter(mask) for role, column in rest.items()}
        rows = rows[keep]
    return Chunk(text, rest, rows, cursor, size_bytes)


def _as_binary(path: Path, column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if kind == pa.large_binary():
        return column
    if (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or kind in (pa.string_view(), pa.binary_view())
    ):
        return column.cast(pa.large_binary())
    raise InputError(
        f"{path}: the text column holds {kind}, not text; name another",
        path=path,
        field="text_column",
    )


def is_utf8(text: pa.Array) -> bool:
    """Whether a large_binary column is UTF-8 throughout."""
    try:
        text.view(pa.large_string()).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
