"""Normalized texts in two arrays, as the kernel reads them, and access to Arrow columns."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from buckler import _kernel

if TYPE_CHECKING:  # the runtime does without
    import pyarrow as pa

SEPARATOR, FEATURES = 0x1F, 0x1D
FEATURE_BYTES = 4


@dataclass(frozen=True)
class NormalizedTexts:
    """Normalized texts in one buffer (Arrow's large_binary layout).

    Attributes
    ----------
    offsets
        int64 [n + 1]: the start of each text.
    data
        uint8: the bytes of all texts.
    """

    offsets: npt.NDArray[np.int64]
    data: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> bytes:
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(len(self)))

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Bytes of each text."""
        return np.diff(self.offsets)

    def take(self, rows: npt.NDArray[np.intp]) -> "NormalizedTexts":
        """Return the texts of these rows, in this order."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])]).astype(np.int64)
        data = _kernel.take_texts(self.data, self.offsets[:-1][rows], offsets)
        return NormalizedTexts.from_buffers(offsets, data)

    @property
    def has_features(self) -> bool:
        """True where a text has features."""
        return len(self.without_features().data) < len(self.data)

    def without_features(self) -> "NormalizedTexts":
        """Return the texts without features, the codes that select rows of `ngram`.

        Networks read texts without them. So does the search for near-duplicates: texts that share
        only their structure are none.
        """
        marks = np.flatnonzero((self.data[1:] == FEATURES) & (self.data[:-1] == SEPARATOR))
        if not len(marks):
            return self
        row = np.searchsorted(self.offsets, marks, side="right") - 1
        inside = marks + 1 < self.offsets[row + 1]  # else the two bytes are of two texts
        marks, row = marks[inside], row[inside]
        ends = self.offsets[1:].copy()
        ends[row[::-1]] = marks[::-1]  # of several in a text the first counts
        starts = self.offsets[:-1]
        offsets = np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int64)
        return NormalizedTexts.from_buffers(offsets, _kernel.take_texts(self.data, starts, offsets))

    @staticmethod
    def from_bytes(texts: Iterable[bytes]) -> "NormalizedTexts":
        """Join texts that are bytes objects."""
        parts = list(texts)
        offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
        return NormalizedTexts(offsets, np.frombuffer(b"".join(parts), np.uint8))

    @staticmethod
    def from_buffers(offsets: bytes | npt.NDArray[np.int64], data: bytes) -> "NormalizedTexts":
        """Wrap the buffers of the kernel."""
        return NormalizedTexts(np.frombuffer(offsets, np.int64), np.frombuffer(data, np.uint8))

    def to_arrow(self) -> "pa.LargeBinaryArray":
        """Return the texts as a column, without a copy."""
        import pyarrow as pa

        buffers = [None, pa.py_buffer(self.offsets), pa.py_buffer(self.data)]
        return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(self), buffers)

    @staticmethod
    def from_arrow(column: "pa.LargeBinaryArray") -> "NormalizedTexts":
        """Return the texts of a column that `to_arrow` made."""
        if not len(column):
            return NormalizedTexts.from_bytes([])
        _, offsets, data = column.buffers()
        bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
        content = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]]
        return NormalizedTexts(bounds - bounds[0], content)

    @staticmethod
    def concatenate(parts: list["NormalizedTexts"]) -> "NormalizedTexts":
        """Join several columns, in order."""
        if len(parts) == 1:
            return parts[0]
        starts = np.cumsum([0, *(len(p.data) for p in parts)])
        offsets = [p.offsets[:-1] + start for p, start in zip(parts, starts, strict=False)]
        return NormalizedTexts(
            np.concatenate([*offsets, starts[-1:]]).astype(np.int64),
            np.concatenate([p.data for p in parts]) if parts else np.empty(0, np.uint8),
        )


def arrow_columns(column: object) -> list[tuple[object, object]]:
    """Return (schema, array) capsules of the chunks of an Arrow column, without a copy.

    Any object with the Arrow PyCapsule interface works: pyarrow, polars, duckdb, pandas.

    Raises
    ------
    TypeError
        If the object offers no Arrow data.
    """
    if hasattr(column, "__arrow_c_array__"):
        return [column.__arrow_c_array__()]
    if hasattr(column, "__arrow_c_stream__"):
        return _kernel.split_stream(column.__arrow_c_stream__())
    raise TypeError(
        f"texts must be a list of str or bytes, or an Arrow column, not {type(column).__name__}"
    )
