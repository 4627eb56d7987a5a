"""Reads web archives (WARC): good pages before and behind damage are judged, damage is counted."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from buckler.errors import InputError, MissingExtraError
from buckler.files import path_text, reading
from buckler.normalize.html_v1 import MAX_PAGE_BYTES
from buckler.readers.pages import page_event
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import BLOCK_BYTES, READERS, Chunk, ColumnSpec, Reader
from buckler.readers.times import seconds_of

CHUNK_PAGES = 256
MAX_DAMAGES = 1000
MAX_HEADER_LINES, MAX_HEADER_BYTES = 256, 1 << 18  # of a record; a bomb unpacks to millions
MAX_CUT = 16  # records that end behind the file's end: each is read up to there
_SEPARATOR = b"\x1f"
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"',]+)", re.I)
_GZIP, _PLAIN = b"\x1f\x8b\x08", b"WARC/"
_SEARCH_BYTES = 1 << 20
_PROBE_BYTES = 256


@dataclass(frozen=True)
class _Damage:
    """Place where an archive cannot be read, and why."""

    reason: str


@READERS.add
class WarcReader(Reader):
    """Web archives: each response that holds HTML is an event; the cursor counts records."""

    name = "warc"
    medium = "html"
    suffixes = (".warc", ".warc.gz")

    def chunks(
        self,
        path: Path,
        spec: ColumnSpec,  # noqa: ARG002 - records have no columns
        quarantine: Quarantine,
        cursor: int = 0,
    ) -> Iterator[Chunk]:
        """Yield the pages behind record `cursor`.

        Raises
        ------
        InputError
            If the file is no web archive, or is damaged at more than 1,000 places; the pages
            before are yielded first.
        """
        pages: list[tuple[int, bytes, int | None]] = []
        failure: InputError | None = None
        with reading(path):
            size, row, total = 0, 0, max(1, path.stat().st_size)
        records = _records(path)
        while True:
            try:
                record = next(records)
            except StopIteration:
                break
            except InputError as error:
                failure = error
                break
            row += 1
            if row <= cursor:
                continue
            page = _page(record, path, row, quarantine)
            if page is None:
                continue
            pages.append((row, *page))
            size += len(page[0])
            if len(pages) == CHUNK_PAGES or size > BLOCK_BYTES:
                yield _chunk(path, pages, row, min(size, total))
                pages, size = [], 0
        if pages:
            yield _chunk(path, pages, row, min(size, total))
        if failure is not None:
            raise failure


def _records(path: Path) -> Iterator[Any]:
    """Yield records and damages; behind a damage, reading resumes at the next record."""
    try:
        from warcio.archiveiterator import ArchiveIterator
        from warcio.exceptions import ArchiveLoadFailed
    except ImportError as error:
        raise MissingExtraError("reading web archives", "formats") from error
    faults = (ArchiveLoadFailed, OSError, ValueError, EOFError, KeyError, AttributeError,
              UnicodeError, TypeError, zlib.error)  # fmt: skip
    n_records = 0
    with reading(path), path.open("rb") as file:
        start, n_cut = 0, 0
        for _ in range(MAX_DAMAGES):
            file.seek(start)
            archive, place, reason = _with_bounds(ArchiveIterator(file)), start, ""
            try:
                for record in _quietly(archive):
                    place = max(place, archive.offset)
                    yield record
                    n_records += 1
                    if _is_cut(record):
                        n_cut += 1
                        break
                else:
                    if archive.offset >= _length(file):
                        return
                    reason = "a record that is cut off"
            except faults as error:
                if "non-chunked gzip" in str(error):
                    yield from islice(_unpack(path, ArchiveIterator, faults), n_records, None)
                    return
                reason = "what follows is no record"
                if not isinstance(error, ArchiveLoadFailed):
                    reason = f"a record that cannot be read ({type(error).__name__})"
            place = max(place, archive.offset)  # behind a wrong length, the offset is none
            following = _next_start(file, place + 1) if n_cut <= MAX_CUT else None
            if following is None and not n_records:
                raise InputError(f"{path}: not a sound web archive: {reason}", path=path)
            if reason:
                yield _Damage(reason)
            if following is None:
                return
            start = following
    raise InputError(f"{path}: damaged at more than {MAX_DAMAGES:,} places", path=path)


def _unpack(path: Path, iterator: Any, faults: tuple[type[Exception], ...]) -> Iterator[Any]:
    """Yield the records of an archive that was packed as a whole, not record by record."""
    with gzip.open(path) as file:
        try:
            yield from _quietly(_with_bounds(iterator(file)))
        except faults as error:
            yield _Damage(f"packed as a whole, and damaged ({type(error).__name__})")


def _with_bounds(archive: Any) -> Any:
    """Return an iterator of records whose headers end, or fail, within a limit."""
    for name in ("arc_parser", "warc_parser", "http_parser", "http_req_parser"):
        parser = getattr(archive.loader, name)

        def parse(stream: Any, line: Any = None, parse: Any = parser.parse) -> Any:
            return parse(_FirstLines(stream), line)

        parser.parse = parse
    return archive


class _FirstLines:
    """Lines of a stream, up to a limit."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._lines, self._bytes = stream, 0, 0

    def readline(self) -> bytes:
        """Return the next line, or as much of it as may be."""
        line: bytes = self._stream.readline(MAX_HEADER_BYTES)
        self._lines, self._bytes = self._lines + 1, self._bytes + len(line)
        if self._lines > MAX_HEADER_LINES or self._bytes > MAX_HEADER_BYTES:
            raise ValueError("headers beyond the limit")
        return line


def _quietly(archive: Any) -> Iterator[Any]:
    """Yield records; what the library writes of them to standard error is the sender's text."""
    records = iter(archive)
    while True:
        with redirect_stderr(_Nowhere()):
            record = next(records, None)
        if record is None:
            return
        yield record


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def _is_cut(record: Any) -> bool:
    """Return True if the file ends before a record does, or the record names no end."""
    if record.length is None:
        return True
    while record.raw_stream.read(BLOCK_BYTES):
        pass
    return getattr(record.raw_stream, "limit", 0) > 0


def _length(file: IO[bytes]) -> int:
    """Return the length of a file without the white space at its end."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 64))
    return size - 64 + len(file.read(64).rstrip(b"\r\n")) if size >= 64 else size


def _next_start(file: IO[bytes], position: int) -> int | None:
    """Return where the next record begins, at or behind a position; None if none does."""
    file.seek(0)
    mark = _GZIP if file.read(len(_GZIP)) == _GZIP else _PLAIN
    file.seek(position)
    data = b""
    while block := file.read(_SEARCH_BYTES):
        data += block
        at = data.find(mark)
        while at >= 0:
            if mark == _PLAIN or _holds_record(file, position + at):
                return position + at
            at = data.find(mark, at + 1)
        position += len(data) - len(mark)
        data = data[-len(mark) :]
    return None


def _holds_record(file: IO[bytes], at: int) -> bool:
    """Return True if what is packed at this place begins with a record."""
    resume = file.tell()
    file.seek(at)
    probe = file.read(_PROBE_BYTES)
    file.seek(resume)
    try:
        return zlib.decompressobj(31).decompress(probe, len(_PLAIN)) == _PLAIN
    except zlib.error:
        return False


def _page(
    record: Any, path: Path, row: int, quarantine: Quarantine
) -> tuple[bytes, int | None] | None:
    """Return page and time of a record; None where it holds none."""
    if isinstance(record, _Damage):
        quarantine.add(path, row, f"damage in the archive: {record.reason}")
        return None
    headers = record.http_headers or record.rec_headers
    kind = str(headers.get_header("Content-Type") or "") if headers is not None else ""
    address = str(record.rec_headers.get_header("WARC-Target-URI") or "").strip("<>")
    if record.rec_type not in ("response", "resource") or "html" not in kind.lower():
        if _is_cut(record):
            quarantine.add(path, row, "damage in the archive: a record that is cut off", address)
        else:
            quarantine.pass_over("other records")
        return None
    encoding = _encoding(record)
    try:
        with redirect_stderr(_Nowhere()):
            data = record.content_stream().read(MAX_PAGE_BYTES)
    except (OSError, ValueError, EOFError, ArithmeticError) as error:
        quarantine.add(path, row, f"a page that cannot be unpacked ({type(error).__name__})")
        return None
    if _is_cut(record):
        quarantine.add(path, row, "damage in the archive: a page that is cut off", address)
        return None
    if not data.strip():
        quarantine.add(path, row, "empty page", address)
        return None
    if encoding and not data.lstrip().startswith(b"<"):  # crawlers may have unpacked it
        reason = f"a page in the encoding {encoding[:40]}, which is not read here"
        quarantine.add(path, row, reason, address)
        return None
    label = _CHARSET.search(kind)
    joined = page_event(data, label[1] if label is not None else "")
    if address:
        joined += _SEPARATOR + address.encode("utf-8", "replace").replace(_SEPARATOR, b" ")
    return joined, seconds_of(record.rec_headers.get_header("WARC-Date"))


def _encoding(record: Any) -> str:
    """Return the content encoding if it cannot be undone; names of gzip become the usual one."""
    from warcio.bufferedreaders import BufferedReader

    if not record.http_headers:
        return ""
    found = str(record.http_headers.get_header("Content-Encoding") or "").strip().lower()
    if found == "x-gzip":
        record.http_headers.replace_header("Content-Encoding", "gzip")
    known = ("", "identity", "none", "x-gzip", *BufferedReader.get_supported_decompressors())
    return "" if found in known else found


def _chunk(path: Path, pages: list[tuple[int, bytes, int | None]], cursor: int, size: int) -> Chunk:
    columns = {
        "folder": pa.array([path_text(path.parent.name)] * len(pages), pa.string()),
        "ts": pa.array([seconds for _, _, seconds in pages], pa.int64()),
    }
    texts = pa.array([data for _, data, _ in pages], pa.large_binary())
    return Chunk(texts, columns, np.array([row for row, _, _ in pages], np.int64), cursor, size)
