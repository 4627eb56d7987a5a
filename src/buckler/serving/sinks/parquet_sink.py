"""Parquet output."""

import os
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from buckler.serving.sinks import SINKS, Sink

_ROW_GROUP_ROWS = 1 << 16
_ROW_GROUP_BYTES = 1 << 25


@SINKS.add
class ParquetSink(Sink):
    """Parquet: a part file for each checkpoint, joined at the end. The position counts parts."""

    name = "parquet"
    suffixes = (".parquet",)

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
            pa.OSFile(os.fsencode(path), "w"),  # a name may hold any bytes
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
                with pa.OSFile(os.fsencode(self._part(index))) as file:
                    part = pq.ParquetFile(file, pre_buffer=False)
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


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
