"""Formats of which one file is one event: what they share of reading it."""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from buckler.errors import InputError
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import Chunk, ColumnSpec, Reader


class WholeFileReader(Reader):
    """One event a file; of a longer file, its first `most_bytes` are read."""

    most_bytes: int

    @abstractmethod
    def event(
        self, data: bytes, path: Path, spec: ColumnSpec, quarantine: Quarantine
    ) -> bytes | None:
        """Return the text of the event; None where the file was set aside."""

    def columns(self, event: bytes, path: Path) -> dict[str, pa.Array]:  # noqa: ARG002
        """Return what else is known: corpora are often laid out as one folder for each class."""
        return {"folder": pa.array([path.parent.name], pa.string())}

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the one event, unless it stands before the cursor."""
        if cursor > 0:
            return
        try:
            with path.open("rb") as file:
                data = file.read(self.most_bytes)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        event = self.event(data, path, spec, quarantine)
        if event is not None:
            text = pa.array([event], pa.large_binary())
            rows = np.array([1], np.int64)
            yield Chunk(text, self.columns(event, path), rows, 1, path.stat().st_size)
