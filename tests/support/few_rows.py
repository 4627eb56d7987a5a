"""A few rows of a large file, where a test needs no more of it."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def few_rows(source: Path, folder: Path, n: int) -> Path:
    """Write `n` rows of a Parquet file, evenly spread over it, as a file of the same name."""
    table = pq.read_table(source)
    rows = np.arange(0, len(table), max(1, len(table) // n))[:n]
    pq.write_table(table.take(rows), folder / source.name)
    return folder / source.name
