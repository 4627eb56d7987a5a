"""Decodes Parquet in a process of its own; a file that breaks the decoder costs that file alone.

The library that decodes Parquet trusts offsets and sizes that attackers write: fuzzed files end a
process about once in 4,000. The decoder reads requests from its standard input, one JSON object a
line, and answers in frames: a JSON header, then the bytes that it announces. It has bounded memory
and bounded CPU time for each answer.
"""

import json
import os
import resource
import sys
from collections.abc import Iterator
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

MAX_MEMORY_BYTES = 3 << 30
MAX_CPU_S = 120  # for one answer: a file's footer, or one batch
_SHARED_ROW_BYTES, _SHARED_BYTES, _SHARED_RATIO = 8, 1 << 20, 32
_READ_BYTES = 1 << 20  # at once: a mapped file would count as resident, page by page


class Request(TypedDict):
    """A file to read; rows before the cursor are left out by whole row groups."""

    path: str
    columns: list[str] | None
    first_group: int
    batch_rows: int


class Header(TypedDict, total=False):
    """Head of an answer: names and rows of a file, the size of a batch, the end, or a fault."""

    names: list[str]
    group_rows: list[int]
    size: int
    end: bool
    fault: str


def main() -> None:
    """Answer requests until standard input ends."""
    pa.set_memory_pool(pa.system_memory_pool())  # it takes only what it needs from the bound
    _limit(resource.RLIMIT_DATA, MAX_MEMORY_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        request: Request = json.loads(line)
        for header, data in answers(request):
            out.write(json.dumps(header).encode() + b"\n" + data)
            out.flush()
            _allow_cpu_time()


def answers(request: Request) -> Iterator[tuple[Header, bytes]]:
    """Yield a file's names and sizes, or the batches of its columns; a fault ends the answer."""
    _allow_cpu_time()
    try:
        with pa.OSFile(os.fsencode(request["path"])) as raw:  # a name may be any bytes
            file = pq.ParquetFile(raw, pre_buffer=False, buffer_size=_READ_BYTES)
            if request["columns"] is None:
                yield _describe(file), b""
                return
            shared = _shared_columns(file)
            file = pq.ParquetFile(
                raw, read_dictionary=shared, pre_buffer=False, buffer_size=_READ_BYTES
            )
            batches = file.iter_batches(
                batch_size=request["batch_rows"],
                row_groups=list(range(request["first_group"], file.metadata.num_row_groups)),
                columns=request["columns"],
                use_threads=False,
            )
            for batch in batches:
                data = _pack(batch)
                yield {"size": len(data)}, data
        yield {"end": True}, b""
    except MemoryError:
        gib = MAX_MEMORY_BYTES >> 30
        yield {"fault": f"it takes more than {gib} GiB to decode"}, b""
    except UnicodeDecodeError:
        yield {"fault": "the name of a column is not UTF-8"}, b""
    except (pa.ArrowException, OSError, ValueError) as error:
        text = str(error)
        yield {"fault": text.splitlines()[0][:200] if text else type(error).__name__}, b""


def _describe(file: pq.ParquetFile) -> Header:
    metadata = file.metadata
    group_rows = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
    return {"names": file.schema_arrow.names, "group_rows": group_rows}


def _pack(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


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


def _allow_cpu_time() -> None:
    """Let the next answer take some CPU time; the system ends a decoder that takes more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + MAX_CPU_S)


def _limit(kind: int, limit: int) -> None:
    """Set a limit, within the one that the system or a person set for good."""
    hard = resource.getrlimit(kind)[1]
    within = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (within, hard))


if __name__ == "__main__":
    main()
