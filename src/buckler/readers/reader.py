"""The seam between files and events: one Reader for each format, found by suffix.

A reader turns a file into chunks of at most some thousand rows in bounded memory. It never fails on
a bad row, which goes to the quarantine, and raises InputError where the file as a whole makes no
sense. A new format is one new file: a class under ``@READERS.add``, in this package or behind an
entry point in the group ``buckler.readers``.
"""

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.errors import InputError
from buckler.normalize import FeatureSchema
from buckler.readers.quarantine import Quarantine
from buckler.readers.times import AUDIT_ID
from buckler.registry import Registry

BLOCK_BYTES = 1 << 22  # largest piece of a file that is read at once
CONTEXT = "context:"  # before a further field's number, in the roles of a chunk
URL_HOST = "url host"  # role of the host that stands beside a path
COLUMN = "column:"  # before the name of a table's column that is to be kept
KEPT = "kept:"  # before a kept field's name, in the roles of a chunk; values are JSON
WHOLE = "whole"  # role of the whole record as JSON
WEB_HOSTS = ("hostname", "domain", "host", "cs-host", "http_host")


@dataclass(frozen=True)
class ColumnSpec:
    """Columns to read: for each role the names to try, in order.

    Attributes
    ----------
    text
        Names of the text, which must be there.
    optional
        Role -> names of what may be missing: label, group, ts, source, or a user's own.
    any_bytes
        True where the task decodes texts itself; else a text that is not UTF-8 is a bad row.
    features
        Features of the task, if its events are rows. Columns of these names become the rows; a text
        column of JSON objects will do too.
    context
        Names of each further field, which follows the text (see `join_context`).
    mixed
        True for a log of many kinds of events: those without a text are passed over, not set aside.
    medium
        Kind of event that the task judges, such as ``url``; empty takes all. Files of whole mails,
        pages or programs are passed over unless they are of this kind, and a text is of any kind.
    kept
        Names of fields to keep as they are, each in a column of JSON; a dotted name reaches into
        nested objects.
    keep_all
        True to keep each whole record as JSON.
    """

    text: tuple[str, ...] = ("text",)
    optional: dict[str, tuple[str, ...]] = field(default_factory=dict)
    any_bytes: bool = False
    features: FeatureSchema | None = None
    context: tuple[tuple[str, ...], ...] = ()
    mixed: bool = False
    medium: str = ""
    kept: tuple[str, ...] = ()
    keep_all: bool = False

    @property
    def keeps(self) -> bool:
        """True where fields are kept as they are."""
        return bool(self.kept) or self.keep_all

    @property
    def roles(self) -> dict[str, tuple[str, ...]]:
        """Names to try for every role."""
        fields = {f"{CONTEXT}{index}": names for index, names in enumerate(self.context)}
        if self.medium == "url":
            fields[URL_HOST] = self._url_hosts
        if self.mixed and "ts" in self.optional:
            fields[AUDIT_ID] = ("ID",)
        kept: dict[str, tuple[str, ...]] = {f"{KEPT}{name}": (name,) for name in self.kept}
        if self.keep_all:
            kept[WHOLE] = ()
        return {"text": self.text, **fields, **self.optional, **kept}

    @property
    def _url_hosts(self) -> tuple[str, ...]:
        """Names of hosts beside the names of the text; nested ones first, as they say more."""
        parents = dict.fromkeys(name.rpartition(".")[0] for name in self.text)
        nested = [f"{parent}.{host}" for parent in parents if parent for host in WEB_HOSTS]
        return (*nested, *(WEB_HOSTS if "" in parents else ()))


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file.

    Attributes
    ----------
    events
        Texts as large_binary, or rows of features as fixed-size lists of float32; no nulls.
    columns
        Optional columns that the file has, by role.
    rows
        int64: number of each row in the file, counted from 1.
    cursor
        Place to resume behind this chunk; each reader decides what it counts.
    size_bytes
        Bytes of the file that were read for it, for progress.
    """

    events: pa.Array
    columns: dict[str, pa.Array]
    rows: npt.NDArray[np.int64]
    cursor: int
    size_bytes: int


class Reader(ABC):
    """One file format.

    Attributes
    ----------
    suffixes, name
        Endings of its files, and its name.
    medium
        Kind of event that each of its files holds; empty where columns or lines may hold any.
    """

    suffixes: tuple[str, ...] = ()
    name = ""
    medium = ""

    def for_file(self, path: Path) -> "Reader":  # noqa: ARG002 - for suffixes of several formats
        """Return the reader for a certain file, which may be of another format by its content."""
        return self

    @abstractmethod
    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the rows behind `cursor`: 0 for the beginning, else one that a chunk gave."""


_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")

READERS: Registry[type[Reader]] = Registry(
    "format", ("buckler.readers", "buckler.triage"), "buckler.readers"
)


def get_reader(path: Path, format_name: str | None = None) -> Reader:
    """Return the reader for a file, by its suffix or by the name of a format.

    Raises
    ------
    SettingsError
        If there is no format of this name.
    InputError
        If no reader knows the suffix.
    """
    if format_name is not None:
        return READERS.get(format_name)()
    name, readers = path.name.lower(), READERS.items()
    fitting = [(s, kind) for kind in readers for s in kind.suffixes if name.endswith(s)]
    if fitting:  # "audit.log" says more than ".log"
        return max(fitting, key=lambda pair: len(pair[0]))[1]().for_file(path)
    if path.parent.name in ("cur", "new"):  # a maildir
        return READERS.get("eml")()
    known = " ".join(suffix for kind in readers for suffix in kind.suffixes)
    message = f"{path}: no reader for this suffix; known are {known}, or name the format"
    if path.suffix.lower() in _SPREADSHEETS:
        message = f"{path}: spreadsheets are not read; save the sheet as CSV"
    raise InputError(message, path=path, field="format_name")


@contextmanager
def open_stream(path: Path) -> Iterator[pa.NativeFile]:
    """Open a file for reading; ``.gz``, ``.bz2`` and ``.zst`` are decompressed.

    Raises
    ------
    InputError
        If it cannot be opened or read.
    """
    codec = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}.get(path.suffix.lower())
    try:
        with pa.OSFile(os.fsencode(path)) as file:  # a name may be any bytes
            yield file if codec is None else pa.CompressedInputStream(file, codec)
    except (OSError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read: {reason}", path=path) from error


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
            root = path.resolve()
            inside = (p for p in path.rglob("*") if _is_inside(p, root))
            found += sorted(p for p in inside if _regular(p) and _readable(p, format_name))
        elif not path.exists():
            raise InputError(f"{path}: no such file", path=path)
        elif not _regular(path):
            raise InputError(f"{path}: not a regular file", path=path)
        else:
            found.append(path)
    if not found:
        raise InputError(f"{', '.join(map(str, paths))}: no file there that Buckler can read")
    return found


def _is_inside(path: Path, root: Path) -> bool:
    """Tell whether a path of a folder stays in it: whoever writes there may place links."""
    if not path.is_symlink():
        return True
    target = path.resolve()
    return target.is_relative_to(root) and target.exists()


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
