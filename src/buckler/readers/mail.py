"""Reads mail as raw bytes: one message a file (.eml, maildir), or many in an mbox."""

import codecs
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from buckler._kernel import is_mail_header
from buckler.errors import InputError
from buckler.files import path_text
from buckler.isolation import EventFault, attempt
from buckler.normalize.mail_headers import first_value
from buckler.normalize.mime import MAX_MESSAGE_BYTES, message_headers
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import BLOCK_BYTES, READERS, Chunk, ColumnSpec, Reader
from buckler.readers.times import seconds_of
from buckler.readers.whole_file import WholeFileReader

CHUNK_MESSAGES = 256
_LINE_BYTES = 1 << 16
_HEADER_BYTES = 1 << 16
_DATE_BYTES = 80
_DATED = re.compile(rb"\d:\d\d.{0,40}\b(?:19|20)\d\d\b|\b(?:19|20)\d\d\b.{0,40}\d:\d\d")


def mail_columns(messages: list[bytes], path: Path) -> dict[str, pa.Array]:
    """Return folder and time of messages; the time is what their own header says."""
    return {  # corpora are often laid out as one folder for each class
        "folder": pa.array([path_text(path.parent.name)] * len(messages), pa.string()),
        "ts": pa.array([_sent(message) for message in messages], pa.int64()),
    }


def _sent(message: bytes) -> int | None:
    date = first_value(message_headers(message[:_HEADER_BYTES]), "date")
    moment = attempt(parsedate_to_datetime, date[:_DATE_BYTES].decode("ascii", "replace"))
    return None if isinstance(moment, EventFault) else seconds_of(moment)


class MailFileReader(WholeFileReader):
    """One message a file."""

    def columns(self, event: bytes, path: Path) -> dict[str, pa.Array]:
        """Return folder and time."""
        return mail_columns([event], path)


@READERS.add
class MessageReader(MailFileReader):
    """One message a file. Of a longer one, the first MiB is read."""

    name = "eml"
    medium = "message"
    suffixes = (".eml",)
    most_bytes = MAX_MESSAGE_BYTES

    def event(self, data: bytes, spec: ColumnSpec) -> bytes:  # noqa: ARG002 (no columns)
        """Return the message."""
        if not data.strip():
            raise InputError("empty message")
        return data


@READERS.add
class MboxReader(Reader):
    """Many messages in one file, each after a line that starts with "From "."""

    name = "mbox"
    medium = "message"
    suffixes = (".mbox", ".mbx")

    def chunks(
        self,
        path: Path,
        spec: ColumnSpec,  # noqa: ARG002 - a message has no columns
        quarantine: Quarantine,
        cursor: int = 0,
    ) -> Iterator[Chunk]:
        """Yield the messages behind message number `cursor`."""
        messages: list[bytes] = []
        rows: list[int] = []
        size = 0
        try:
            with path.open("rb") as file:
                for row, raw in enumerate(_messages(file, path), 1):
                    if row <= cursor:
                        continue
                    if not raw.strip():
                        quarantine.add(path, row, "empty message")
                        continue
                    messages.append(raw)
                    rows.append(row)
                    size += len(raw)
                    if len(messages) == CHUNK_MESSAGES or size > BLOCK_BYTES:
                        yield _chunk(messages, rows, path, row, size)
                        messages, rows, size = [], [], 0
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        if messages:
            yield _chunk(messages, rows, path, rows[-1], size)


def _chunk(messages: list[bytes], rows: list[int], path: Path, cursor: int, size: int) -> Chunk:
    text = pa.array(messages, pa.large_binary())
    return Chunk(text, mail_columns(messages, path), np.array(rows, np.int64), cursor, size)


def _messages(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """Cut at "From " lines before headers; keep the first MiB of each message.

    Unless the line has a date, it must also follow an empty line: text may begin with "From " too.
    """
    line = file.readline(_LINE_BYTES).removeprefix(codecs.BOM_UTF8)
    while line and not line.strip():
        line = file.readline(_LINE_BYTES)
    if not line.startswith(b"From "):
        raise InputError(f"{path}: not an mbox file (it does not start with 'From ')", path=path)
    _rest_of_line(file, line)
    parts: list[bytes] = []
    size, after_blank, at_start, following = 0, False, True, b""
    while line := following or file.readline(_LINE_BYTES):
        following = b""
        if at_start and line.startswith(b"From "):
            line = _rest_of_line(file, line)
            following = file.readline(_LINE_BYTES)
            if is_mail_header(following) and (after_blank or _DATED.search(line)):
                yield b"".join(parts)
                parts, size, after_blank = [], 0, False
                continue
        after_blank = at_start and not line.strip()
        at_start = line.endswith(b"\n") or bool(following)
        if size < MAX_MESSAGE_BYTES:
            parts.append(line[: MAX_MESSAGE_BYTES - size])
            size += len(parts[-1])
    yield b"".join(parts)


def _rest_of_line(file: IO[bytes], line: bytes) -> bytes:
    """Return a line that may be longer than one reading; at most a MiB of it."""
    piece = line
    while piece and not piece.endswith(b"\n"):
        piece = file.readline(_LINE_BYTES)
        line += piece[: max(0, MAX_MESSAGE_BYTES - len(line))]
    return line
