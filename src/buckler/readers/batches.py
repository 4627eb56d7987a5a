"""Batches out of files: small chunks joined, so that forty mails are scored at once.

A batch knows where reading resumes behind it: the file, the cursor, and how much of the quarantine
belongs to what was read so far.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.errors import InputError
from buckler.isolation import EventFault, attempt
from buckler.readers.quarantine import Quarantine, QuarantineMark
from buckler.readers.reader import Chunk, ColumnSpec, get_reader

BATCH_ROWS = 4096  # a chunk that is larger by itself is a batch of its own
BATCH_BYTES = 1 << 22


@dataclass(frozen=True)
class Position:
    """Place among files where reading starts.

    Attributes
    ----------
    file
        Index of the file.
    cursor
        Cursor of its reader; 0 for the beginning.
    """

    file: int = 0
    cursor: int = 0


@dataclass(frozen=True)
class Batch:
    """Rows of one file, or of several small ones.

    Attributes
    ----------
    chunk
        Texts, columns and row numbers.
    paths
        Files that the rows come from.
    path_codes
        int32 [n]: index into `paths` for each row.
    position
        Place where reading resumes behind this batch.
    mark
        State of the quarantine at that place.
    """

    chunk: Chunk
    paths: tuple[Path, ...]
    path_codes: npt.NDArray[np.int32]
    position: Position
    mark: QuarantineMark

    def slice(self, start: int, stop: int) -> "Batch":
        """Return some of the rows."""
        chunk = self.chunk
        columns = {role: column[start:stop] for role, column in chunk.columns.items()}
        part = replace(
            chunk,
            events=chunk.events[start:stop],
            columns=columns,
            rows=chunk.rows[start:stop],
        )
        return replace(self, chunk=part, path_codes=self.path_codes[start:stop])


def read_batches(
    paths: Sequence[Path],
    spec: ColumnSpec,
    quarantine: Quarantine,
    *,
    format_name: str | None = None,
    start: Position = Position(),
    skip_unreadable: bool = False,
) -> Iterator[Batch]:
    """Yield the rows of files behind a position.

    Parameters
    ----------
    paths
        Files, in the order of `Position.file`.
    spec
        Columns to read.
    quarantine
        Place for bad rows.
    format_name
        Format of every file, whatever its suffix.
    start
        Position of the batch behind which reading resumes.
    skip_unreadable
        True sets a file that cannot be read aside, and reads the others.

    Raises
    ------
    InputError
        If a file cannot be read; what was read before it is yielded first.
    """
    pending = _Pending(paths)
    mark = quarantine.mark()
    for number in range(start.file, len(paths)):
        path = paths[number]
        cursor = start.cursor if number == start.file else 0
        reader = get_reader(path, format_name)
        if reader.medium not in ("", spec.medium) and spec.medium not in ("", "text"):
            quarantine.pass_over(f"files of the format {reader.name}")
            continue
        try:
            chunks = reader.chunks(path, spec, quarantine, cursor)
            while chunk := _next_chunk(path, chunks):
                if not pending.takes(chunk):
                    yield pending.batch(mark)
                pending.add(number, chunk)
                mark = quarantine.mark()
                if pending.is_full:
                    yield pending.batch(mark)
        except InputError as error:
            if not skip_unreadable:
                if pending.chunks:
                    yield pending.batch(mark)
                raise
            quarantine.add(path, 0, f"file not read to its end: {error}")
    if pending.chunks:
        yield pending.batch(mark)


def _next_chunk(path: Path, chunks: Iterator[Chunk]) -> Chunk | None:
    """Return the next chunk, None at the end; a failure that no reader foresaw is an InputError."""
    chunk = attempt(lambda rest: next(rest, None), chunks)
    if isinstance(chunk, EventFault):
        raise chunk.to_error(path)
    return chunk


class _Pending:
    """Small chunks that wait to be joined."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._clear()

    def _clear(self) -> None:
        self.chunks: list[Chunk] = []
        self._files: list[int] = []
        self._n_rows = self._size_bytes = 0

    @property
    def is_full(self) -> bool:
        return self._n_rows >= BATCH_ROWS or self._size_bytes >= BATCH_BYTES

    def takes(self, chunk: Chunk) -> bool:
        """Tell whether a chunk is small and has the columns of those that wait."""
        if not self.chunks:
            return True
        types = _types(chunk)
        return (
            len(chunk.events) < BATCH_ROWS
            and max(chunk.size_bytes, chunk.events.nbytes) < BATCH_BYTES
            and not any(pa.types.is_dictionary(kind) for kind in types.values())
            and types == _types(self.chunks[0])
        )

    def add(self, file: int, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self._files.append(file)
        self._n_rows += len(chunk.events)
        self._size_bytes += max(chunk.size_bytes, chunk.events.nbytes)  # it may be packed

    def batch(self, mark: QuarantineMark) -> Batch:
        """Join what waits, and wait for more."""
        files = sorted(set(self._files))
        codes = np.searchsorted(files, self._files).astype(np.int32)
        batch = Batch(
            _join(self.chunks),
            tuple(self._paths[file] for file in files),
            np.repeat(codes, [len(chunk.events) for chunk in self.chunks]),
            Position(self._files[-1], self.chunks[-1].cursor),
            mark,
        )
        self._clear()
        return batch


def _types(chunk: Chunk) -> dict[str, pa.DataType]:
    return {role: column.type for role, column in chunk.columns.items()}


def _join(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    return Chunk(
        pa.concat_arrays([chunk.events for chunk in chunks]),
        {
            role: pa.concat_arrays([chunk.columns[role] for chunk in chunks])
            for role in chunks[0].columns
        },
        np.concatenate([chunk.rows for chunk in chunks]),
        chunks[-1].cursor,
        sum(chunk.size_bytes for chunk in chunks),
    )
