"""Reads the log of Linux's audit daemon: one event is one program that was started.

An EXECVE record holds the arguments; the SYSCALL record of the same serial number the program, its
user and the time. Other kinds of records are passed over.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from buckler._kernel import audit_lines
from buckler.readers.chunks import find_name, make_chunk, readable
from buckler.readers.lines import line_blocks
from buckler.readers.objects import columns_of
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader

_MAX_EVENT_BYTES = 1 << 18  # of one serial number
_SERIAL = re.compile(rb"msg=audit\((\d{1,12})\.\d{1,6}:(\d{1,20})\)")
_COLUMNS = ("text", "image", "user", "host", "ts")
_FAULTS = ("not a record of auditd", "a record without a serial number")


@READERS.add
class AuditdReader(Reader):
    """Logs of auditd; the cursor is a byte."""

    name = "auditd"
    suffixes = ("audit.log", "audit.log.1", "audit.log.2", "audit.log.3", "audit.log.4")

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the programs that were started behind byte `cursor`."""
        rest, rest_row = b"", 0
        last: tuple[int, int] | None = None
        for block in line_blocks(path, quarantine, cursor):
            data, first = rest + block.data, rest_row or block.first_row
            end = _last_event(data)
            rest, rest_row = data[end:], first + data.count(b"\n", 0, end)
            if len(rest) > _MAX_EVENT_BYTES:  # one serial number without end
                end, rest, rest_row = len(data), b"", 0
            last = (block.cursor - len(rest), block.size_bytes)
            if end:
                yield _chunk(path, data[:end], first, last, spec, quarantine)
        if rest and last is not None:
            yield _chunk(path, rest, rest_row, (last[0] + len(rest), 0), spec, quarantine)


def _last_event(data: bytes) -> int:
    """Return where the lines of the last serial number begin: the next block may go on with it."""
    position, serial = len(data), None
    while position > 0:
        start = data.rfind(b"\n", 0, position - 1) + 1
        match = _SERIAL.search(data, start, position)
        if serial is None:
            serial = match.group(2) if match else None
        if match is None or match.group(2) != serial:
            return position
        position = start
    return 0


def _chunk(
    path: Path,
    data: bytes,
    first_row: int,
    place: tuple[int, int],
    spec: ColumnSpec,
    quarantine: Quarantine,
) -> Chunk:
    lines, bad_lines, buffers = audit_lines(data)
    for line, fault, begin, end in np.frombuffer(bad_lines, np.int64).reshape(-1, 4).tolist():
        quarantine.add(path, first_row + line, _FAULTS[fault], data[begin:end])
    rows = np.frombuffer(lines, np.int64) + first_row
    programs = {
        name: readable(pa.Array.from_buffers(pa.string(), len(rows), list(map(pa.py_buffer, own))))
        for name, own in zip(_COLUMNS, buffers, strict=True)
    }
    if np.any(rows[1:] < rows[:-1]):  # programs stand in the order of their serial numbers
        order = np.argsort(rows)
        rows = rows[order]
        programs = {name: column.take(pa.array(order)) for name, column in programs.items()}
    if spec.keeps or spec.features is not None:
        table = pa.table(programs).to_pylist()
        objects = ((row, value, b"") for row, value in zip(rows.tolist(), table, strict=True))
        columns, rows = columns_of(path, objects, spec.roles, quarantine, pass_over=True)
    else:
        columns = {role: _first(programs, tried) for role, tried in spec.roles.items()}
        kept = columns["text"].is_valid()
        if columns["text"].null_count:
            quarantine.pass_over("other events", columns["text"].null_count)
            columns = {role: column.filter(kept) for role, column in columns.items()}
            rows = rows[kept.to_numpy(zero_copy_only=False)]
    return make_chunk(path, spec, columns, rows, place[0], place[1], quarantine)


def _first(programs: dict[str, pa.Array], tried: tuple[str, ...]) -> pa.Array:
    """Return the first value under these names in each row."""
    found = [programs[name] for name in tried if name in programs]
    if not found and (name := find_name(tried, programs)) is not None:
        found = [programs[name]]
    return pc.coalesce(*found) if found else pa.nulls(len(programs["text"]), pa.string())
