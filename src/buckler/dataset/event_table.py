"""The Arrow table of a dataset: one row for each event, with its id, group, time and source."""

from collections.abc import Sequence
from hashlib import blake2b

import pyarrow as pa

from buckler.normalize import FeatureTable, Inputs
from buckler.tasks import Task

EVENT_SCHEMA = pa.schema(
    [
        ("id", pa.binary(16)),
        ("text", pa.large_binary()),
        ("group", pa.string()),
        ("ts", pa.int64()),
        ("source", pa.string()),
    ]
)


def make_event_table(
    events: pa.Array,
    inputs: Inputs,
    *,
    group: pa.Array,
    ts: pa.Array,
    source: pa.Array,
    ids: Sequence[bytes] | None = None,
) -> pa.Table:
    """Return the table of a dataset; an id is the hash of a text as read, or of a row."""
    hashed = inputs.texts if isinstance(inputs, FeatureTable) else events.to_pylist()
    known = [_hash(event) for event in hashed] if ids is None else ids
    columns = {"id": pa.array(known, pa.binary(16)), "group": group, "ts": ts, "source": source}
    if isinstance(inputs, FeatureTable):
        return pa.table(columns)
    columns["text"] = events.cast(pa.large_binary())
    return pa.table(columns).select(EVENT_SCHEMA.names)


def event_id(raw: bytes, task: Task) -> bytes:
    """Return the id of an event: the hash of a text as read, or of the numbers of a JSON row.

    Raises
    ------
    InputError
        If the task judges rows of features, and this is none.
    """
    return _hash(task.normalize([raw])[0] if task.features else raw)


def _hash(event: bytes) -> bytes:
    return blake2b(event, digest_size=16).digest()
