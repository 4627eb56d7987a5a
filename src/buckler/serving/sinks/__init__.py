"""Sinks: output formats of a scan, each able to stop and resume without a lost row.

A sink writes into a folder of its own. Rows up to a checkpoint are safe; later rows are thrown away
when the scan resumes. `finish` puts the whole result in its place at once. A scan finds the sink by
the suffix of its output file.

To add a format, write one module with a subclass of `Sink` under ``@SINKS.add``: here, or in
another package under an entry point of the group ``buckler.sinks``. `buckler.testing.check_sink`
tests it.

Examples
--------
>>> sink_for(Path("verdicts.parquet")).name
'parquet'
"""

from abc import ABC, abstractmethod
from pathlib import Path

import pyarrow as pa

from buckler.errors import OutputError
from buckler.registry import Registry

JSON_TEXT = {b"content": b"json"}  # metadata of a column whose strings are JSON


class Sink(ABC):
    """One output format.

    Parameters
    ----------
    folder
        Working folder; the sink may write any file there but ``state.json`` and
        ``quarantine.jsonl``.
    schema
        Columns of every batch.
    position
        Place to resume: 0, or what `checkpoint` returned last. Rows behind it are thrown away.

    Attributes
    ----------
    name
        Name of the format.
    suffixes
        Suffixes of its files, with the dot, in lower case.
    """

    name: str = ""
    suffixes: tuple[str, ...] = ()

    def __init__(self, folder: Path, schema: pa.Schema, position: int) -> None:
        self.folder = folder
        self.schema = schema
        self.position = position

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""

    @abstractmethod
    def checkpoint(self) -> int:
        """Make all rows so far safe on disk; return the position to resume from."""

    @abstractmethod
    def finish(self, target: Path) -> None:
        """Put the whole result at `target`."""

    @abstractmethod
    def abandon(self) -> None:
        """Close open files after an error; may be called at any time, more than once."""


SINKS: Registry[type[Sink]] = Registry("output format", (__name__,), "buckler.sinks")


def sink_for(target: Path) -> type[Sink]:
    """Return the sink for a file name.

    Raises
    ------
    OutputError
        If no sink writes such files.
    """
    suffix = target.suffix.lower()
    kinds = SINKS.items()
    for kind in kinds:
        if suffix in kind.suffixes:
            return kind
    known = ", ".join(suffix for kind in kinds for suffix in kind.suffixes)
    raise OutputError(
        f"{target}: cannot write {target.suffix or 'a file without a suffix'}; name it {known}",
        path=target,
    )
