"""Columns of a table as packed rows of features, for tasks whose events are rows."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from buckler.errors import InputError
from buckler.normalize import FeatureSchema
from buckler.normalize.feature_schema import LARGEST, MARK, category_number
from buckler.readers.quarantine import Quarantine

_TRUTH = {"true": 1.0, "false": 0.0}
FEATURE = "feature:"  # before a column's name, in the roles of a chunk


def pack_features(
    path: Path,
    schema: FeatureSchema,
    columns: dict[str, pa.Array],
    rows: npt.NDArray[np.int64],
    quarantine: Quarantine,
) -> tuple[dict[str, pa.Array], npt.NDArray[np.int64]]:
    """Return the columns with packed rows as text, without rows whose numbers are none."""
    n = len(rows)
    values = np.empty((n, len(schema)), np.float32)
    bad = np.zeros(n, bool)
    for index, name in enumerate(schema.names):
        column = columns[FEATURE + name]
        if index < len(schema.numbers):
            values[:, index], wrong = _numbers(column)
            for row in np.flatnonzero(wrong & ~bad):
                sample = f"{name}={column[int(row)].as_py()!s}"[:200]
                quarantine.add(path, int(rows[row]), f"feature {name!r} is not a number", sample)
            bad |= wrong
        else:
            values[:, index] = _categories(column)
    rest = {r: c for r, c in columns.items() if not r.startswith(FEATURE)}
    width = len(MARK) + 4 * len(schema)
    packed = np.empty((n, width), np.uint8)
    packed[:, : len(MARK)] = np.frombuffer(MARK, np.uint8)
    packed[:, len(MARK) :] = values.astype("<f4", copy=False).view(np.uint8).reshape(n, -1)
    text = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(),
        n,
        [None, pa.py_buffer(np.arange(n + 1, dtype=np.int64) * width), pa.py_buffer(packed)],
    )
    found = {**rest, "text": text}
    if bad.any():
        mask = pa.array(~bad)
        found = {role: column.filter(mask) for role, column in found.items()}
        rows = rows[~bad]
    return found, rows


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


def unsound_rows(schema: FeatureSchema, text: pa.Array) -> dict[int, str]:
    """Return row -> what is wrong with it, of texts that are rows of features."""
    width = len(MARK) + 4 * len(schema)
    found = {}
    for row, value in enumerate(text.to_pylist()):
        if value is None or (len(value) == width and value.startswith(MARK)):
            continue
        try:
            schema.normalize(value)
        except InputError as error:
            found[row] = str(error)
    return found
