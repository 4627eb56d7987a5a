"""Formats of which one file is one event: what they share of reading it."""

import os
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from buckler.files import path_text, reading
from buckler.isolation import EventFault, attempt
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import Chunk, ColumnSpec, Reader

_SAMPLE_BYTES = 64


class WholeFileReader(Reader):
    """One event a file; of a longer file, its first `most_bytes` are read."""

    most_bytes: int

    @abstractmethod
    def event(self, data: bytes, spec: ColumnSpec) -> bytes:
        """Return the text of the event.

        Raises
        ------
        InputError
            If the file is no event; the message is the reason, and the file is set aside.
        """

    def columns(self, event: bytes, path: Path) -> dict[str, pa.Array]:  # noqa: ARG002
        """Return further columns; corpora are often laid out as one folder for each class."""
        return {"folder": pa.array([path_text(path.parent.name)], pa.string())}

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the one event, unless it stands before the cursor."""
        if cursor > 0:
            return
        with reading(path), path.open("rb") as file:
            data = file.read(self.most_bytes)
            size_bytes = os.fstat(file.fileno()).st_size

        def read(data: bytes) -> Chunk:
            event = self.event(data, spec)
            text, rows = pa.array([event], pa.large_binary()), np.array([1], np.int64)
            return Chunk(text, self.columns(event, path), rows, 1, size_bytes)

        chunk = attempt(read, data)
        if isinstance(chunk, EventFault):
            quarantine.add(path, 1, chunk.reason, data[:_SAMPLE_BYTES])
        else:
            yield chunk
