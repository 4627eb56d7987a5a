"""Events that are values: texts and objects, in Python or as JSON texts of which each is one event.

JSON texts (lines of a body or a pipe, messages of a topic) become columns in the kernel, without an
object for each. What it leaves for a closer look is parsed by itself, with the same outcome.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa

from buckler.errors import InputError
from buckler.isolation import EventFault, attempt
from buckler.readers.chunks import is_utf8_bytes, make_chunk
from buckler.readers.feature_columns import is_row
from buckler.readers.jsonl import Columns, scan_array, scan_lines, with_text
from buckler.readers.objects import Names, columns_of, listed_events, unwrap
from buckler.readers.quarantine import Quarantine, Reason
from buckler.readers.reader import Chunk, ColumnSpec

NOT_JSON: Final = EventFault("no JSON", ValueError("no JSON"))  # stands for a text
_MAX_DIGITS = 19  # longer integers may take long to read
_MAX_SCANNED_BYTES = 1 << 30  # the kernel counts bytes in 32 bits
_FEW = 32  # texts that cost less as objects than as columns
_EVENT = Path("event")
_NO_LINE = b"!"  # no JSON, and UTF-8


class RowReasons(Quarantine):
    """Keeps the reason of each row in memory, by position from 0.

    With `pass_over`, a row without a text has none.
    """

    def __init__(self, first_row: int = 0, *, pass_over: bool = False) -> None:
        super().__init__()
        self.by_row: dict[int, str] = {}
        self._first_row, self._pass_over = first_row, pass_over

    def add(self, source: Path, row: int, reason: str, sample: str | bytes = b"") -> None:  # noqa: ARG002
        """Keep a reason."""
        if not (self._pass_over and reason is Reason.NO_TEXT):
            self.by_row[row - self._first_row] = reason


# --- JSON texts ---------------------------------------------------------------------------------


def parse_json(data: bytes) -> object:
    """Return the value of a JSON text; what is not UTF-8 is left in it as surrogates.

    One bad text must not cost the others of an array their verdicts.

    Raises
    ------
    ValueError
        If it is no JSON.
    """
    import orjson  # comes with the extras that read JSON from elsewhere

    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
            found: object = json.loads(text, parse_int=_number)
            return found
        except (ValueError, RecursionError):
            raise error from None


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < _MAX_DIGITS else float(digits)


def parse_event(data: bytes) -> object:
    """Return the value of a JSON text; `NOT_JSON` for what is none."""
    try:
        return parse_json(data)
    except ValueError:
        return NOT_JSON


class JsonTexts:
    """JSON texts as a sequence of values, each parsed when it is asked for.

    Parameters
    ----------
    texts
        One for each event.
    parse
        Returns the value of a text, or a fault.
    """

    def __init__(
        self, texts: Sequence[bytes], parse: Callable[[bytes], object] = parse_event
    ) -> None:
        self._texts, self._parse = texts, parse

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, row: int) -> object:
        return self._parse(self._texts[row])

    def __iter__(self) -> Iterator[object]:
        return map(self._parse, self._texts)

    def scan(self, names: Names) -> Columns | None:
        """Return the columns of those that the kernel can read, with their places."""
        data = self._join()
        if len(data) > _MAX_SCANNED_BYTES:
            return None
        return scan_lines(data, names, max_line_bytes=len(data), most_left=len(self))

    def _join(self) -> bytes:
        """Return the texts as lines of UTF-8; one that cannot be a line is no JSON there."""
        texts = self._texts
        data = b"\n".join(texts)
        if data.count(b"\n") >= len(texts):
            # Both are white space between tokens, and neither may stand in a string.
            texts = [text.replace(b"\n", b"\r") for text in texts]
            data = b"\n".join(texts)
        if not is_utf8_bytes(data):
            data = b"\n".join(text if is_utf8_bytes(text) else _NO_LINE for text in texts)
        return data


class JsonArray:
    """Values of an array that `orjson` has read: as JSON again, the kernel reads them faster."""

    def __init__(self, values: list[object]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, row: int) -> object:
        return self._values[row]

    def __iter__(self) -> Iterator[object]:
        return iter(self._values)

    def scan(self, names: Names) -> Columns | None:
        """Return the columns of those that the kernel can read, with their places."""
        import orjson

        try:
            data = orjson.dumps(self._values)
        except orjson.JSONEncodeError:  # nested deeper than it writes
            return None
        if len(data) > _MAX_SCANNED_BYTES:
            return None
        return scan_array(data, names, len(self))


Values: TypeAlias = Sequence[object] | JsonTexts | JsonArray


# --- reading ------------------------------------------------------------------------------------


def read_values(
    values: Values, columns: ColumnSpec, *, pass_over: bool = False
) -> tuple[Chunk, dict[int, str]]:
    """Return the events of values, in rows from 1, and the reasons by position from 0.

    A fault, such as `NOT_JSON`, stands for a value that could not be read. With `pass_over`, an
    object without a text has neither a text nor a reason.
    """
    reasons = RowReasons(first_row=1, pass_over=pass_over)
    found = _scan(values, columns, reasons) if isinstance(values, JsonTexts | JsonArray) else None
    held, rows = found or _read(list(values), columns, reasons)
    chunk = make_chunk(_EVENT, columns, held, rows, 0, 0, reasons)
    return chunk, reasons.by_row


def _read(values: list[object], columns: ColumnSpec, reasons: RowReasons) -> Columns:
    """Return the columns of values, with row numbers."""
    texts = [value for value in values if isinstance(value, str)]
    if columns.features is None and len(texts) == len(values):
        rows = np.arange(1, len(values) + 1, dtype=np.int64)
        return {"text": _encode(texts)}, rows
    return _read_objects(enumerate(values, 1), columns, reasons)


def _encode(texts: list[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.large_binary())
    except UnicodeEncodeError:  # a lone surrogate is legal in JSON, not in UTF-8
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        return pa.array(encoded, pa.large_binary())


def _scan(
    values: JsonTexts | JsonArray, columns: ColumnSpec, reasons: RowReasons
) -> Columns | None:
    """Return the columns of JSON, by the kernel; None where it can read none of it."""
    if len(values) < _FEW or columns.features is not None:
        return None
    scanned = values.scan(columns.roles)
    if scanned is None or not len(scanned[1]):
        return None
    held, rows = scanned
    rows += 1
    is_left = np.ones(len(values), bool)
    is_left[rows - 1] = False
    held["text"] = held["text"].cast(pa.large_binary())
    if held["text"].null_count:
        for row in rows[held["text"].is_null().to_numpy(zero_copy_only=False)].tolist():
            reasons.add(_EVENT, row, Reason.NO_TEXT)
        held, rows = with_text(held, rows)
    left = np.flatnonzero(is_left).tolist()
    if not left:
        return held, rows
    objects = ((at + 1, values[at]) for at in left)
    return _join((held, rows), _read_objects(objects, columns, reasons))


def _join(one: Columns, other: Columns) -> Columns:
    """Return the columns of both in the order of their rows."""
    rows = np.concatenate([one[1], other[1]])
    order = np.argsort(rows)
    columns = {
        role: pa.concat_arrays([column, other[0][role]]).take(pa.array(order))
        for role, column in one[0].items()
    }
    return columns, rows[order]


def _read_objects(
    values: Iterable[tuple[int, object]], columns: ColumnSpec, reasons: RowReasons
) -> Columns:
    """Return the columns of values with their row numbers."""
    features = columns.features
    to_object = partial(_as_object if features is None else _as_row, columns)
    objects = ((row, attempt(to_object, value), b"") for row, value in values)
    return columns_of(_EVENT, objects, columns.roles, reasons, features=features)


def _as_object(columns: ColumnSpec, value: object) -> object:
    value = unwrap(value)
    if columns.mixed and (listed := listed_events(value)):
        raise InputError(f"a list of {len(listed)} events of osquery: send each by itself")
    return {columns.text[0]: value} if isinstance(value, str) else value


def _as_row(columns: ColumnSpec, value: object) -> object:
    """Return the object of a row of features: the value itself, or JSON in it or in its text."""
    schema = columns.features
    if schema is not None and isinstance(value, dict) and not is_row(schema, value):
        value = next((value[name] for name in columns.text if name in value), value)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
