"""Reads the HTML bodies of mails as pages: what a lure looks like where no page was saved."""

import codecs
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from buckler.isolation import EventFault, attempt
from buckler.normalize.mime import parse_message
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader, get_reader

_RAW = ("raw", "message", "eml", "text")
_SEPARATOR = "\x1f"


@READERS.add
class MailPageReader(Reader):
    """Mails in any format that has a reader; each with an HTML body is an event.

    Named as a format, for no suffix tells that a mail should be read so. The address of such a page
    is unknown.
    """

    name = "mail-html"
    medium = "html"

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the HTML bodies behind `cursor`, which means what the mails' reader wants."""
        mails = replace(spec, text=_RAW, context=(), any_bytes=True, mixed=False, medium="")
        for chunk in get_reader(path).chunks(path, mails, quarantine, cursor):
            pages: list[bytes] = []
            found: list[int] = []
            for index, raw in enumerate(chunk.events.to_pylist()):
                page = attempt(_page, raw)
                if isinstance(page, EventFault):
                    quarantine.add(path, int(chunk.rows[index]), page.reason, raw)
                elif page is None:
                    quarantine.pass_over("mails without HTML")
                else:
                    found.append(index)
                    pages.append(page)
            rows = np.array(found, np.intp)
            kept = pa.array(rows)
            yield Chunk(
                pa.array(pages, pa.large_binary()),
                {name: column.take(kept) for name, column in chunk.columns.items()},
                chunk.rows[rows],
                chunk.cursor,
                chunk.size_bytes,
            )


def _page(raw: bytes) -> bytes | None:
    for part in parse_message(raw):
        if part.is_html and not part.is_container:
            text = part.text.replace(_SEPARATOR, " ").strip()
            if text:
                return codecs.BOM_UTF8 + text.encode("utf-8", "replace")
    return None
