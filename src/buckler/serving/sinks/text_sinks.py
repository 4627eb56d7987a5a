"""Text output: JSON lines and CSV, appended to one file."""

import os
from contextlib import suppress
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from buckler.serving.json_rows import as_json, write_objects
from buckler.serving.sinks import JSON_TEXT, SINKS, Sink

_ROWS_AT_ONCE = 8192  # their lines stay in the cache until they are written


class _AppendingSink(Sink):
    """A file that grows; the position is its length in bytes."""

    def __init__(self, folder: Path, schema: pa.Schema, position: int) -> None:
        super().__init__(folder, schema, position)
        self._path = folder / f"rows.{self.name}"
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


@SINKS.add
class JsonLinesSink(_AppendingSink):
    """One JSON object a line."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson")

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a line for each row."""
        for start in range(0, len(batch), _ROWS_AT_ONCE):
            rows = batch.slice(start, _ROWS_AT_ONCE)
            lines = write_objects(map(_member, rows.schema, rows.columns), end="\n")
            self._file.write(lines.buffers()[2])


def _member(field: pa.Field, column: pa.Array) -> tuple[str, pa.Array]:
    if field.metadata == JSON_TEXT:
        return field.name, pc.fill_null(column.cast(pa.large_string()), "null")
    return field.name, as_json(column)


class RecordLinesSink(_AppendingSink):
    """Lines that are whole already, one column of bytes: records in a verdict format."""

    name = "records"

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the lines."""
        self._file.write(b"".join(batch.column(0).to_pylist()))


@SINKS.add
class CsvSink(_AppendingSink):
    """CSV with a header."""

    name = "csv"
    suffixes = (".csv",)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows; the header goes before the first."""
        options = pcsv.WriteOptions(include_header=self._file.tell() == 0)
        harmless = [without_formulas(column) for column in batch.columns]
        batch = pa.RecordBatch.from_arrays(harmless, schema=batch.schema)
        pcsv.write_csv(batch, self._file, options)


def without_formulas(column: pa.Array) -> pa.Array:
    """Return a column of which no spreadsheet runs a cell: a text like a formula is quoted."""
    if pa.types.is_dictionary(column.type):
        values = without_formulas(column.dictionary)
        return pa.DictionaryArray.from_arrays(column.indices, values)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    is_formula = pc.match_substring_regex(column, r"^[=+\-@\t\r]")
    quoted = pc.binary_join_element_wise(
        pa.scalar("'", column.type), column, pa.scalar("", column.type)
    )
    return pc.if_else(pc.fill_null(is_formula, fill_value=False), quoted, column)
