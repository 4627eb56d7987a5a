"""Reads Parquet, batch by batch; the cursor counts rows."""

import os
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from buckler.errors import InputError
from buckler.readers.chunks import choose_columns, decoded_lengths, make_chunk
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader

BATCH_ROWS = 1 << 16
_PART_BYTES = 1 << 24
_SHARED_ROW_BYTES, _SHARED_BYTES, _SHARED_RATIO = 8, 1 << 20, 32
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
            with pa.OSFile(os.fsencode(path)) as raw:  # a name may be any bytes
                options = {"pre_buffer": False, "buffer_size": _READ_BYTES}
                shared = _shared_columns(pq.ParquetFile(raw, **options))
                file = pq.ParquetFile(raw, read_dictionary=shared, **options)
                yield from _chunks(file, path, spec, quarantine, cursor)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowIndexError) as error:
            raise InputError(f"{path}: not a sound Parquet file: {_first_line(error)}") from error
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {_first_line(error)}") from error


def _shared_columns(file: pq.ParquetFile) -> list[str]:
    """Return columns that may unpack to far more than they take in the file.

    They are read as dictionaries, so that one value is held once. Others are read faster.
    """
    metadata, shared = file.metadata, []
    for index in range(metadata.num_columns):
        groups = [metadata.row_group(g).column(index) for g in range(metadata.num_row_groups)]
        if any(each.physical_type == "BYTE_ARRAY" and _is_dense(each) for each in groups):
            shared.append(groups[0].path_in_schema)
    return shared


def _is_dense(column: pq.ColumnChunkMetaData) -> bool:
    size_bytes = column.total_uncompressed_size
    return bool(
        size_bytes < max(_SHARED_BYTES, _SHARED_ROW_BYTES * column.num_values)
        or size_bytes > _SHARED_RATIO * column.total_compressed_size
    )


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch, so that the texts of a part are not too many bytes to be held."""
    lengths = sum((decoded_lengths(column) for column in batch.columns), np.zeros(len(batch), int))
    part = np.cumsum(lengths) // _PART_BYTES
    cuts = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(batch)]
    yield from (batch.slice(start, stop - start) for start, stop in pairwise(cuts))


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
    for batch in chain.from_iterable(map(_parts, batches)):
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
