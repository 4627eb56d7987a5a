"""Reads Windows programs (PE files): one file is one event, a row of features; none is ever run."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from buckler.errors import InputError
from buckler.events.quarantine import Quarantine
from buckler.events.reading import Chunk, Reader, Wanted, reader
from buckler.normalisers.features import MARK
from buckler.normalisers.pe import MAX_FILE_BYTES, row_of


@reader
class PeReader(Reader):
    """Windows programs and libraries. Of a larger one, the first 64 MiB are read."""

    name = "pe"
    suffixes = (".exe", ".dll", ".sys", ".pyd", ".ocx", ".scr", ".cpl", ".efi")

    def chunks(
        self, path: Path, wanted: Wanted, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the one program, unless it stands before the cursor.

        Raises
        ------
        InputError
            If the task does not judge rows of features, or the file cannot be read.
        """
        if cursor > 0:
            return
        if wanted.features is None:
            raise InputError(f"{path}: a PE file is judged by features: take a task such as pe")
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        try:
            if not data.startswith(b"MZ"):
                raise InputError("not a PE file: it does not start with MZ")
            row = MARK + row_of(data, wanted.features)
        except InputError as error:
            quarantine.add(path, 1, str(error), data[:64])
            return
        columns = {"folder": pa.array([path.parent.name], pa.string())}
        text = pa.array([row], pa.large_binary())
        yield Chunk(text, columns, np.array([1], np.int64), 1, len(data))
