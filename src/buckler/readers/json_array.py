"""Reads JSON that is not one object a line, piece by piece.

Kibana, PowerShell and evtx_dump export arrays; jq and PowerShell break one object into lines.
"""

import codecs
import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from buckler.errors import InputError
from buckler.readers.chunks import MAX_TEXT_BYTES, choose_columns, make_chunk
from buckler.readers.objects import columns_of, reach, unfold
from buckler.readers.quarantine import SAMPLE_BYTES, Quarantine
from buckler.readers.reader import BLOCK_BYTES, Chunk, ColumnSpec, open_stream

_CHUNK_OBJECTS = 4096
_BETWEEN = re.compile(r"[\s,\x1e]*")
# An array, an object over several lines, or a sequence with separators (RFC 7464).
_DOCUMENT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\[\s*(?:[\[{\"\]]|$)|\{[ \t]*\r?\n\s*[\"}]|\x1e)")
_ADJACENT = re.compile(rb"\}[ \t,]*\{")
_MAX_CHARACTERS = 2 * MAX_TEXT_BYTES  # of one object


def is_document(path: Path) -> bool:
    """Tell whether a file holds anything but one JSON value a line."""
    try:
        with open_stream(path) as stream:
            head = stream.read(4096)
    except InputError:
        return False  # whoever reads it says why
    return _DOCUMENT.match(head) is not None or _holds_two(head.split(b"\n", 1)[0])


def _holds_two(line: bytes) -> bool:
    """Tell whether a line holds an object and the beginning of another."""
    if _ADJACENT.search(line) is None:
        return False
    text = line.decode("utf-8", "replace").lstrip("\ufeff \t")
    try:
        end = json.JSONDecoder().raw_decode(text)[1]
    except (ValueError, RecursionError):
        return False
    return text[end:].lstrip(" \t,").startswith("{")


def document_chunks(
    path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int
) -> Iterator[Chunk]:
    """Yield the objects behind the first `cursor` ones.

    Raises
    ------
    InputError
        If the file cannot be read, or no object of the first ones has a text.
    """
    objects = _objects(path, quarantine)
    first, size_bytes = True, 0
    while part := list(islice(objects, _CHUNK_OBJECTS)):
        new = [(row, value, sample) for row, value, sample, _ in part if row > cursor]
        read_bytes, size_bytes = part[-1][3] - size_bytes, part[-1][3]
        if first and not spec.mixed and spec.features is None:
            values = unfold((row, value, sample) for row, value, sample, _ in part)
            found = [value for _, value, _ in values if isinstance(value, dict)]
            names = {name for value in found for name in value}
            nested = [name for name in spec.text if "." in name]
            names |= {n for n in nested if any(reach(value, n) is not None for value in found)}
            if names:
                choose_columns(path, sorted(names), spec)
        first = False
        if new:
            columns, rows = columns_of(
                path,
                unfold(new),
                spec.roles,
                quarantine,
                pass_over=spec.mixed,
                features=spec.features,
            )
            yield make_chunk(path, spec, columns, rows, part[-1][0], read_bytes, quarantine)


def _objects(path: Path, quarantine: Quarantine) -> Iterator[tuple[int, object, bytes, int]]:
    """Yield number, value, sample and bytes read so far of each value, also those of arrays.

    A piece that is no JSON ends the file: the rest is set aside as one row.
    """
    decoder, decode = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text, at, row, size_bytes, ended, in_array = "", 0, 0, 0, False, False
    with open_stream(path) as stream:
        while not ended:
            data = stream.read(BLOCK_BYTES)
            ended, size_bytes = not data, size_bytes + len(data)
            text, at = text[at:] + decode.decode(data, final=ended), 0
            if size_bytes == len(data):
                text = text.removeprefix("\ufeff")
            while True:
                at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]
                if text.startswith("]" if in_array else "[", at):
                    in_array, at = not in_array, at + 1
                    continue
                try:
                    value, end = decoder.raw_decode(text, at)
                except (ValueError, RecursionError):
                    break
                row += 1
                sample = text[at : at + SAMPLE_BYTES].encode("utf-8", "surrogateescape")
                yield row, value, sample, size_bytes
                at = end
            if len(text) - at > _MAX_CHARACTERS:
                ended = True
    if text[at:].strip():
        sample = text[at : at + SAMPLE_BYTES].encode("utf-8", "surrogateescape")
        quarantine.add(path, row + 1, "no JSON: the rest of the file cannot be read", sample)
