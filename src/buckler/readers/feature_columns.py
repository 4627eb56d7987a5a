"""Rows of features out of tables, of JSON texts and of objects, for tasks whose events are rows."""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from buckler.errors import InputError
from buckler.normalize import FeatureSchema, FeatureTable
from buckler.normalize.feature_schema import (
    LARGEST,
    category_number,
    feature_number,
    wrong_value,
)

FEATURE = "feature:"  # before a column's name, in the roles of a chunk
ROW = "row"  # role of a column of rows that are joined already

Faults = dict[int, tuple[str, str | bytes]]  # row -> reason and sample


def join_features(schema: FeatureSchema, columns: dict[str, pa.Array]) -> tuple[pa.Array, Faults]:
    """Return a column of rows from one column for each feature, and the rows that are none."""
    parts: list[npt.NDArray[np.float32]] = []
    faults: Faults = {}
    for index, name in enumerate(schema.names):
        read = feature_number if index < len(schema.numbers) else category_number
        column = columns[FEATURE + name]
        values, wrong = _read(column, read)
        parts.append(values)
        for row in np.flatnonzero(wrong).tolist():
            sample = f"{name}={column[row]!s}"[:200]
            faults.setdefault(row, (wrong_value(name, read), sample))
    rows = np.stack(parts, axis=1)
    for row in np.flatnonzero(np.isnan(rows).all(axis=1)).tolist():
        faults.setdefault(row, (schema.no_value, ""))
    return FeatureTable(schema, rows).to_arrow(), faults


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


def is_row(schema: FeatureSchema, value: Mapping[str, object]) -> bool:
    """Return True for an object that names a feature, also in an object inside it."""
    return any(name in value or name.partition(".")[0] in value for name in schema.names)


def _read(
    column: pa.Array, read: Callable[[object], float]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return the values as numbers (NaN where missing), and which of them are none."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind, wrong = column.type, np.zeros(len(column), bool)
    if read is feature_number and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        as_float = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan)
        numbers = as_float.to_numpy(zero_copy_only=False)
        numbers = np.where(np.isnan(numbers), np.nan, numbers)  # one form: a row has one id
        return np.clip(numbers, -LARGEST, LARGEST).astype(np.float32), wrong
    numbers = np.full(len(column), np.nan)
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind):
        return numbers.astype(np.float32), np.asarray(column.is_valid())
    read = cache(read)
    for row, value in enumerate(column.to_pylist()):
        try:
            numbers[row] = read(value)
        except (TypeError, ValueError):
            wrong[row] = True
    return numbers.astype(np.float32), wrong
