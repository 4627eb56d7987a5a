"""Many rows of features: a float32 matrix, and the ways into and out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError
from buckler.normalize.feature_schema import FeatureSchema
from buckler.normalize.normalized_texts import NormalizedTexts

if TYPE_CHECKING:  # the runtime does without
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Rows of features.

    Attributes
    ----------
    schema
        Names of the features.
    values
        float32 [rows, features]: numbers, then categories; NaN where missing.

    Raises
    ------
    InputError
        If the rows have another number of features than the schema.

    Examples
    --------
    >>> table = FeatureTable(FeatureSchema(("size", "depth")), np.array([[2, np.nan]], np.float32))
    >>> table.to_json()
    [b'{"size": 2.0}']
    """

    schema: FeatureSchema
    values: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.schema):
            raise InputError(
                f"rows of shape {self.values.shape[1:]} where {len(self.schema)} features are "
                "expected: they were made for other features"
            )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def texts(self) -> NormalizedTexts:
        """Bytes of each row as the kernel reads them, without a copy."""
        values = np.ascontiguousarray(self.values, "<f4")
        offsets = np.arange(len(self) + 1, dtype=np.int64) * 4 * len(self.schema)
        return NormalizedTexts(offsets, values.view(np.uint8).reshape(-1))

    def take(self, rows: npt.NDArray[np.intp]) -> "FeatureTable":
        """Return these rows, in this order."""
        return FeatureTable(self.schema, self.values[rows])

    def to_json(self) -> list[bytes]:
        """Return each row as a JSON object, for people and for stores of texts."""
        return [self.schema.to_json(row).encode() for row in self.values]

    def to_arrow(self) -> "pa.FixedSizeListArray":
        """Return the rows as a column of fixed-size lists."""
        import pyarrow as pa

        return pa.FixedSizeListArray.from_arrays(pa.array(self.values.ravel()), len(self.schema))

    @staticmethod
    def from_arrow(schema: FeatureSchema, column: "pa.Array | pa.ChunkedArray") -> "FeatureTable":
        """Return the rows of a column of fixed-size lists; of a null, all values are missing."""
        import pyarrow as pa

        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        width, begin = column.type.list_size, column.offset
        flat = column.values[begin * width : (begin + len(column)) * width].cast(pa.float32())
        values = np.asarray(flat.to_numpy(zero_copy_only=False), np.float32)
        values = values.reshape(len(column), width)
        if column.null_count:
            values = np.where(column.is_null().to_numpy(False)[:, None], np.float32("nan"), values)
        return FeatureTable(schema, values)

    @staticmethod
    def from_texts(schema: FeatureSchema, texts: NormalizedTexts) -> "FeatureTable":
        """Return the rows of normalized texts, without a copy."""
        if (texts.lengths != 4 * len(schema)).any():
            raise InputError(f"a row must have {len(schema)} features")
        return FeatureTable(schema, np.frombuffer(texts.data, "<f4").reshape(-1, len(schema)))

    @staticmethod
    def concatenate(parts: "Sequence[FeatureTable]") -> "FeatureTable":
        """Join tables of one schema, in order."""
        return FeatureTable(parts[0].schema, np.concatenate([part.values for part in parts]))


def is_feature_column(column: object) -> bool:
    """Return True for an Arrow column of fixed-size lists."""
    return str(getattr(column, "type", "")).startswith("fixed_size_list")


def events_as_bytes(
    column: "pa.Array | pa.ChunkedArray", schema: FeatureSchema | None
) -> list[bytes]:
    """Return the events of a column: texts as they are, rows of features as JSON objects."""
    if schema is not None and is_feature_column(column):
        return FeatureTable.from_arrow(schema, column).to_json()
    return column.to_pylist()  # type: ignore[no-any-return]
