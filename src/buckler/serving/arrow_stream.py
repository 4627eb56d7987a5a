"""Arrow IPC streams of senders whom nobody knows: bounded before anything is unpacked."""

import struct
from collections.abc import Iterator

import pyarrow as pa

from buckler.errors import InputError, TooLargeError
from buckler.readers.chunks import is_view, read_views

MAX_UNPACKED_BYTES = 1 << 28
# Places of fields in the tables of Arrow's Message.fbs.
_HEADER_TYPE, _HEADER, _BATCH_BUFFERS, _DICTIONARY_BATCH = 1, 2, 2, 1
_IS_DICTIONARY, _IS_BATCH = 2, 3


def read_arrow_stream(body: bytes) -> list[pa.RecordBatch]:
    """Return the record batches of an IPC stream.

    Raises
    ------
    TooLargeError
        If its buffers unpack to more than 256 MiB.
    InputError
        If it is unsound or has no batch.
    """
    try:
        size_bytes = sum(_unpacked_sizes(body))
        if size_bytes > MAX_UNPACKED_BYTES:
            raise TooLargeError(
                f"the Arrow stream unpacks to {size_bytes:,} bytes; at most "
                f"{MAX_UNPACKED_BYTES:,} are taken"
            )
        with pa.ipc.open_stream(body) as stream:
            batches = list(stream)
        for batch in batches:
            batch.validate(full=True)  # the sender's offsets
            _check_lengths(batch)
        batches = [_without_nested_views(batch) for batch in batches]
    except (pa.ArrowException, ValueError, OSError, KeyError, TypeError, MemoryError,
            OverflowError, struct.error) as error:  # fmt: skip
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"not a sound Arrow stream: {reason}") from error
    if not batches:
        raise InputError("an Arrow stream without a record batch")
    return batches


def _check_lengths(batch: pa.RecordBatch) -> None:
    """Refuse a negative length, which no writer leaves behind, of a null either."""
    for column in batch.columns:
        values = column.dictionary if pa.types.is_dictionary(column.type) else column
        if is_view(values.type) and len(values) and read_views(values)[:, 0].min() < 0:
            raise ValueError("a text of negative length")


def _without_nested_views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Leave out columns with views inside lists or structs.

    No check looks at the view of a null, which may point anywhere. Readers mend columns of views
    before they look at them, and nothing needs the others.
    """
    names = [field.name for field in batch.schema if not _has_view(field.type)]
    return batch if len(names) == batch.num_columns else batch.select(names)


def _has_view(kind: pa.DataType) -> bool:
    inner = [kind.field(i).type for i in range(kind.num_fields)]
    if isinstance(kind, pa.BaseExtensionType):
        inner.append(kind.storage_type)
    if pa.types.is_run_end_encoded(kind):
        inner.append(kind.value_type)
    return any(is_view(each) or _has_view(each) for each in inner)


def _unpacked_sizes(body: bytes) -> Iterator[int]:
    """Yield the size of each buffer, which begins with it where the buffer is compressed."""
    for message in pa.ipc.MessageReader.open_stream(body):
        data = bytes(message.metadata)
        root = struct.unpack_from("<I", data)[0]
        kind_at, header_at = _field(data, root, _HEADER_TYPE), _field(data, root, _HEADER)
        kind = data[kind_at] if kind_at else 0
        if not header_at or message.body is None or kind not in (_IS_DICTIONARY, _IS_BATCH):
            continue
        batch = _follow(data, header_at)
        if kind == _IS_DICTIONARY:
            batch = _follow(data, _field(data, batch, _DICTIONARY_BATCH))
        buffers_at = _field(data, batch, _BATCH_BUFFERS)
        if not buffers_at or not _field(data, batch, 3):  # not compressed
            yield message.body.size
            continue
        start = _follow(data, buffers_at)
        (count,) = struct.unpack_from("<I", data, start)
        for index in range(count):
            offset, length = struct.unpack_from("<qq", data, start + 4 + 16 * index)
            if length >= 8:
                (size,) = struct.unpack("<q", bytes(message.body[offset : offset + 8]))
                yield length if size < 0 else size


def _follow(data: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """Return where a field of a flatbuffer's table stands; 0 where it is not there."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0 or 4 + 2 * number >= struct.unpack_from("<H", data, vtable)[0]:
        return 0
    (offset,) = struct.unpack_from("<H", data, vtable + 4 + 2 * number)
    return table + offset if offset else 0
