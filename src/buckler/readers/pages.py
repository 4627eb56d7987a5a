"""Reads saved web pages. No page is fetched or run."""

import codecs

from buckler.errors import InputError
from buckler.normalize.charsets import decode_text, find_codec
from buckler.normalize.html_v1 import MAX_PAGE_BYTES
from buckler.readers.reader import READERS, ColumnSpec
from buckler.readers.whole_file import WholeFileReader

_SEPARATOR = b"\x1f"


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
        return page_event(data)


def page_event(page: bytes, label: str = "") -> bytes:
    """Return the page; as UTF-8 with a byte order mark where its carrier names the charset.

    The mark counts before what the page declares. Pages in UTF-16 may hold the separator's byte.
    """
    if find_codec(label) or page.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        page = codecs.BOM_UTF8 + decode_text(page, label).encode("utf-8", "replace")
    return page.replace(_SEPARATOR, b" ")
