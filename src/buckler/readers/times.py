"""Points in time as data spell them, as seconds since 1970."""

import re
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

_ZONE = re.compile(r"\s?([+-]\d{2}):?(\d{2})$")  # +0100, which the standard library wants as +01:00
_FRACTION = re.compile(r"(\.\d{6})\d+")
# Micro- and milliseconds, of many logs: the number above which it must be that and what to divide
# by. As seconds, it would be after the year 5000.
UNITS = ((100_000_000_000_000, 1_000_000), (100_000_000_000, 1_000))


def seconds_of(value: object) -> int | None:
    """Return seconds since 1970 of a number or of ISO 8601 text; None where it tells none."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return int(moment.timestamp())
    try:
        number = int(float("" if value is None else value))  # type: ignore[arg-type]
        for above, unit in UNITS:
            if number > above:
                return number // unit
        return number
    except (ValueError, OverflowError, TypeError):
        pass
    text = str(value or "").strip().removesuffix(" UTC")
    try:
        moment = datetime.fromisoformat(_ZONE.sub(r"\1:\2", _FRACTION.sub(r"\1", text)))
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def column_seconds(column: pa.Array) -> pa.Array:
    """Return int64 seconds since 1970 of a column of numbers, timestamps or ISO 8601 text.

    Null stands for what is unknown, zero, or no time at all.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pa.array([seconds_of(text) for text in column.to_pylist()], pa.int64())
    if pa.types.is_timestamp(column.type):
        seconds = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    elif pa.types.is_integer(column.type):
        seconds = column.cast(pa.int64())
    elif pa.types.is_floating(column.type):
        seconds = pc.floor(column).cast(pa.int64(), safe=False)
    else:
        return pa.nulls(len(column), pa.int64())
    for above, unit in UNITS:
        seconds = pc.if_else(pc.greater(seconds, above), pc.divide(seconds, unit), seconds)
    return pc.if_else(pc.equal(seconds, 0), None, seconds)
