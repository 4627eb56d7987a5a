"""Rows out of objects (of JSON lines, event logs): for each role, the first name that is there."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.isolation import EventFault, attempt
from buckler.normalize import FeatureSchema, FeatureTable, NormalizedTexts
from buckler.readers.feature_columns import ROW
from buckler.readers.quarantine import Quarantine, Reason

Names = Mapping[str, tuple[str, ...]]
Getter = tuple[str, Callable[[dict[str, object]], object] | None]


def columns_of(
    path: Path,
    objects: Iterable[tuple[int, object, bytes]],
    names: Names,
    quarantine: Quarantine,
    *,
    pass_over: bool = False,
    features: FeatureSchema | None = None,
) -> tuple[dict[str, pa.Array], npt.NDArray[np.int64]]:
    """Return columns by role, and row numbers, of (row, object, sample) triples.

    Parameters
    ----------
    objects
        Row number, object (or the fault that kept it from being one), and a sample of the row.
    names
        Role -> names to try, in order; a dotted name reaches into nested objects.
    pass_over
        Objects without any of the text's names are other kinds of events: counted, not set aside.
    features
        Features, where each object is a row of them, whatever the names of the text.
    """
    getters = {
        role: [(name, _getter(name) if "." in name else None) for name in tried]
        for role, tried in names.items()
    }
    texts = getters.pop("text", None) if features is None else None
    found: dict[str, list[str | None]] = {role: [] for role in getters}
    inputs: list[bytes] = []
    rows: list[int] = []

    def read(value: dict[str, object]) -> tuple[object, list[str | None]]:
        content: object = ""
        if features is not None:
            content = features.row(value)
        elif texts is not None:
            content = _first(value, texts)
        if isinstance(content, str):
            # Lone surrogates are legal in JSON, not in UTF-8: a text with one is set aside.
            content = content.encode("utf-8", "surrogatepass")
        return content, [_as_text(_first(value, tried)) for tried in getters.values()]

    for row, value, sample in objects:
        if not isinstance(value, (dict, EventFault)):
            quarantine.add(path, row, "not a JSON object", sample)
            continue
        event = attempt(read, value) if isinstance(value, dict) else value
        if isinstance(event, EventFault):
            quarantine.add(path, row, event.reason, sample)
            continue
        content, others = event
        if not isinstance(content, bytes):
            if pass_over and content is None:
                quarantine.pass_over("other events")
            else:
                quarantine.add(path, row, Reason.NO_TEXT, sample)
            continue
        inputs.append(content)
        for column, field in zip(found.values(), others, strict=True):
            column.append(field)
        rows.append(row)
    columns = {role: pa.array(values, pa.string()) for role, values in found.items()}
    if features is not None:
        joined = FeatureTable.from_texts(features, NormalizedTexts.from_bytes(inputs))
        columns[ROW] = joined.to_arrow()
    elif texts is not None:
        columns["text"] = pa.array(inputs, pa.large_binary())
    return columns, np.array(rows, np.int64)


def reach(value: dict[str, object], name: str) -> object:
    """Return value["a.b"], or value["a"]["b"] for a dotted name; None where it is not there."""
    return _getter(name)(value)


def _first(value: dict[str, object], getters: list[Getter]) -> object:
    for name, reach_in in getters:
        found = value.get(name) if reach_in is None else reach_in(value)
        if found is not None and not isinstance(found, dict):
            return found
    return None


def _getter(name: str) -> Callable[[dict[str, object]], object]:
    parts = name.split(".")
    if len(parts) == 1:
        return lambda value: value.get(name)

    def get(value: dict[str, object]) -> object:
        if name in value:
            return value[name]
        found: object = value
        for part in parts:
            if not isinstance(found, dict):
                return None
            found = found.get(part)
        return found

    return get


def _as_text(value: object) -> str | None:
    if value is None:
        return None
    if type(value) is int:
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
