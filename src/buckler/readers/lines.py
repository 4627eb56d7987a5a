"""Reads text line by line, and cuts any line-based file into bounded blocks; cursors are bytes."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from buckler.errors import InputError
from buckler.readers.chunks import check_is_text, make_chunk
from buckler.readers.quarantine import SAMPLE_BYTES, Quarantine
from buckler.readers.reader import BLOCK_BYTES, READERS, Chunk, ColumnSpec, Reader, open_stream

MAX_LINE_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
ZEEK_HEADER = (b"#separator ", b"#fields\t")
TOO_LONG = "line longer than 1 MiB"


@dataclass(frozen=True)
class Block:
    """Whole lines of a file.

    Attributes
    ----------
    data
        The lines, each with its newline (the last line of a file may lack one).
    first_row
        The number of the first line, counted from 1.
    cursor
        The byte at which the next block starts (of the decompressed data).
    size_bytes
        Length of the data, for progress.
    """

    data: bytes
    first_row: int
    cursor: int
    size_bytes: int


def line_blocks(path: Path, quarantine: Quarantine, cursor: int = 0) -> Iterator[Block]:
    """Yield blocks of whole lines; a line that is too long is set aside without being held.

    ``.gz``, ``.bz2`` and ``.zst`` are decompressed as they are read. A file whose lines end in a
    carriage return alone is read like any other.

    Raises
    ------
    InputError
        If the file cannot be read, is binary, or is UTF-16.
    """
    position, row = cursor, 1
    with open_stream(path) as stream:
        read = _reader(path, stream)
        row += _skip(read, cursor)
        rest = b""
        while data := read(BLOCK_BYTES):
            if position == 0 and not rest:
                check_is_text(path, data)
                if data.startswith(b"\xef\xbb\xbf"):
                    data, position = data[3:], 3
            data = rest + data
            end = data.rfind(b"\n") + 1
            if end == 0 and len(data) > MAX_LINE_BYTES:
                quarantine.add(path, row, TOO_LONG, data[:SAMPLE_BYTES])
                skipped, rest = _skip_line(read)
                position += len(data) + skipped
                row += 1
                continue
            rest = data[end:]
            if end:
                position += end
                yield Block(data[:end], row, position, end)
                row += data.count(b"\n", 0, end)
        if rest:
            yield Block(rest, row, position + len(rest), len(rest))


def _reader(path: Path, stream: pa.NativeFile) -> Callable[[int], bytes]:
    """Return a function that reads with line feeds, where the file has carriage returns alone."""
    with open_stream(path) as probe:
        head = probe.read(_HEAD_BYTES)
    if b"\n" in head or b"\r" not in head:
        return stream.read  # type: ignore[no-any-return]
    return lambda n: stream.read(n).replace(b"\r", b"\n")


def _skip(read: Callable[[int], bytes], cursor: int) -> int:
    """Read up to the cursor; return how many lines that is."""
    lines = 0
    while cursor > 0:
        data = read(min(cursor, BLOCK_BYTES))
        if not data:
            break
        lines += data.count(b"\n")
        cursor -= len(data)
    return lines


def _skip_line(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    """Read to the end of the line; return how many bytes belong to it, and what follows."""
    skipped = 0
    while data := read(BLOCK_BYTES):
        end = data.find(b"\n") + 1
        if end:
            return skipped + end, data[end:]
        skipped += len(data)
    return skipped, b""


def usable_lines(path: Path, block: Block, quarantine: Quarantine) -> tuple[list[bytes], list[int]]:
    """Return the lines of a block that are neither blank nor too long, and their numbers."""
    lines, rows = [], []
    for row, line in enumerate(block.data.split(b"\n"), block.first_row):
        line = line.removesuffix(b"\r")
        if len(line) > MAX_LINE_BYTES:
            quarantine.add(path, row, TOO_LONG, line)
        elif line and not line.isspace():
            lines.append(line)
            rows.append(row)
    return lines, rows


def _first_line(path: Path) -> bytes:
    try:
        with open_stream(path) as stream:
            head: bytes = stream.read(_HEAD_BYTES)
    except InputError:
        return b""  # whoever reads it says why
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]


def _is_object(line: bytes) -> bool:
    try:
        return line.startswith(b"{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


@READERS.add
class LinesReader(Reader):
    """Plain text: one event a line; blank lines are skipped."""

    name = "lines"
    suffixes = (".txt", ".log", ".lst", ".txt.gz", ".log.gz", ".txt.zst", ".log.zst")

    def for_file(self, path: Path) -> Reader:
        """Return the reader of Zeek's logs or of JSON lines where the first line is of theirs."""
        first = _first_line(path)
        if first.startswith(ZEEK_HEADER):
            return READERS.get("zeek")()
        if ".log" in path.name.lower() and _is_object(first):
            return READERS.get("jsonl")()
        return self

    def chunks(
        self,
        path: Path,
        spec: ColumnSpec,
        quarantine: Quarantine,
        cursor: int = 0,
    ) -> Iterator[Chunk]:
        """Yield the lines behind byte `cursor`."""
        for block in line_blocks(path, quarantine, cursor):
            lines, rows = usable_lines(path, block, quarantine)
            columns = {"text": pa.array(lines, pa.large_binary())}
            numbers = np.array(rows, np.int64)
            yield make_chunk(
                path, spec, columns, numbers, block.cursor, block.size_bytes, quarantine
            )
