"""Hourly Parquet files: ``date=2026-11-25/hour=23/part-….parquet``, out of a stream without end.

They make a pipe's verdicts readable for DuckDB, Spark and `buckler monitor` while it runs: a part
appears under its name only when it is whole, so that no reader sees half of one.
"""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from buckler.files import atomic_writer

PART_ROWS = 1_000_000
PART_S = 300.0


class HourlyFiles:
    """Collects rows and writes them under the hour in which they came.

    Parameters
    ----------
    folder
        Folder for the files; made where it does not exist.
    part_rows, part_s
        Number of rows, and age of the first, at which a part is written; the end of the hour writes
        one too.
    clock
        Returns the time in seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        *,
        part_rows: int = PART_ROWS,
        part_s: float = PART_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._clock = folder, clock
        self._part_rows, self._part_s = part_rows, part_s
        self._waiting: list[pa.Table] = []
        self._since = 0.0

    def write(self, rows: pa.Table | None = None) -> None:
        """Take rows; called without any from time to time, so that a part that is due is written.

        Rows of a part that cannot be written are kept, to be tried again.
        """
        if self._waiting and self._is_due():
            self.flush()
        if rows is None or not rows.num_rows:
            return
        if not self._waiting:
            self._since = self._clock()
        self._waiting.append(rows)
        if sum(table.num_rows for table in self._waiting) >= self._part_rows:
            self.flush()

    def flush(self) -> None:
        """Write all rows that wait."""
        if not self._waiting:
            return
        hour = datetime.fromtimestamp(self._since, UTC)
        folder = self._folder / f"date={hour:%Y-%m-%d}" / f"hour={hour:%H}"
        name = f"part-{int(self._since)}-{secrets.token_hex(4)}.parquet"
        with atomic_writer(folder / name) as file:
            pq.write_table(pa.concat_tables(self._waiting), file, compression="zstd")
        self._waiting = []

    def _is_due(self) -> bool:
        now = self._clock()
        return now - self._since >= self._part_s or int(now // 3600) != int(self._since // 3600)
