"""Reads the log of Linux's audit daemon: one event is one program that was started.

An EXECVE record holds the arguments; the SYSCALL record of the same serial number the program, its
user and the time. Other kinds of records are passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from buckler.readers.chunks import make_chunk
from buckler.readers.lines import Block, line_blocks
from buckler.readers.objects import columns_of, quote_word
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader

MAX_ARGUMENTS = 4096
MAX_COMMAND = 1 << 16
_SERIAL = re.compile(rb"msg=audit\((\d{1,12})\.\d{1,6}:(\d{1,20})\)")
_ARGUMENT = re.compile(rb' a(\d{1,4})(?:\[\d{1,5}\])?=(?:"([^"]*)"|([0-9A-Fa-f]+))')
_FIELD = re.compile(rb' (exe|uid|comm|UID)=(?:"([^"]*)"|([^\s"]+))')
_NODE = re.compile(rb"^node=(\S{1,253}) ")


@dataclass
class _Program:
    """Program that the records of one serial number tell of."""

    row: int
    seconds: bytes
    host: bytes = b""
    exe: bytes = b""
    user: bytes = b""
    arguments: list[bytes] = field(default_factory=list)
    size: int = 0


@READERS.add
class AuditdReader(Reader):
    """Logs of auditd; the cursor is a byte."""

    name = "auditd"
    suffixes = ("audit.log", "audit.log.1", "audit.log.2", "audit.log.3", "audit.log.4")

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the programs that were started behind byte `cursor`."""
        names = spec.roles
        rest, rest_row = b"", 0
        last: tuple[int, int] | None = None
        for block in line_blocks(path, quarantine, cursor):
            data, first = rest + block.data, rest_row or block.first_row
            end = _last_event(data)
            rest, rest_row = data[end:], first + data.count(b"\n", 0, end)
            if len(rest) > MAX_COMMAND * 4:  # one serial number without end
                end, rest, rest_row = len(data), b"", 0
            last = (block.cursor - len(rest), block.size_bytes)
            if end:
                yield _chunk(path, data[:end], first, last, names, spec, quarantine)
        if rest and last is not None:
            yield _chunk(path, rest, rest_row, (last[0] + len(rest), 0), names, spec, quarantine)


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
    names: dict[str, tuple[str, ...]],
    spec: ColumnSpec,
    quarantine: Quarantine,
) -> Chunk:
    programs = _programs(path, Block(data, first_row, 0, 0), quarantine)
    objects = ((p.row, _as_object(p), b"") for p in programs if p.arguments)
    columns, rows = columns_of(path, objects, names, quarantine, pass_over=True)
    return make_chunk(path, spec, columns, rows, place[0], place[1], quarantine)


def _programs(path: Path, block: Block, quarantine: Quarantine) -> list[_Program]:
    found: dict[bytes, _Program] = {}
    done: list[_Program] = []
    for row, line in enumerate(block.data.splitlines(), block.first_row):
        execve = line.find(b"type=EXECVE ", 0, 300) >= 0
        if not execve and line.find(b"type=SYSCALL ", 0, 300) < 0:
            if line and line.find(b"msg=audit(", 0, 400) < 0:
                quarantine.add(path, row, "not a record of auditd", line)
            continue
        match = _SERIAL.search(line)
        if match is None:
            quarantine.add(path, row, "a record without a serial number", line)
            continue
        program = found.get(match.group(2))
        if program is not None and execve and program.arguments and b" a0=" in line:
            done.append(program)  # numbers begin anew when the daemon does
            program = None
        if program is None:
            program = found[match.group(2)] = _Program(row, match.group(1))
        if execve:
            program.row = row
            _add_arguments(program, line)
        else:
            for name, quoted, bare in _FIELD.findall(line):
                if name == b"exe":
                    program.exe = quoted or _decode(bare)
                elif name == b"UID" or (name == b"uid" and not program.user):
                    program.user = quoted or bare
        node = _NODE.match(line)
        if node is not None:
            program.host = node.group(1)
    return sorted([*done, *found.values()], key=lambda program: program.row)


def _add_arguments(program: _Program, line: bytes) -> None:
    in_pieces = b"]=" in line
    for number, quoted, encoded in _ARGUMENT.findall(line):
        if len(program.arguments) >= MAX_ARGUMENTS or program.size > MAX_COMMAND:
            return
        value = quoted if quoted or not encoded else _decode(encoded)
        program.size += len(value) + 1
        if in_pieces and b"a%s[" % number in line and int(number) < len(program.arguments):
            program.arguments[-1] += value  # a long argument in several pieces
        else:
            program.arguments.append(value)


def _decode(value: bytes) -> bytes:
    """Return what auditd writes in hexadecimal digits: all that needs quoting."""
    try:
        return bytes.fromhex(value.decode("ascii"))
    except ValueError:
        return value


def _as_object(program: _Program) -> dict[str, str | None]:
    words = b"\0".join(program.arguments).decode("utf-8", "replace").split("\0")
    return {
        "text": " ".join(map(quote_word, words)),
        "image": program.exe.decode("utf-8", "replace") or None,
        "user": program.user.decode("utf-8", "replace") or None,
        "host": program.host.decode("utf-8", "replace") or None,
        "ts": program.seconds.decode(),
    }
