"""Verdicts as Parquet partitions by hour: ``date=2026-11-25/hour=23/part-….parquet``.

A part appears under its name only when it is whole, so that nobody reads half of one.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from buckler.errors import OutputError

PART_ROWS = 1_000_000
PART_S = 300.0


class Partitions:
    """Collects rows and writes them by the hour in which they were judged.

    Parameters
    ----------
    folder
        Where to; made if it is not there.
    schema
        Of the rows.
    part_rows, part_s
        A part is written when it has so many rows, or its first is so old, or the hour is over.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        *,
        part_rows: int = PART_ROWS,
        part_s: float = PART_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._schema, self._clock = folder, schema, clock
        self._part_rows, self._part_s = part_rows, part_s
        self._rows: list[dict[str, Any]] = []
        self._since = 0.0

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take rows in.

        Raises
        ------
        OutputError
            If a part that is due cannot be written; its rows are kept, to be tried again.
        """
        if self._rows and self._due():
            self.flush()
        if rows and not self._rows:
            self._since = self._clock()
        self._rows += rows
        if len(self._rows) >= self._part_rows:
            self.flush()

    def flush(self) -> None:
        """Write what is there.

        Raises
        ------
        OutputError
            If that fails.
        """
        if not self._rows:
            return
        hour = datetime.fromtimestamp(self._since, UTC)
        folder = self._folder / f"date={hour:%Y-%m-%d}" / f"hour={hour:%H}"
        name = f"part-{int(self._since)}-{secrets.token_hex(4)}.parquet"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            hidden = folder / f".{name}"
            pq.write_table(
                pa.Table.from_pylist(self._rows, self._schema), hidden, compression="zstd"
            )
            hidden.replace(folder / name)
        except (OSError, pa.ArrowException) as error:
            reason = getattr(error, "strerror", None) or str(error)[:200]
            raise OutputError(f"{folder}: cannot be written ({reason})") from error
        self._rows = []

    def _due(self) -> bool:
        now = self._clock()
        return now - self._since >= self._part_s or int(now // 3600) != int(self._since // 3600)
