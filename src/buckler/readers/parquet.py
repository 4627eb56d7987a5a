"""Reads Parquet, batch by batch; the cursor counts rows."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from buckler.errors import InputError
from buckler.readers.chunks import choose_columns, make_chunk
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader

BATCH_ROWS = 1 << 16
_READ_BYTES = 1 << 20  # at once: a mapped file would count as resident, page by page


@READERS.add
class ParquetReader(Reader):
    """Parquet files."""

    name = "parquet"
    suffixes = (".parquet", ".pq")

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the rows behind row `cursor`."""
        try:
            with (
                pa.OSFile(os.fsencode(path)) as raw,  # a name may be any bytes
                pq.ParquetFile(raw, pre_buffer=False, buffer_size=_READ_BYTES) as file,
            ):
                yield from _chunks(file, path, spec, quarantine, cursor)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowIndexError) as error:
            raise InputError(f"{path}: not a sound Parquet file: {_first_line(error)}") from error
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _chunks(
    file: pq.ParquetFile, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int
) -> Iterator[Chunk]:
    chosen = choose_columns(path, file.schema_arrow.names, spec)
    total = max(1, file.metadata.num_rows)
    file_bytes = path.stat().st_size
    # Whole row groups before the cursor are not read at all.
    group, position = 0, 0
    while (
        group < file.metadata.num_row_groups
        and position + file.metadata.row_group(group).num_rows <= cursor
    ):
        position += file.metadata.row_group(group).num_rows
        group += 1
    batches = file.iter_batches(
        batch_size=BATCH_ROWS,
        row_groups=list(range(group, file.metadata.num_row_groups)),
        columns=sorted(set(chosen.values())),
        use_threads=False,
    )
    for batch in batches:
        start, position = position, position + batch.num_rows
        if position <= cursor:
            continue
        if start < cursor:
            batch = batch.slice(cursor - start)
            start = cursor
        columns = {role: batch.column(name) for role, name in chosen.items()}
        rows = np.arange(start + 1, position + 1, dtype=np.int64)
        size = file_bytes * batch.num_rows // total
        yield make_chunk(path, spec, columns, rows, position, size, quarantine)
