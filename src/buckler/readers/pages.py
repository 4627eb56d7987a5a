"""Reads web pages: saved files, and web archives (WARC). No page is fetched or run."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from buckler.errors import InputError, MissingExtraError
from buckler.files import path_text, reading
from buckler.normalize.charsets import decode_text, find_codec
from buckler.normalize.html_v1 import MAX_PAGE_BYTES
from buckler.readers.lines import BLOCK_BYTES
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader
from buckler.readers.times import seconds_of
from buckler.readers.whole_file import WholeFileReader

CHUNK_PAGES = 256
_SEPARATOR = b"\x1f"
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"',]+)", re.I)


@READERS.add
class PageReader(WholeFileReader):
    """One page a file. Of a longer one, the first 2 MiB are read."""

    name = "html"
    medium = "html"
    suffixes = (".html", ".htm", ".xhtml", ".shtml")
    most_bytes = MAX_PAGE_BYTES

    def event(self, data: bytes, spec: ColumnSpec) -> bytes:  # noqa: ARG002 (no columns)
        """Return the page."""
        if not data.strip():
            raise InputError("empty page")
        return _event(data)


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
            If the file is no web archive, or is damaged.
        """
        pages: list[tuple[int, bytes, int | None]] = []
        with reading(path):
            size, row, total = 0, 0, max(1, path.stat().st_size)
        for row, record in enumerate(_records(path), 1):
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


def _records(path: Path) -> Iterator[Any]:
    try:
        from warcio.archiveiterator import ArchiveIterator
        from warcio.exceptions import ArchiveLoadFailed
    except ImportError as error:
        raise MissingExtraError("reading web archives", "formats") from error
    try:
        with path.open("rb") as file:
            yield from ArchiveIterator(file)
    except (ArchiveLoadFailed, OSError, ValueError, EOFError, KeyError, AttributeError,
            UnicodeError, TypeError) as error:  # fmt: skip
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a sound web archive: {reason}") from error


def _page(
    record: Any, path: Path, row: int, quarantine: Quarantine
) -> tuple[bytes, int | None] | None:
    """Return page and time of a record; None where it holds none."""
    headers = record.http_headers or record.rec_headers
    kind = str(headers.get_header("Content-Type") or "") if headers is not None else ""
    if record.rec_type not in ("response", "resource") or "html" not in kind.lower():
        quarantine.pass_over("other records")
        return None
    address = str(record.rec_headers.get_header("WARC-Target-URI") or "").strip("<>")
    try:
        data = record.content_stream().read(MAX_PAGE_BYTES)
    except (OSError, ValueError, EOFError, ArithmeticError) as error:
        quarantine.add(path, row, f"a page that cannot be unpacked ({type(error).__name__})")
        return None
    if not data.strip():
        quarantine.add(path, row, "empty page", address)
        return None
    label = _CHARSET.search(kind)
    joined = _event(data, label[1] if label is not None else "")
    if address:
        joined += _SEPARATOR + address.encode("utf-8", "replace").replace(_SEPARATOR, b" ")
    return joined, seconds_of(record.rec_headers.get_header("WARC-Date"))


def _event(page: bytes, label: str = "") -> bytes:
    """Return the page; as UTF-8 with a byte order mark where its carrier names the charset.

    The mark counts before what the page declares. Pages in UTF-16 may hold the separator's byte.
    """
    if find_codec(label) or page.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        page = codecs.BOM_UTF8 + decode_text(page, label).encode("utf-8", "replace")
    return page.replace(_SEPARATOR, b" ")


def _chunk(path: Path, pages: list[tuple[int, bytes, int | None]], cursor: int, size: int) -> Chunk:
    columns = {
        "folder": pa.array([path_text(path.parent.name)] * len(pages), pa.string()),
        "ts": pa.array([seconds for _, _, seconds in pages], pa.int64()),
    }
    texts = pa.array([data for _, data, _ in pages], pa.large_binary())
    return Chunk(texts, columns, np.array([row for row, _, _ in pages], np.int64), cursor, size)
