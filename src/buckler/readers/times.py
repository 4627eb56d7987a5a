"""Points in time as data spell them, as seconds since 1970: one reading for every format.

A time is right or unknown. Zero, a time before 1970, and one after 2199 stand for unknown: programs
write 0, -1, the year 1601 and the year 9999 where they have no time.
"""

import math
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, time
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

AUDIT_ID = "audit id"  # role of an identifier that holds the time of an event
_END = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
_SINCE_1601, _SINCE_YEAR_1 = 11_644_473_600.0, 62_135_596_800.0
_NO_UNIT = math.inf
# Units of numbers: the smallest number of each, its parts of a second, the seconds from its zero to
# 1970. In any other unit, a number would be a time that no event of today has. What would be a time
# of 1973 to 1989 has no unit: the year 9999 in seconds would be 1978 in milliseconds.
_UNITS = np.array(
    [
        (-math.inf, 1, 0),
        (1e11, _NO_UNIT, 0),
        (6.3e11, 1e3, 0),
        (1e14, _NO_UNIT, 0),
        (6.3e14, 1e6, 0),
        (1.2e16, 1e6, _SINCE_1601),  # of Chrome
        (1.6e16, _NO_UNIT, 0),
        (1.2e17, 1e7, _SINCE_1601),  # FILETIME of Windows
        (1.6e17, _NO_UNIT, 0),
        (6.3e17, 1e7, _SINCE_YEAR_1),  # ticks of .NET
        (6.63e17, 1e9, 0),
    ]
)
# Calendar dates written as a number: 20260105, with hours and minutes, seconds, milliseconds.
_DIGITS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S"}
_FIRST_YEAR, _LAST_YEAR = 1990, 2100
_MAX_TEXT = 100


def seconds_of(value: object) -> int | None:
    """Return seconds since 1970 of one value, as `column_seconds`; None where unknown."""
    found: int | None = _seconds([value])[0].as_py()
    return found


def exact_seconds_of(value: object) -> float | None:
    """Return seconds since 1970 with their fraction, as `seconds_of`; None where unknown."""
    if isinstance(value, str):
        value = value[:_MAX_TEXT]
    number = _number(value)
    seconds = _moment(value) if math.isnan(number) else float(_of_numbers(np.array([number]))[0])
    return seconds if 1 <= seconds < _END else None


def join_audit_times(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Return the columns with the times of Laurel's identifiers, where an event has no other."""
    if AUDIT_ID not in columns:
        return columns
    times = _audit_times(columns.pop(AUDIT_ID))
    if times.null_count == len(times):
        return columns
    if "ts" in columns:
        times = pc.coalesce(columns["ts"].cast(pa.string()), times)
    return {**columns, "ts": times}


def _audit_times(ids: pa.Array) -> pa.Array:
    """Return the times in identifiers of Linux's audit log (1626883014.206:35287), else null."""
    if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
        return pa.nulls(len(ids), pa.string())
    found = pc.extract_regex(ids, r"^(?P<seconds>\d{9,10}\.\d{3}):\d{1,20}$")
    return pc.struct_field(found, "seconds").cast(pa.string())


def column_seconds(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return int64 seconds since 1970 of numbers, dates, timestamps or text.

    Numbers may be seconds, milli-, micro- or nanoseconds, FILETIME of Windows, or a date such as
    20260105. Text may hold a number, or ISO 8601. Without an offset, a time is in UTC. Null stands
    for what is unknown or no time at all.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column_seconds(column.dictionary_decode())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        whole = column.cast(pa.timestamp("s", zone), safe=False).cast(pa.int64())
        return _whole_seconds(_scale(_floats(whole)))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _whole_seconds(_of_numbers(_floats(column)))
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind):  # an interval is no point in time
        return pa.nulls(len(column), pa.int64())
    seconds = _quick_seconds(column)
    return _seconds(column.to_pylist()) if seconds is None else _whole_seconds(seconds)


def _quick_seconds(column: pa.Array) -> npt.NDArray[np.float64] | None:
    """Return the seconds of text in one form throughout, numbers or ISO 8601; else None."""
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if not is_text or column.null_count == len(column):
        return None
    first = column.drop_null()[:1]
    for kind in (pa.float64(), pa.timestamp("us", "UTC"), pa.timestamp("us")):
        with suppress(pa.ArrowInvalid):
            first.cast(kind)
            found = column.cast(kind)
            if kind == pa.float64():
                return _of_numbers(_floats(found))
            return _floats(found.cast(pa.int64())) / 1e6
    return None


def _seconds(values: Iterable[object]) -> pa.Array:
    """Return the seconds of Python values."""
    known, numbers = list[float](), list[float]()
    for value in values:
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            value = value[:_MAX_TEXT]
        number = _number(value)
        numbers.append(number)
        known.append(_moment(value) if math.isnan(number) else math.nan)
    moments = np.array(known, np.float64)
    return _whole_seconds(np.where(np.isnan(moments), _of_numbers(np.array(numbers)), moments))


def _number(value: object) -> float:
    if isinstance(value, bool | None):
        return math.nan
    if isinstance(value, str) and (not value.isascii() or "_" in value):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (ValueError, OverflowError, TypeError):
        return math.nan


def _moment(value: object) -> float:
    """Return the seconds of a date or of ISO 8601 text; NaN for all else."""
    try:
        if isinstance(value, str):
            text = value.strip().removesuffix(" UTC")
            value = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
        elif isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        pass
    return math.nan


def _of_numbers(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the seconds of numbers in any unit, or of calendar dates in digits."""
    seconds = _scale(numbers)
    for digits, form in _DIGITS.items():
        rest = 10.0 ** (digits - 4)
        is_date = (numbers >= _FIRST_YEAR * rest) & (numbers < (_LAST_YEAR + 1) * rest)
        for row in np.flatnonzero(is_date).tolist():
            moment = _calendar(f"{numbers[row]:.0f}"[:14], form)
            if moment is not None:
                seconds[row] = moment
    return seconds


@lru_cache(1 << 12)
def _calendar(digits: str, form: str) -> float | None:
    try:
        return datetime.strptime(digits, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _scale(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the seconds of numbers in any unit."""
    unit = _UNITS[np.searchsorted(_UNITS[:, 0], numbers, side="right") - 1]
    return np.asarray(numbers / unit[:, 1] - unit[:, 2])


def _floats(column: pa.Array) -> npt.NDArray[np.float64]:
    values = pc.fill_null(column.cast(pa.float64(), safe=False), math.nan)
    return np.asarray(values.to_numpy(zero_copy_only=False))


def _whole_seconds(seconds: npt.NDArray[np.float64]) -> pa.Array:
    """Return whole seconds, null where they are no time of an event."""
    is_known = (seconds >= 1) & (seconds < _END)  # False for NaN
    whole = np.floor(np.where(is_known, seconds, 0)).astype(np.int64)
    return pa.array(whole, mask=~is_known)
