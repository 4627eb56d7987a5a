"""Reads CSV and TSV with a header line; the cursor counts rows.

The delimiter is a comma or a tab by the suffix; a semicolon, tab, bar or comma where the header has
none of these. Before the header may stand comments, of which the last may be the header, as in the
lists of abuse.ch, and Excel's ``sep=;``.

A quote that opens a field may never close: in a damaged file, or in one that quotes nothing. Common
readers take all that follows for one field. Here that row alone is set aside, and the next line is
the next row.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pc

from buckler.errors import InputError
from buckler.readers.chunks import (
    MAX_TEXT_BYTES,
    check_is_text,
    choose_columns,
    find_name,
    make_chunk,
    readable,
)
from buckler.readers.quarantine import SAMPLE_BYTES, Quarantine
from buckler.readers.reader import BLOCK_BYTES, READERS, Chunk, ColumnSpec, Reader, open_stream

_LINE_END = re.compile(rb"\r\n|\n|\r")
_PREAMBLE = re.compile(
    rb"[\r\n]*(?:sep=[^\r\n]?(?:\r\n|\n|\r))?(?:(?P<comment>#(?![,;\t|])[^\r\n]*)[\r\n]+)*", re.I
)
_DELIMITERS = (b",", b";", b"\t", b"|")
_QUOTED = re.compile(rb'"[^"]*"')
_OPEN = re.compile(rb'"[^"]*(?:""[^"]*)*')
_OPEN_QUOTE, _TOO_LONG = "a quote that does not close", "row longer than 16 MiB"
_SUSPECT_LINES = 4  # so many lines of a field that are rows by themselves: an open quote


@READERS.add
class CsvReader(Reader):
    """CSV and TSV, with commas, tabs, semicolons or bars."""

    name = "csv"
    suffixes = (".csv", ".tsv", ".csv.gz", ".tsv.gz")

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the rows behind row `cursor` (the header is row 1 of the file)."""
        usual = b"\t" if ".tsv" in path.name.lower() else b","
        cutter = _Cutter(usual)
        chosen: dict[str, str] = {}
        rest = b""
        for read in _blocks(path):
            data, start, is_last = rest + read, 0, not read
            if not cutter.names:
                rest = data
                data = _skip_preamble(data, spec, is_last=is_last)
                cutter = _Cutter(_delimiter(data, usual))
                start = cutter.read_header(path, data, is_last=is_last)
                if not cutter.names:
                    continue
                chosen = choose_columns(path, cutter.names, spec)
            wanted = [cutter.names.index(name) for name in chosen.values()]
            cut = cutter.cut(data, start, wanted, is_last=is_last)
            rest = data[cut.stop :]
            for row, reason, sample in cut.faults:
                if row > cursor:
                    quarantine.add(path, row, reason, sample)
            new = cut.rows > cursor
            if new.any():
                columns = {
                    role: _as_role(role, column).filter(pa.array(new))
                    for role, column in zip(chosen, cut.columns, strict=True)
                }
                rows, size = cut.rows[new], cut.stop - start
                yield make_chunk(path, spec, columns, rows, cutter.row, size, quarantine)


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the bytes behind the byte order mark, and empty bytes at the end."""
    with open_stream(path) as stream:
        first = stream.read(BLOCK_BYTES)
        check_is_text(path, first)
        yield first.removeprefix(b"\xef\xbb\xbf")
        while block := stream.read(BLOCK_BYTES):
            yield block
    yield b""


def _skip_preamble(data: bytes, spec: ColumnSpec, *, is_last: bool) -> bytes:
    """Return the data from the header on; as long as there is no whole line of it, none."""
    found = _PREAMBLE.match(data)
    if found is None or not found[0].strip():
        return data
    data = data[found.end() :]
    if not is_last and _LINE_END.search(data) is None:
        return b""
    header = (found["comment"] or b"").lstrip(b"#").strip(b" ")
    names, first = (_names(line) for line in (header, _LINE_END.split(data, maxsplit=1)[0]))
    if find_name(spec.text, names) is not None and find_name(spec.text, first) is None:
        return header + b"\n" + data
    return data


def _names(line: bytes) -> list[str]:
    names = line.split(max(_DELIMITERS, key=line.count))
    return [name.decode("utf-8", "replace").strip(' "') for name in names]


def _delimiter(data: bytes, usual: bytes) -> bytes:
    """Return the usual delimiter, or the one of the first line where that lacks it."""
    header = _QUOTED.sub(b"", _LINE_END.split(data.lstrip(b"\r\n"), maxsplit=1)[0])
    if usual in header:
        return usual
    return max((usual, *_DELIMITERS), key=header.count)


def _as_role(role: str, column: pa.Array) -> pa.Array:
    return column if role == "text" else readable(column.view(pa.large_string())).cast(pa.string())


@dataclass(frozen=True)
class _Cut:
    """Rows of a block: their wanted columns and numbers, the rows that are none, and the end."""

    columns: list[pa.Array]
    rows: npt.NDArray[np.int64]
    faults: list[tuple[int, str, bytes]]
    stop: int


class _Cutter:
    """Cuts the bytes of a file into rows of one width, and counts them."""

    def __init__(self, delimiter: bytes) -> None:
        self.names: list[str] = []
        self.row = 0
        self._skips = False
        self._delimiter = delimiter
        sign = re.escape(delimiter)
        unquoted = rb'(?!")([^%b\r\n]*)' % sign
        self._field = re.compile(
            rb'(?:"([^"]*(?:""[^"]*)*)" *|%b)(%b|\r\n|\n|\r|\Z)' % (unquoted, sign)
        )

    def read_header(self, path: Path, data: bytes, *, is_last: bool) -> int:
        """Take the names from the first line that is not blank; return where it ends.

        As long as there is no whole line, there are no names.
        """
        start, limit = len(data) - len(data.lstrip(b"\r\n")), self._limit(data, is_last)
        if is_last and start == len(data):
            raise InputError(f"{path}: the file is empty", path=path)
        fields, _, stop = self._fields(data, start, limit)
        if fields is None and not self._goes_on(data, start, stop, limit, is_last):
            raise InputError(f"{path}: {_OPEN_QUOTE} in its first line", path=path, row=1)
        if fields is None or start >= limit:
            return 0
        while len(fields) > 1 and not fields[-1]:
            fields.pop()
        self.names, self.row = [name.decode("utf-8", "replace").strip() for name in fields], 1
        return stop

    def cut(self, data: bytes, start: int, wanted: Sequence[int], *, is_last: bool) -> _Cut:
        """Return the rows of whole lines behind `start`."""
        if self._skips:
            end = _LINE_END.search(data, start)
            self._skips, start = end is None, len(data) if end is None else end.end()
        limit = self._limit(data, is_last)
        if limit > start:
            fast = self._cut_fast(data[start:limit], wanted)
            if fast is not None:
                return _Cut(*fast, [], limit)
            return self._cut_each(data, start, wanted, is_last)
        faults = []
        if len(data) - start > MAX_TEXT_BYTES:
            self.row += 1
            faults = [(self.row, _TOO_LONG, data[start : start + SAMPLE_BYTES])]
            self._skips, start = True, len(data)
        return _Cut([], np.empty(0, np.int64), faults, start)

    def _limit(self, data: bytes, is_last: bool) -> int:
        """Return the end of the last whole line; some end in a carriage return alone."""
        if is_last:
            return len(data)
        return data.rfind(b"\n") + 1 or data.rfind(b"\r", 0, -1) + 1

    def _cut_fast(
        self, data: bytes, wanted: Sequence[int]
    ) -> tuple[list[pa.Array], npt.NDArray[np.int64]] | None:
        """Return columns and row numbers by Arrow; None where a line needs a closer look."""
        if b'"' in data and not self._quotes_fit(data):
            return None
        names = [str(index) for index in range(len(self.names))]
        try:
            table = pc.read_csv(
                pa.BufferReader(data),
                pc.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
                pc.ParseOptions(delimiter=self._delimiter.decode()),
                pc.ConvertOptions(
                    include_columns=[names[index] for index in sorted(set(wanted))],
                    column_types=dict.fromkeys(names, pa.large_binary()),
                    check_utf8=False,
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid:
            return None
        n = table.num_rows
        if n != data.count(b"\n") + (not data.endswith(b"\n")):
            return None
        columns = [table.column(names[index]).combine_chunks() for index in wanted]
        self.row += n
        return columns, np.arange(self.row - n + 1, self.row + 1, dtype=np.int64)

    def _quotes_fit(self, data: bytes) -> bool:
        """Tell whether all quotes stand at the ends of fields, or in pairs, and in their lines."""
        view = np.frombuffer(b"\n" + data + b"\n", np.uint8)
        quotes = np.flatnonzero(view == ord('"'))
        line_ends = np.flatnonzero((view == ord("\n")) | (view == ord("\r")))
        if len(quotes) % 2 or (np.searchsorted(quotes, line_ends) % 2).any():
            return False
        edges = np.frombuffer(b'"\r\n' + self._delimiter, np.uint8)
        before, after = view[quotes[::2] - 1], view[quotes[1::2] + 1]
        return bool(np.isin(before, edges).all() and np.isin(after, edges).all())

    def _cut_each(self, data: bytes, at: int, wanted: Sequence[int], is_last: bool) -> _Cut:
        """Return the rows, line by line."""
        limit, held = self._limit(data, is_last), list[list[bytes]]()
        rows, faults = list[int](), list[tuple[int, str, bytes]]()
        while at < limit:
            end = _LINE_END.search(data, at, limit)
            line_end, next_line = (limit, limit) if end is None else end.span()
            line = data[at:line_end]
            if not line:
                at = next_line
                continue
            reason, fields, stop = "", self._split(line), next_line
            if b'"' in line:
                quoted, all_quoted, stop = self._fields(data, at, limit)
                if quoted is None and self._goes_on(data, at, stop, limit, is_last):
                    break
                more = b"" if all_quoted else data[next_line:stop]  # no open quote closes them all
                if quoted is not None and self._is_row(quoted, more):
                    fields = quoted
                else:  # read as if no quote had a meaning, unless one is left open
                    stop, reason = next_line, _OPEN_QUOTE if line.count(b'"') % 2 else ""
            self.row += 1
            if not reason and len(fields) != len(self.names):
                few = "few" if len(fields) < len(self.names) else "many"
                reason = f"too {few} columns: {len(fields)} of {len(self.names)}"
            if reason:
                faults.append((self.row, reason, line[:SAMPLE_BYTES]))
            else:
                rows.append(self.row)
                held.append(fields)
            at = stop
        columns = [pa.array([fields[i] for fields in held], pa.large_binary()) for i in wanted]
        return _Cut(columns, np.array(rows, np.int64), faults, at)

    def _split(self, line: bytes) -> list[bytes]:
        return self._trim(line.split(self._delimiter))

    def _fields(self, data: bytes, at: int, limit: int) -> tuple[list[bytes] | None, bool, int]:
        """Return the fields of a row, True if all have quotes, and its end.

        Quotes that do not fit give None, and their place.
        """
        fields, all_quoted = list[bytes](), True
        while found := self._field.match(data, at, limit):
            quoted, plain, end = found.groups()
            all_quoted &= quoted is not None
            fields.append(plain if quoted is None else quoted.replace(b'""', b'"'))
            at = found.end()
            if end != self._delimiter:
                return self._trim(fields), all_quoted and len(fields) == len(self.names) > 1, at
        return None, False, at

    def _trim(self, fields: list[bytes]) -> list[bytes]:
        """Return the fields without empty ones behind the last column."""
        while len(fields) > len(self.names) > 0 and not fields[-1]:
            fields.pop()
        return fields

    def _goes_on(self, data: bytes, start: int, at: int, limit: int, is_last: bool) -> bool:
        """Tell whether the quote at `at` may close in the next block."""
        if is_last or len(data) - start > MAX_TEXT_BYTES:
            return False
        quote = _OPEN.match(data, at, limit)
        return at >= limit or (quote is not None and quote.end() == limit)

    def _is_row(self, fields: list[bytes], more: bytes) -> bool:
        """Tell whether fields that go on over `more` lines are a row, not a quote left open."""
        if not more:
            return True
        lines = more.splitlines()[:-1]
        n = len(self.names)
        return len(fields) == n and (
            n == 1
            or len(lines) < _SUSPECT_LINES
            or any(line.count(self._delimiter) != n - 1 for line in lines)
        )
