"""Arrow IPC streams: record batches of events in, record batches of verdicts out."""

from collections.abc import Sequence

import pyarrow as pa

from buckler.errors import InputError
from buckler.serving.verdicts import VerdictBatch


def read_arrow_stream(body: bytes) -> list[pa.RecordBatch]:
    """Return the record batches of an IPC stream that anybody may have sent.

    Raises
    ------
    InputError
        If it is not sound, or holds no batch.
    """
    try:
        with pa.ipc.open_stream(body) as stream:
            batches = list(stream)
        for batch in batches:
            batch.validate(full=True)  # offsets of whoever sent it
    except (pa.ArrowException, ValueError, OSError, KeyError, TypeError, MemoryError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"not a sound Arrow stream: {reason}") from error
    if not batches:
        raise InputError("an Arrow stream without a record batch")
    return batches


def write_arrow_stream(batches: Sequence[VerdictBatch]) -> bytes:
    """Return verdicts as an IPC stream: a row for each event, null where it could not be scored."""
    sink = pa.BufferOutputStream()
    tables = [batch.to_arrow() for batch in batches]
    with pa.ipc.new_stream(sink, tables[0].schema) as writer:
        for table in tables:
            writer.write_batch(table)
    return bytes(sink.getvalue().to_pybytes())
