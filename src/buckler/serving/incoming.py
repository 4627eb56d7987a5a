"""Events that come as Python values (parsed JSON, messages of a queue): to a column of texts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.readers.chunks import make_chunk
from buckler.readers.objects import columns_of
from buckler.readers.quarantine import Quarantine
from buckler.runtime import Scorer
from buckler.serving.fields import Fields

_HERE = Path("event")


@dataclass(frozen=True)
class Incoming:
    """What came, and what of it can be judged.

    Attributes
    ----------
    text
        large_binary: texts that can be judged.
    rows
        intp: which of the values each text is, from 0.
    errors
        Position of a value -> why it cannot be judged.
    """

    text: pa.Array
    rows: npt.NDArray[np.intp]
    errors: dict[int, str]


class _Errors(Quarantine):
    """Keeps the reason for each row in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.by_row: dict[int, str] = {}

    def add(self, source: Path, row: int, reason: str, sample: str | bytes = b"") -> None:  # noqa: ARG002
        self.by_row[row - 1] = reason


def read_values(values: Sequence[Any], scorer: Scorer, fields: Fields) -> Incoming:
    """Return the texts of values: strings, or objects with the fields that files have.

    Nothing is lost: what cannot be judged has an error.
    """
    spec = fields.column_spec(scorer)
    errors = _Errors()
    if all(type(value) is str for value in values):
        texts = [value.encode("utf-8", "surrogatepass") for value in values]
        columns = {"text": pa.array(texts, pa.large_binary())}
        rows = np.arange(1, len(values) + 1, dtype=np.int64)
    else:
        as_object = _as_row if scorer.features is not None else _as_object
        named = ((i, as_object(value, fields), b"") for i, value in enumerate(values, 1))
        columns, rows = columns_of(_HERE, named, spec.roles, errors)
    chunk = make_chunk(_HERE, spec, columns, rows, 0, 0, errors)
    return Incoming(chunk.text, (chunk.rows - 1).astype(np.intp), errors.by_row)


def _as_object(value: Any, fields: Fields) -> Any:
    return {fields.columns[0]: value} if isinstance(value, str) else value


def _as_row(value: Any, fields: Fields) -> Any:
    """A row of features may come as the object itself."""
    if isinstance(value, dict) and not any(name in value for name in fields.columns):
        return {fields.columns[0]: json.dumps(value)}
    return _as_object(value, fields)
