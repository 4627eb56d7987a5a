"""What else is known of an event (parent, user, the page's address), as further fields of its text.

Fields stand behind the text, each behind a separator, in the order of the task; empty ones at the
end are left out, so that an event of which only the text is known is the text alone.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

SEPARATOR = b"\x1f"
CONTEXT = "context:"  # before a field's number, in the roles of a chunk
_LARGE = pa.large_binary()


def context_roles(context: tuple[tuple[str, ...], ...]) -> dict[str, tuple[str, ...]]:
    """Return role -> names of columns for each further field."""
    return {f"{CONTEXT}{index}": names for index, names in enumerate(context)}


def join_context(
    columns: dict[str, pa.Array], context: tuple[tuple[str, ...], ...]
) -> dict[str, pa.Array]:
    """Return the columns with the further fields joined to the text."""
    roles = list(context_roles(context))
    if not any(role in columns for role in roles):
        return columns
    n = len(columns["text"])
    text = _fields(columns["text"])
    parts = [
        pc.fill_null(_fields(columns[role]), b"")
        if role in columns
        else pa.repeat(pa.scalar(b"", _LARGE), n)
        for role in roles
    ]
    *others, tail = parts
    for part in reversed(others):  # from the back: what is empty there is left out
        tail = _joined(part, tail)
    whole = pc.if_else(pc.equal(pc.binary_length(tail), 0), text, _joined(text, tail, always=True))
    rest = {role: column for role, column in columns.items() if role not in roles}
    return {**rest, "text": whole}


def _joined(head: pa.Array, tail: pa.Array, *, always: bool = False) -> pa.Array:
    both = pc.binary_join_element_wise(head, tail, pa.scalar(SEPARATOR, _LARGE))
    return both if always else pc.if_else(pc.equal(pc.binary_length(tail), 0), head, both)


def _fields(column: Any) -> pa.Array:
    """Return the column as bytes; a separator inside a field would forge the next one."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), _LARGE)
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        column = column.cast(pa.large_string())
    return pc.replace_substring(column.cast(_LARGE), SEPARATOR, b" ")
