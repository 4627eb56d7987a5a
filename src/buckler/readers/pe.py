"""Reads Windows programs (PE files): one file is one event, a row of features; none is ever run."""

from pathlib import Path

from buckler.errors import InputError
from buckler.normalize.feature_schema import MARK
from buckler.normalize.pe_v1 import MAX_FILE_BYTES, program_row
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, ColumnSpec
from buckler.readers.whole_file import WholeFileReader


@READERS.add
class PeReader(WholeFileReader):
    """Windows programs and libraries. Of a larger one, the first 64 MiB are read."""

    name = "pe"
    suffixes = (".exe", ".dll", ".sys", ".pyd", ".ocx", ".scr", ".cpl", ".efi")
    most_bytes = MAX_FILE_BYTES

    def event(
        self, data: bytes, path: Path, spec: ColumnSpec, quarantine: Quarantine
    ) -> bytes | None:
        """Return the program's row.

        Raises
        ------
        InputError
            If the task does not judge rows of features.
        """
        if spec.features is None:
            raise InputError(f"{path}: a PE file is judged by features: take a task such as pe")
        try:
            if not data.startswith(b"MZ"):
                raise InputError("not a PE file: it does not start with MZ")
            return MARK + program_row(data, spec.features)
        except InputError as error:
            quarantine.add(path, 1, str(error), data[:64])
            return None
