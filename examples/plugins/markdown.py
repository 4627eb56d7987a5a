"""A sink: verdicts as a table in Markdown."""

from pathlib import Path

import pyarrow as pa

from buckler.files import writing
from buckler.serving.sinks import SINKS, Sink


@SINKS.add
class MarkdownSink(Sink):
    """A Markdown table; the position counts bytes."""

    name = "markdown"
    suffixes = (".md",)

    def __init__(self, folder: Path, schema: pa.Schema, position: int) -> None:
        super().__init__(folder, schema, position)
        self._path = folder / "table.md"
        with writing(self._path):
            self._file = self._path.open("r+b" if self._path.exists() else "w+b")
            self._file.truncate(position)
            self._file.seek(position)
        if not position:
            self._line(schema.names)
            self._line(["---"] * len(schema.names))

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        for row in batch.to_pylist():
            self._line(["" if value is None else str(value) for value in row.values()])

    def checkpoint(self) -> int:
        """Flush the file and return its length."""
        with writing(self._path):
            self._file.flush()
        return self._file.tell()

    def finish(self, target: Path) -> None:
        """Move the file to its place."""
        self._file.close()
        with writing(target):
            self._path.replace(target)

    def abandon(self) -> None:
        """Close the file."""
        self._file.close()

    def _line(self, cells: list[str]) -> None:
        shown = [cell.replace("|", r"\|").replace("\n", " ") for cell in cells]
        with writing(self._path):
            self._file.write(f"| {' | '.join(shown)} |\n".encode())
