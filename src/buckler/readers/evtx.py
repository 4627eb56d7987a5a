"""Reads Windows event logs (.evtx): any event whose data hold the text that is read.

For command lines these are Sysmon's event 1 and Security's event 4688. Fields are named as the
event names them (`CommandLine`, `ParentImage`, …), those of its header by their own names
(`EventID`, `Computer`, `Channel`, `TimeCreated`).
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from buckler.errors import InputError, MissingExtraError
from buckler.files import reading
from buckler.readers.chunks import make_chunk
from buckler.readers.objects import columns_of
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader

CHUNK_EVENTS = 4096
_MAGIC = b"ElfFile\x00"


@READERS.add
class EvtxReader(Reader):
    """Windows event logs; the cursor counts records."""

    name = "evtx"
    suffixes = (".evtx",)

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the events behind record `cursor`.

        Raises
        ------
        InputError
            If the file is no event log.
        MissingExtraError
            If the extra `formats` is not installed.
        """
        records = _records(path)
        with reading(path):
            size = path.stat().st_size
        names = spec.roles
        done = 0
        try:
            while batch := list(islice(records, CHUNK_EVENTS)):
                first, done = done, done + len(batch)
                if done <= cursor:
                    continue
                objects = (
                    (row, value, sample)
                    for row, (value, sample) in enumerate(batch, first + 1)
                    if row > cursor and not _is_damaged(value, row, path, quarantine)
                )
                columns, rows = columns_of(path, objects, names, quarantine, pass_over=True)
                read = min(size, 512 * len(batch))
                yield make_chunk(path, spec, columns, rows, done, read, quarantine)
        except (RuntimeError, OSError) as error:
            raise InputError(f"{path}: not a sound event log: {_line(error)}") from error


def _line(error: Exception) -> str:
    return (str(error).splitlines() or ["no reason given"])[0][:200]


def _records(path: Path) -> Iterator[tuple[dict[str, object] | None, bytes]]:
    """Yield (fields, sample); a record that cannot be read gives None."""
    try:
        from evtx import PyEvtxParser
    except ImportError as error:
        raise MissingExtraError("reading .evtx files", "formats") from error
    with reading(path), path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise InputError(f"{path}: not a Windows event log (.evtx)")
        file.seek(0)
        try:
            records = iter(PyEvtxParser(file, number_of_threads=1).records_json())
        except RuntimeError as error:
            raise InputError(f"{path}: not a sound event log: {_line(error)}") from error
        failures = 0
        while True:
            try:
                record = next(records)
            except StopIteration:
                return
            except RuntimeError as error:
                failures += 1
                if failures > CHUNK_EVENTS:
                    raise
                yield None, str(error).encode()
                continue
            data = str(record["data"]) if record is not None else ""
            yield _flat(data), data[:200].encode("utf-8", "replace")


def _is_damaged(value: object, row: int, path: Path, quarantine: Quarantine) -> bool:
    if value is not None:
        return False
    quarantine.add(path, row, "damaged record")
    return True


def _flat(data: str) -> dict[str, object]:
    """Return the header's and the event's own fields in one dictionary."""
    try:
        event = json.loads(data).get("Event")
    except (ValueError, RecursionError, AttributeError):
        return {}
    if not isinstance(event, dict):
        return {}
    found: dict[str, object] = {}
    for part in ("EventData", "UserData", "System"):
        fields = event.get(part)
        if isinstance(fields, dict):
            found |= {name: _value(value) for name, value in fields.items()}
    return found


def _value(value: object) -> object:
    """Return what an element holds; of elements with attributes, the text or the one attribute."""
    if not isinstance(value, dict):
        return value
    attributes = value.get("#attributes")
    if "#text" in value:
        return value["#text"]
    if isinstance(attributes, dict) and len(attributes) == 1:
        return next(iter(attributes.values()))
    return None
