"""Rows out of objects (of JSON lines, event logs): for each role, the first name that is there."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.isolation import EventFault, attempt
from buckler.normalize import FeatureSchema, FeatureTable, NormalizedTexts
from buckler.readers.chunks import to_json
from buckler.readers.feature_columns import ROW
from buckler.readers.quarantine import Quarantine, Reason
from buckler.readers.reader import KEPT, WHOLE

Names = Mapping[str, tuple[str, ...]]
# Key of what an envelope holds, and keys of which one stands beside it; see also `json_lines.c`.
_ENVELOPES = (("_source", ("_index", "_id")), ("result", ("preview", "offset", "lastrow")))
_NEEDS_QUOTES = re.compile(r"[\s'\"]")
_MAX_PAIRS = 64
_MAX_SHAPES = 256  # sets of keys whose getters are remembered
_ARGUMENT_LISTS = ("ARGV", "args", "execve")
_RoleGetters = tuple[int, str, "list[Getter]"]  # of the role with this number
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
    all_getters = {
        role: [(name, _getter(name) if "." in name else None) for name in tried]
        for role, tried in names.items()
    }
    reads_text = features is None and "text" in names
    roles = [role for role in names if role != "text" or features is not None]
    found: list[list[str | None]] = []
    inputs: list[bytes] = []
    rows: list[int] = []
    by_shape: dict[tuple[str, ...], tuple[list[Getter], list[_RoleGetters]]] = {}

    def getters_for(value: dict[str, object]) -> tuple[list[Getter], list[_RoleGetters]]:
        """Return the getters that can find something: logs repeat a few sets of keys."""
        shape = tuple(value)
        if shape not in by_shape:
            if len(by_shape) >= _MAX_SHAPES:
                by_shape.clear()
            getters = {
                role: [getter for getter in tried if _may_find(getter[0], value)]
                or _in_other_case(tried, value)
                for role, tried in all_getters.items()
            }
            of_roles = [(n, role, getters[role]) for n, role in enumerate(roles)]
            others = [each for each in of_roles if each[2] or each[1] == WHOLE]
            by_shape[shape] = getters.get("text", []), others
        return by_shape[shape]

    def read(value: dict[str, object]) -> tuple[object, list[str | None]]:
        of_text, others = getters_for(value)
        content: object = ""
        if features is not None:
            content = features.row(value)
        elif reads_text:
            content = _first(value, of_text)
        if isinstance(content, str):
            # Lone surrogates are legal in JSON, not in UTF-8: a text with one is set aside.
            content = content.encode("utf-8", "surrogatepass")
        elif content is None and pass_over:
            return None, []
        fields: list[str | None] = [None] * len(roles)
        for number, role, getters in others:
            fields[number] = _content_of_role(value, role, getters)
        return content, fields

    for row, value, sample in objects:
        if isinstance(value, str) and reads_text:
            value = {names["text"][0]: value}
        if not isinstance(value, (dict, EventFault)):
            quarantine.add(path, row, "not a JSON object", sample)
            continue
        event = attempt(read, value) if isinstance(value, dict) else value
        if isinstance(event, EventFault):
            quarantine.add(path, row, event.reason, sample)
            continue
        content, fields = event
        if not isinstance(content, bytes):
            if pass_over and content is None:
                quarantine.pass_over("other events")
            else:
                quarantine.add(path, row, Reason.NO_TEXT, sample)
            continue
        inputs.append(content)
        found.append(fields)
        rows.append(row)
    by_role = zip(*found, strict=True) if found else [()] * len(roles)
    columns = {
        role: pa.array(values, pa.string()) for role, values in zip(roles, by_role, strict=True)
    }
    if features is not None:
        joined = FeatureTable.from_texts(features, NormalizedTexts.from_bytes(inputs))
        columns[ROW] = joined.to_arrow()
    elif reads_text:
        columns["text"] = pa.array(inputs, pa.large_binary())
    return columns, np.array(rows, np.int64)


def unfold(objects: Iterable[tuple[int, object, bytes]]) -> Iterator[tuple[int, object, bytes]]:
    """Yield the event in each envelope, and each event of a list with what the list shares."""
    for row, envelope, sample in objects:
        value = unwrap(envelope)
        if events := listed_events(value):
            yield from ((row, {**value, "columns": one}, sample) for one in events)  # type: ignore[dict-item]
        else:
            yield row, value, sample


def unwrap(value: object) -> object:
    """Return the event in what Elasticsearch (``_source``) or Splunk (``result``) exports."""
    if isinstance(value, dict):
        for name, beside in _ENVELOPES:
            inner = value.get(name)
            if isinstance(inner, dict) and not value.keys().isdisjoint(beside):
                return {**{key: held for key, held in value.items() if key != name}, **inner}
    return value


def listed_events(value: object) -> list[object]:
    """Return the events that osquery logs in one object: a snapshot, or what a batch added."""
    if not isinstance(value, dict):
        return []
    batch = value.get("diffResults")
    found = batch.get("added") if isinstance(batch, dict) else value.get("snapshot")
    return found if isinstance(found, list) else []


def _in_other_case(tried: list[Getter], value: dict[str, object]) -> list[Getter]:
    by_lower = {name.lower(): name for name in value}
    return [(by_lower[name.lower()], None) for name, _ in tried if name.lower() in by_lower]


def _may_find(name: str, value: dict[str, object]) -> bool:
    return name in value or name.partition(".")[0] in value or ("." in name and "Data" in value)


def _content_of_role(value: dict[str, object], role: str, getters: list[Getter]) -> str | None:
    if role == WHOLE:
        return to_json(value)
    if role.startswith(KEPT):
        for name, reach_in in getters:
            return to_json(value[name] if reach_in is None else reach_in(value))
        return None
    found = _first(value, getters)
    if type(found) is str and found.isascii():
        return found
    return _as_text(_only(found) if role == "label" else found)


def reach(value: dict[str, object], name: str) -> object:
    """Return value["a.b"], or value["a"]["b"] for a dotted name; None where it is not there."""
    return _getter(name)(value)


def _first(value: dict[str, object], getters: list[Getter]) -> object:
    empty = None
    for name, reach_in in getters:
        found = value.get(name) if reach_in is None else reach_in(value)
        if found == "":
            empty = ""
        elif found is not None and not isinstance(found, dict):
            return found
    return empty


def _arguments(value: object) -> object:
    """Return the arguments of a program as one line, from a list or from ``a0``, ``a1``, …"""
    if isinstance(value, dict):
        value = [value[f"a{n}"] for n in range(len(value)) if f"a{n}" in value]
    if not isinstance(value, list):
        return value
    words = [word for word in value if isinstance(word, str)]
    return " ".join(map(quote_word, words)) if words and len(words) == len(value) else None


def quote_word(word: str) -> str:
    """Return a word so that its ends can be seen."""
    if word and not _NEEDS_QUOTES.search(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


@lru_cache(maxsize=1024)
def _getter(name: str) -> Callable[[dict[str, object]], object]:
    parts = name.split(".")
    rests = [".".join(parts[depth:]) for depth in range(len(parts))]
    if len(parts) == 1:
        return lambda value: value.get(name)

    as_line = parts[-1] in _ARGUMENT_LISTS

    head = parts[0]

    def get(value: dict[str, object]) -> object:
        if head in value and name not in value and not isinstance(value[head], (dict, list)):
            return None  # the usual case of a name that is not there
        found: object = value
        for part, rest in zip(parts, rests, strict=True):
            if isinstance(found, list) and found:  # such as the queries of a DNS record
                found = found[0]
            if not isinstance(found, dict):
                return None
            if rest in found:  # a name with dots in it, such as Falco's proc.cmdline
                return _arguments(found[rest]) if as_line else found[rest]
            found = found[part] if part in found else _content_of(found.get("Data"), part)
        return found

    return get


def _content_of(pairs: object, name: str) -> object:
    """Return the content of ``<Data Name="…">`` as converters of XML leave it: a list of pairs."""
    if isinstance(pairs, list):
        for pair in pairs[:_MAX_PAIRS]:
            if isinstance(pair, dict) and name in (pair.get("@Name"), pair.get("Name")):
                return pair.get("#text", pair.get("Value", pair.get("content")))
    return None


def _only(value: object) -> object:
    """Return the label in a list of at most one, as some annotation tools write it."""
    if isinstance(value, list) and len(value) < 2:
        return value[0] if value else None
    return value


def _as_text(value: object) -> str | None:
    if value is None:
        return None
    if type(value) is int:
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
