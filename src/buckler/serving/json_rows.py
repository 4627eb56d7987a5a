"""JSON objects out of columns, without a Python object for each: answers, and lines of a scan."""

import json
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from buckler import _kernel

_TEXT = pa.large_string()
_MAX_PLAIN = 1e10  # Arrow writes larger numbers with an exponent


def write_objects(members: Iterable[tuple[str, pa.Array | str]], end: str = "") -> pa.Array:
    """Return a JSON object for each row, as large strings.

    Parameters
    ----------
    members
        Names, in order, each with one JSON text for all rows or a column of JSON texts; at least
        one is a column.
    end
        Text behind each object, such as a line feed.

    Examples
    --------
    >>> write_objects([("a", as_json(pa.array([1, 2]))), ("b", '"x"')]).to_pylist()
    ['{"a":1,"b":"x"}', '{"a":2,"b":"x"}']
    """
    pieces: list[pa.Scalar | pa.Array] = []
    text = "{"
    for name, value in members:
        text += f"{json.dumps(name)}:"
        if isinstance(value, str):
            text += value
        else:
            pieces += [pa.scalar(text, _TEXT), value]
            text = ""
        text += ","
    pieces += [pa.scalar(text[:-1] + "}" + end, _TEXT), pa.scalar("", _TEXT)]
    return pc.binary_join_element_wise(*pieces)


def as_json(column: pa.Array) -> pa.Array:
    """Return each value as JSON text; a number that JSON lacks becomes null."""
    if pa.types.is_dictionary(column.type):
        texts = as_json(column.dictionary).take(column.indices)
        return pc.fill_null(texts, "null")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        offsets, data = map(pa.py_buffer, _kernel.json_texts(*column.__arrow_c_array__()))
        return pa.LargeStringArray.from_buffers(len(column), offsets, data)
    text = column.cast(_TEXT)
    if pa.types.is_floating(column.type):
        text = _with_fractions(column, text)
        text = pc.if_else(pc.is_finite(column), text, "null")
    return pc.fill_null(text, "null")


def _with_fractions(column: pa.Array, text: pa.Array) -> pa.Array:
    """Return the texts of floats, 1 as 1.0, so that all of a column are of one type everywhere."""
    values = column.to_numpy(zero_copy_only=False)
    is_whole = (values == np.trunc(values)) & (np.abs(values) < _MAX_PLAIN)
    if not is_whole.any():
        return text
    parts = text, pa.scalar(".0", _TEXT), pa.scalar("", _TEXT)
    return pc.if_else(pa.array(is_whole), pc.binary_join_element_wise(*parts), text)
