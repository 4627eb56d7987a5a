"""Reads Windows programs (PE files): one file is one event, a row of features; none is ever run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from buckler.errors import InputError
from buckler.normalize import FeatureTable, NormalizedTexts
from buckler.normalize.pe_v1 import MAX_FILE_BYTES, program_row
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec
from buckler.readers.whole_file import WholeFileReader


@READERS.add
class PeReader(WholeFileReader):
    """Windows programs and libraries. Of a larger one, the first 64 MiB are read."""

    name = "pe"
    suffixes = (".exe", ".dll", ".sys", ".pyd", ".ocx", ".scr", ".cpl", ".efi")
    most_bytes = MAX_FILE_BYTES

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the program's row.

        Raises
        ------
        InputError
            If the task does not judge rows of features.
        """
        if spec.features is None:
            message = f"{path}: a PE file is judged by features: take a task such as pe"
            raise InputError(message, path=path, field="task")
        for chunk in super().chunks(path, spec, quarantine, cursor):
            rows = NormalizedTexts.from_bytes(chunk.events.to_pylist())
            events = FeatureTable.from_texts(spec.features, rows).to_arrow()
            yield replace(chunk, events=events)

    def event(self, data: bytes, spec: ColumnSpec) -> bytes:
        """Return the program's row."""
        if spec.features is None or not data.startswith(b"MZ"):
            raise InputError("not a PE file: it does not start with MZ")
        return program_row(data, spec.features)
