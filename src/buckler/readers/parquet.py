"""Reads Parquet, batch by batch; the cursor counts rows."""

import atexit
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, pairwise
from pathlib import Path
from threading import Lock
from typing import IO, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.errors import InputError
from buckler.files import reading
from buckler.readers.chunks import (
    MAX_DECODED_BYTES,
    choose_columns,
    columns_by_role,
    decoded_lengths,
    make_chunk,
)
from buckler.readers.parquet_decoder import MAX_CPU_S, Header, Request
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader

BATCH_ROWS = 1 << 16
MAX_EXPANSION = 100_000  # bytes of text for a byte of the file, once they are many
_PART_BYTES = 1 << 24
_MAX_HEADER_BYTES = 1 << 26


@READERS.add
class ParquetReader(Reader):
    """Parquet files."""

    name = "parquet"
    suffixes = (".parquet", ".pq")

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the rows behind row `cursor`."""
        with reading(path):
            file_bytes = path.stat().st_size
        with _decoder() as decoder:
            found = decoder.describe(path)
            chosen = choose_columns(path, found["names"], spec)
            # Whole row groups before the cursor are not read at all.
            group, position = 0, 0
            for rows_of_group in found["group_rows"]:
                if position + rows_of_group > cursor:
                    break
                position += rows_of_group
                group += 1
            total = sum(found["group_rows"])
            batches = decoder.batches(path, sorted(set(chosen.values())), group)
            sound = (_refuse_bomb(batch, path, file_bytes) for batch in batches)
            for batch in chain.from_iterable(map(_parts, sound)):
                start, position = position, position + batch.num_rows
                if position <= cursor:
                    continue
                if start < cursor:
                    batch = batch.slice(cursor - start)
                    start = cursor
                columns = columns_by_role(batch, chosen)
                rows = np.arange(start + 1, position + 1, dtype=np.int64)
                size = file_bytes * batch.num_rows // max(1, total)
                yield make_chunk(path, spec, columns, rows, position, size, quarantine)
            if position != total:
                raise InputError(
                    f"{path}: {position:,} rows where its footer names {total:,}: "
                    "it is damaged, or was written while it was read",
                    path=path,
                    row=position,
                )


class _Decoder:
    """The parent's side of a process that decodes."""

    def __init__(self) -> None:
        paths = [path for path in sys.path if path]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "buckler.readers.parquet_decoder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # an interruption is the reader's to handle
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self._process, self.is_idle = process, True
        self._in, self._out = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)

    def describe(self, path: Path) -> Header:
        """Return the names of the columns and the rows of each group."""
        self._ask(path, None)
        return self._header(path)

    def batches(self, path: Path, columns: list[str], group: int) -> Iterator[pa.RecordBatch]:
        """Yield batches of the columns, from a row group on."""
        self._ask(path, columns, group)
        while "end" not in (header := self._header(path)):
            data = self._read(header["size"], path)
            with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
                yield stream.read_next_batch()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, path: Path, columns: list[str] | None, group: int = 0) -> None:
        request: Request = {
            "path": str(path.absolute()),
            "columns": columns,
            "first_group": group,
            "batch_rows": BATCH_ROWS,
        }
        self.is_idle = False
        try:
            self._in.write(json.dumps(request).encode() + b"\n")
            self._in.flush()
        except BrokenPipeError:
            raise self._broken(path) from None

    def _header(self, path: Path) -> Header:
        line = self._out.readline(_MAX_HEADER_BYTES)
        if not line.endswith(b"\n"):
            raise self._broken(path)
        header: Header = json.loads(line)
        self.is_idle = "size" not in header
        if "fault" in header:
            raise InputError(f"{path}: not a sound Parquet file: {header['fault']}", path=path)
        return header

    def _read(self, size_bytes: int, path: Path) -> bytes:
        data = self._out.read(size_bytes)
        if len(data) < size_bytes:
            raise self._broken(path)
        return data

    def _broken(self, path: Path) -> InputError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        code = -(self._process.returncode or 0)
        reason = signal.Signals(code).name if code > 0 else f"exit code {-code}"
        if code == signal.SIGXCPU:
            reason = f"more than {MAX_CPU_S} s"
        return InputError(
            f"{path}: not a sound Parquet file: it breaks the decoder ({reason})", path=path
        )


_idle: list[tuple[int, _Decoder]] = []  # by process: a fork must not share a pipe
_lock = Lock()


@contextmanager
def _decoder() -> Iterator[_Decoder]:
    """Yield a decoder for one file; one that finished its answers serves the next file."""
    me = os.getpid()
    with _lock:
        found = next((entry for entry in _idle if entry[0] == me), None)
        if found is not None:
            _idle.remove(found)
    decoder = found[1] if found else _Decoder()
    try:
        yield decoder
    finally:
        if decoder.is_idle:
            _idle.append((me, decoder))
        else:  # answers may be left in the pipe
            decoder.close()


@atexit.register
def _close_decoders() -> None:
    for process, decoder in _idle:
        if process == os.getpid():
            decoder.close()


def _refuse_bomb(batch: pa.RecordBatch, path: Path, file_bytes: int) -> pa.RecordBatch:
    """Return a batch whose texts are in proportion to its file.

    A dictionary lets a few hundred bytes stand for gigabytes of text, whose scores take minutes.
    """
    size_bytes = int(_lengths(batch).sum())
    if size_bytes > MAX_DECODED_BYTES and size_bytes > MAX_EXPANSION * file_bytes:
        raise InputError(
            f"{path}: {len(batch):,} rows unpack to {size_bytes:,} bytes of text, more than "
            f"{MAX_EXPANSION:,} times the file: taken for a bomb",
            path=path,
        )
    return batch


def _lengths(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    return sum((decoded_lengths(column) for column in batch.columns), np.zeros(len(batch), int))


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch, so that the texts of a part are not too many bytes to be held."""
    lengths = _lengths(batch)
    part = np.cumsum(lengths) // _PART_BYTES
    cuts = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(batch)]
    yield from (batch.slice(start, stop - start) for start, stop in pairwise(cuts))
