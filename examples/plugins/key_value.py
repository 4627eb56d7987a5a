"""A reader: files of ``key: value`` lines, with an empty line behind each event."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from buckler.files import reading
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader

MAX_LINE_BYTES = 1 << 16
ROWS_A_CHUNK = 1000


@READERS.add
class KeyValueReader(Reader):
    """``key: value`` lines. The cursor counts events."""

    name = "key_value"
    suffixes = (".kv",)

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the events behind event number `cursor`."""
        events: list[dict[str, bytes]] = []
        number = size_bytes = 0
        with reading(path), path.open("rb") as file:
            event: dict[str, bytes] = {}
            while True:
                line = file.readline(MAX_LINE_BYTES)
                size_bytes += len(line)
                if line.strip():
                    key, _, value = line.partition(b":")
                    event[key.strip().decode("utf-8", "replace")] = value.strip()
                    continue
                if event:
                    number += 1
                    if number > cursor:
                        events.append(event)
                    event = {}
                if len(events) == ROWS_A_CHUNK or (not line and events):
                    yield from _chunk(path, events, number, size_bytes, spec, quarantine)
                    events, size_bytes = [], 0
                if not line:
                    return


def _chunk(
    path: Path,
    events: list[dict[str, bytes]],
    last: int,
    size_bytes: int,
    spec: ColumnSpec,
    quarantine: Quarantine,
) -> Iterator[Chunk]:
    rows, columns = [], {role: [] for role in ("text", *spec.optional)}
    for row, event in enumerate(events, last - len(events) + 1):
        values = {role: _first(event, spec.roles[role]) for role in columns}
        if not _is_sound(values["text"], any_bytes=spec.any_bytes):
            quarantine.add(path, row, "no text, or text that is not UTF-8", values["text"] or b"")
            continue
        rows.append(row)
        for role, value in values.items():
            columns[role].append(value)
    if rows:
        text = pa.array(columns.pop("text"), pa.large_binary())
        others = {
            role: pa.array([None if v is None else v.decode("utf-8", "replace") for v in column])
            for role, column in columns.items()
        }
        yield Chunk(text, others, np.array(rows, np.int64), last, size_bytes)


def _first(event: dict[str, bytes], names: tuple[str, ...]) -> bytes | None:
    return next((event[name] for name in names if name in event), None)


def _is_sound(text: bytes | None, *, any_bytes: bool) -> bool:
    if text is None:
        return False
    try:
        text.decode()
    except UnicodeDecodeError:
        return any_bytes
    return True
