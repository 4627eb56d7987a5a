"""Readers: files of any size to rows, in bounded memory; the first step of the data flow.

`READERS` holds one reader for each format; `get_reader` finds one by a file's suffix. A reader
yields chunks with a cursor, so that reading resumes exactly where it stopped. `read_batches` reads
several files and joins small chunks. A `ColumnSpec` names the columns to look for. Bad rows go to
the `Quarantine` with the reason; they are never dropped silently.

Datasets (`buckler.dataset.read_dataset`) and scans (`buckler.serving`) are built on this package.

Examples
--------
Read texts and labels of every file in a folder::

    spec = ColumnSpec(("url", "text"), {"label": ("label",)})
    with Quarantine(Path("bad-rows.jsonl")) as quarantine:
        for batch in read_batches(find_inputs([Path("data")]), spec, quarantine):
            print(batch.paths, batch.chunk.events, batch.chunk.columns.get("label"))
"""

from buckler.readers.batches import Batch, Position, read_batches
from buckler.readers.quarantine import Quarantine, QuarantineMark
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader, find_inputs, get_reader

__all__ = [
    "READERS",
    "Batch",
    "Chunk",
    "ColumnSpec",
    "Position",
    "Quarantine",
    "QuarantineMark",
    "Reader",
    "find_inputs",
    "get_reader",
    "read_batches",
]
