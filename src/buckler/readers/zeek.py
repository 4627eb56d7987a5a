"""Reads Zeek's logs as Zeek writes them: lines that name the fields, then values between tabs."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from buckler.errors import InputError
from buckler.readers.chunks import choose_columns, make_chunk
from buckler.readers.lines import ZEEK_HEADER, line_blocks, usable_lines
from buckler.readers.objects import columns_of
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader

_MAX_FIELDS = 1000
_ESCAPED = re.compile(rb"\\x([0-9A-Fa-f]{2})")
WRONG_WIDTH = "not as many values as fields"


class ZeekLines:
    """Turns lines of a log into records; remembers what its header lines say.

    A log that was rotated, or several logs in one pipe, may bring new headers at any line.

    Attributes
    ----------
    fields
        Names of the values; empty before a header.
    """

    def __init__(self) -> None:
        self.fields: list[str] = []
        self._has_header = False
        self._separator, self._unset, self._empty = b"\t", b"-", b"(empty)"

    def take_header(self, line: bytes) -> bool:
        """Take what a header line says; return False for a line that is none.

        Without a header before it, a line that begins with ``#`` is a text.
        """
        self._has_header |= line.startswith(ZEEK_HEADER)
        if not self._has_header or not line.startswith(b"#"):
            return False
        if line.startswith(b"#separator "):
            self._separator = _unescape(line.partition(b" ")[2]) or b"\t"
            return True
        name, *values = line.split(self._separator)
        if name == b"#fields":
            self.fields = [value.decode("utf-8", "replace") for value in values[:_MAX_FIELDS]]
        elif name == b"#unset_field" and values:
            self._unset = values[0]
        elif name == b"#empty_field" and values:
            self._empty = values[0]
        return True

    def parse(self, line: bytes) -> dict[str, object] | None:
        """Return a record by field; None where the line has not as many values as fields."""
        values = line.split(self._separator)
        if not self.fields or len(values) != len(self.fields):
            return None
        return dict(zip(self.fields, map(self._value, values), strict=True))

    def _value(self, value: bytes) -> str | None:
        if value == self._unset:
            return None
        if value == self._empty:
            return ""
        return _unescape(value).decode("utf-8", "surrogateescape")


def _unescape(value: bytes) -> bytes:
    r"""Return a value as it was before Zeek wrote its bytes as ``\x09``."""
    if b"\\x" not in value:
        return value
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), value)


@READERS.add
class ZeekReader(Reader):
    """Zeek's logs in tabs, such as ``http.log``; found by their first line."""

    name = "zeek"

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the records behind byte `cursor`."""
        log = ZeekLines()
        if cursor:
            for block in line_blocks(path, Quarantine()):
                if block.cursor > cursor:
                    break
                for line in block.data.split(b"\n"):
                    log.take_header(line.removesuffix(b"\r"))
        for block in line_blocks(path, quarantine, cursor):
            records: list[tuple[int, object, bytes]] = []
            for line, row in zip(*usable_lines(path, block, quarantine), strict=True):
                if log.take_header(line):
                    if line.startswith(b"#fields"):
                        choose_columns(path, log.fields, replace(spec, kept=(), keep_all=False))
                elif (record := log.parse(line)) is None:
                    quarantine.add(path, row, WRONG_WIDTH, line)
                else:
                    records.append((row, record, line))
            if not log.fields:
                raise InputError(f"{path}: no line names its fields (#fields)", path=path)
            found = columns_of(path, records, spec.roles, quarantine, pass_over=spec.mixed)
            yield make_chunk(path, spec, *found, block.cursor, block.size_bytes, quarantine)
