"""Where verdicts go: Parquet, JSON lines or CSV, each able to stop and go on without a lost row.

A sink writes into a folder of its own. What was written up to a checkpoint is safe; what came
after is thrown away on resuming. `finish` puts the whole result in its place at once.
"""

import json
import os
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from buckler.errors import OutputError

_ROW_GROUP_ROWS = 1 << 16
_ROW_GROUP_BYTES = 1 << 25


class Sink(ABC):
    """One output format."""

    suffix = ""

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
        """Let go of open files after an error."""


class ParquetSink(Sink):
    """Parquet; a part file for each checkpoint, joined at the end. The position counts parts."""

    suffix = ".parquet"

    def __init__(self, folder: Path, schema: pa.Schema, position: int) -> None:
        super().__init__(folder, schema, position)
        for part in folder.glob("part-*.parquet"):
            if int(part.stem.removeprefix("part-")) >= position:
                part.unlink()
        self._writer: pq.ParquetWriter | None = None
        # Small batches would make small row groups, so they wait, within bounds.
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = 0

    def _part(self, index: int) -> Path:
        return self.folder / f"part-{index:06}.parquet"

    def _open(self, path: Path) -> pq.ParquetWriter:
        names = self.schema.names
        return pq.ParquetWriter(
            path,
            self.schema,
            compression="lz4",  # a third faster to write than snappy here, about as small
            use_dictionary=[n for n in ("path", "label") if n in names],
            write_statistics=[n for n in names if n not in ("text", "path")],
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows to the part that is open."""
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes
        if self._waiting_rows >= _ROW_GROUP_ROWS or self._waiting_bytes >= _ROW_GROUP_BYTES:
            self._write_waiting()

    def _write_waiting(self) -> None:
        if self._writer is None:
            self._writer = self._open(self._part(self.position))
        self._writer.write_table(pa.Table.from_batches(self._waiting).unify_dictionaries())
        self._waiting = []
        self._waiting_rows = self._waiting_bytes = 0

    def checkpoint(self) -> int:
        """Close the part."""
        if self._waiting:
            self._write_waiting()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            _sync(self._part(self.position))
            self.position += 1
        return self.position

    def finish(self, target: Path) -> None:
        """Move the only part, or join the parts, row group by row group."""
        self.checkpoint()
        if self.position == 1:
            self._part(0).replace(target)
            return
        joined = self.folder / "joined.parquet"
        with self._open(joined) as writer:
            for index in range(self.position):
                with pq.ParquetFile(self._part(index), pre_buffer=False) as part:
                    for group in range(part.num_row_groups):
                        writer.write_table(part.read_row_group(group, use_threads=False))
            if self.position == 0:
                writer.write_table(self.schema.empty_table())
        _sync(joined)
        joined.replace(target)

    def abandon(self) -> None:
        """Close the part without trusting it."""
        if self._writer is not None:
            with suppress(OSError, pa.ArrowException):
                self._writer.close()
            self._writer = None


class _AppendingSink(Sink):
    """A file that grows; the position is its length in bytes."""

    def __init__(self, folder: Path, schema: pa.Schema, position: int) -> None:
        super().__init__(folder, schema, position)
        self._path = folder / f"rows{self.suffix}"
        self._path.touch()
        os.truncate(self._path, position)
        self._file: IO[bytes] = self._path.open("ab")

    def checkpoint(self) -> int:
        """Flush to disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.position = self._file.tell()
        return self.position

    def finish(self, target: Path) -> None:
        """Move the file."""
        self.checkpoint()
        self._file.close()
        self._path.replace(target)

    def abandon(self) -> None:
        """Close the file without flushing what cannot be flushed."""
        with suppress(OSError):
            self._file.close()


class JsonLinesSink(_AppendingSink):
    """One JSON object a line."""

    suffix = ".jsonl"

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a line for each row."""
        pieces: list[Any] = []
        for index, name in enumerate(batch.schema.names):
            opening = "{" if index == 0 else ","
            pieces += [f"{opening}{json.dumps(name)}:", _as_json(batch.column(index))]
        lines = pc.binary_join_element_wise(*pieces, "}\n", "")
        self._file.write(b"".join(line.encode() for line in lines.to_pylist()))


def _as_json(column: pa.Array) -> pa.Array:
    """Each value as JSON text."""
    if pa.types.is_dictionary(column.type):
        return pc.fill_null(_as_json(column.dictionary).take(column.indices), "null")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pa.array(
            [json.dumps(v, ensure_ascii=False) for v in column.to_pylist()], pa.string()
        )
    text = column.cast(pa.string())
    if pa.types.is_floating(column.type):
        text = pc.if_else(pc.is_finite(column), text, "null")
    return pc.fill_null(text, "null")


class CsvSink(_AppendingSink):
    """CSV with a header."""

    suffix = ".csv"

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows; the header goes before the first."""
        options = pcsv.WriteOptions(include_header=self._file.tell() == 0)
        pcsv.write_csv(batch, self._file, options)


SINKS: dict[str, type[Sink]] = {kind.suffix: kind for kind in (ParquetSink, JsonLinesSink, CsvSink)}
SINKS[".ndjson"] = JsonLinesSink


def get_sink(target: Path) -> type[Sink]:
    """Return the sink for a file name.

    Raises
    ------
    OutputError
        If no sink writes such files.
    """
    try:
        return SINKS[target.suffix.lower()]
    except KeyError:
        raise OutputError(
            f"{target}: cannot write {target.suffix or 'a file without a suffix'}; "
            f"name it {', '.join(SINKS)}"
        ) from None


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
