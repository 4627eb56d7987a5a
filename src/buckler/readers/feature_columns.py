"""Columns of a table as rows of features, for tasks whose events are rows."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from buckler.errors import InputError
from buckler.normalize import FeatureSchema, FeatureTable
from buckler.normalize.feature_schema import LARGEST, category_number

_TRUTH = {"true": 1.0, "false": 0.0}
FEATURE = "feature:"  # before a column's name, in the roles of a chunk

Faults = dict[int, tuple[str, str | bytes]]  # row -> reason and sample


def join_features(schema: FeatureSchema, columns: dict[str, pa.Array]) -> tuple[pa.Array, Faults]:
    """Return a column of rows from one column for each feature, and what is no number."""
    parts: list[npt.NDArray[np.float32]] = []
    faults: Faults = {}
    for name in schema.numbers:
        column = columns[FEATURE + name]
        values, wrong = _numbers(column)
        parts.append(values)
        for row in np.flatnonzero(wrong).tolist():
            sample = f"{name}={column[row].as_py()!s}"[:200]
            faults.setdefault(row, (f"feature {name!r} is not a number", sample))
    parts += [_categories(columns[FEATURE + name]) for name in schema.categories]
    return FeatureTable(schema, np.stack(parts, axis=1)).to_arrow(), faults


def parse_features(schema: FeatureSchema, text: pa.Array, faults: Faults) -> pa.Array:
    """Return a column of rows from JSON objects; what is none is added to the faults."""
    values = np.full((len(text), len(schema)), np.nan, np.float32)
    for row, value in enumerate(text.to_pylist()):
        if row in faults:
            continue
        try:
            values[row] = np.frombuffer(schema.normalize(value), "<f4")
        except InputError as error:
            faults[row] = (str(error), value)
    return FeatureTable(schema, values).to_arrow()


def _numbers(column: pa.Array) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return the numbers (NaN where missing), and which values are none."""
    wrong = np.zeros(len(column), bool)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        numbers = np.full(len(column), np.nan)
        for row, value in enumerate(column.to_pylist()):
            try:
                text = value.decode() if isinstance(value, bytes) else value
                if text is None or text == "":
                    continue
                word = text.strip().lower() if isinstance(text, str) else text
                numbers[row] = _TRUTH[word] if word in _TRUTH else float(text)
            except (TypeError, ValueError, OverflowError):
                wrong[row] = True
    else:
        as_float = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan)
        numbers = as_float.to_numpy(zero_copy_only=False)
    numbers = np.where(np.isnan(numbers), np.nan, numbers)  # one form of a missing value: one id
    return np.clip(numbers, -LARGEST, LARGEST).astype(np.float32), wrong


def _categories(column: pa.Array) -> npt.NDArray[np.float32]:
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    names = [
        v.decode("utf-8", "replace") if isinstance(v, bytes) else v
        for v in encoded.dictionary.to_pylist()
    ]
    numbers = np.array([*(category_number(name) for name in names), np.nan], np.float32)
    codes = pc.fill_null(encoded.indices, len(names)).to_numpy(zero_copy_only=False)
    return np.asarray(numbers[codes])
