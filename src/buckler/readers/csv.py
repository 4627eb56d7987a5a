"""Reads CSV and TSV with a header line; the cursor counts rows."""

import codecs
from collections.abc import Collection, Iterator
from io import RawIOBase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pc
from pyarrow import compute

from buckler.errors import InputError
from buckler.readers.chunks import check_is_text, choose_columns, make_chunk
from buckler.readers.lines import BLOCK_BYTES, open_stream
from buckler.readers.quarantine import SAMPLE_BYTES, Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader

_MARK = "\ufdd0\ufdd1\ufdd0"  # noncharacters: no text that is meant for people has them
_MARKING = "buckler-mark"
codecs.register_error(_MARKING, lambda error: (_MARK, error.end))  # type: ignore[attr-defined]


@READERS.add
class CsvReader(Reader):
    """CSV and TSV."""

    name = "csv"
    suffixes = (".csv", ".tsv", ".csv.gz", ".tsv.gz")

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the rows behind row `cursor` (the header is row 1 of the file)."""
        try:
            yield from _chunks(path, spec, quarantine, cursor)
        except pa.ArrowInvalid as error:
            raise InputError(f"{path}: not sound CSV: {_explain(error)}") from error
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error


def _explain(error: Exception) -> str:
    text = str(error).splitlines()[0][:160]
    if "straddling object" in text:
        return "a row is longer than 4 MiB (an open quote?); mend the row or convert the file"
    return text


def _chunks(path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int) -> Iterator[Chunk]:
    with open_stream(path) as stream:
        head = stream.read(BLOCK_BYTES)
    if not head.strip():
        raise InputError(f"{path}: the file is empty")
    check_is_text(path, head)
    delimiter = "\t" if ".tsv" in path.name.lower() else ","
    bad_rows: dict[int, tuple[str, str]] = {}  # read, but not yet set aside: Arrow reads ahead

    def keep_for_later(row: Any) -> str:
        reason = f"{row.actual_columns} columns where {row.expected_columns} are expected"
        bad_rows[row.number or 0] = (reason, (row.text or "")[:SAMPLE_BYTES])
        return "skip"

    def set_aside(first: int, last: int) -> None:
        for number in sorted(n for n in bad_rows if n <= last):
            reason, sample = bad_rows.pop(number)
            if number >= first:  # those before went with a chunk before the cursor
                quarantine.add(path, number, reason, sample)

    parse = pc.ParseOptions(
        delimiter=delimiter, newlines_in_values=True, invalid_row_handler=keep_for_later
    )
    header = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", _MARKING).encode()
    header = (header.splitlines() or [b""])[0] + b"\n"
    names = pc.read_csv(
        pa.BufferReader(header), parse_options=pc.ParseOptions(delimiter=delimiter)
    ).column_names
    chosen = choose_columns(path, names, spec)
    with (
        open_stream(path) as stream,
        pc.open_csv(
            _Utf8Stream(stream),
            read_options=pc.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            parse_options=parse,
            convert_options=pc.ConvertOptions(
                include_columns=sorted(set(chosen.values())),
                column_types={name: pa.large_binary() for name in chosen.values()},
                check_utf8=False,
                strings_can_be_null=False,
            ),
        ) as batches,
    ):
        row, passed, seen_bytes = 2, 0, 0
        file_bytes = path.stat().st_size
        for batch in batches:
            first = row
            numbers = _numbers(first, batch.num_rows, bad_rows)
            passed += batch.num_rows
            if not len(numbers):
                while row in bad_rows:  # no good row stands before these
                    row += 1
                set_aside(first if passed >= cursor else row, row - 1)
                continue
            row = int(numbers[-1]) + 1
            if passed <= cursor:
                set_aside(row, row - 1)
                continue
            new = min(batch.num_rows, passed - cursor)  # the rest stands before the cursor
            if new < batch.num_rows:
                first = int(numbers[-new - 1]) + 1
            batch, numbers = batch.slice(batch.num_rows - new), numbers[-new:]
            set_aside(first, row - 1)
            columns = {role: _as_role(role, batch.column(name)) for role, name in chosen.items()}
            if "text" in columns:
                marked = columns["text"]
                columns["text"] = compute.replace_substring(marked, _MARK.encode(), b"\xff")
            size = min(BLOCK_BYTES, max(0, file_bytes - seen_bytes))
            seen_bytes += size
            yield make_chunk(path, spec, columns, numbers, passed, size, quarantine)
        set_aside(row, max(bad_rows, default=0))


class _Utf8Stream(RawIOBase):
    """Hands a file to Arrow as UTF-8, with a mark where it is not.

    Arrow's reader can neither report nor skip a bad row that is not UTF-8. The mark makes it
    readable; it is turned back into a byte that is not UTF-8 once the rows are apart.
    """

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")(_MARKING)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while True:
            data = self._stream.read(size)
            text = self._decoder.decode(data, final=not data).encode()
            if text or not data:
                return text


def _numbers(first: int, count: int, bad_rows: Collection[int]) -> npt.NDArray[np.int64]:
    """Row numbers of the next `count` good rows."""
    if not bad_rows:
        return np.arange(first, first + count, dtype=np.int64)
    span = np.arange(first, first + count + len(bad_rows), dtype=np.int64)
    return span[~np.isin(span, list(bad_rows))][:count]


def _as_role(role: str, column: pa.Array) -> pa.Array:
    if role == "text":
        return column
    texts = [None if v is None else v.as_py().decode("utf-8", "replace") for v in column]
    return pa.array(texts, pa.string())
