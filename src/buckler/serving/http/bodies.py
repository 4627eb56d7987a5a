"""Bodies of requests and answers: JSON, NDJSON and Arrow IPC."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
import pyarrow as pa

from buckler.errors import InputError
from buckler.serving.arrow_stream import read_arrow_stream
from buckler.serving.bundles import LoadedBundle
from buckler.serving.event_values import JsonArray, JsonTexts, Values, parse_json
from buckler.serving.records import write_records
from buckler.serving.verdict_batch import (
    OutputOptions,
    VerdictBatch,
    score_record_batches,
    score_values,
    write_arrow_stream,
)

JSON, NDJSON, ARROW = (
    "application/json",
    "application/x-ndjson",
    "application/vnd.apache.arrow.stream",
)
MEDIA = (JSON, NDJSON, ARROW)


class TooManyEventsError(InputError):
    """More events than a request may hold."""


@dataclass(frozen=True)
class Body:
    """Events of a request: values of JSON and NDJSON, or record batches of Arrow.

    One event alone is `single`: it is answered by one verdict.
    """

    media: str
    values: Values = field(default_factory=list)
    batches: list[pa.RecordBatch] = field(default_factory=list)
    single: bool = False

    def __len__(self) -> int:
        return len(self.values) or sum(batch.num_rows for batch in self.batches)


def read_body(body: bytes, media: str, max_batch: int) -> Body:
    """Read a body; `InputError` if it makes no sense as a whole, or holds no event or too many."""
    if media == ARROW:
        found = Body(media, batches=read_arrow_stream(body))
    elif media == NDJSON:
        found = Body(media, JsonTexts([li for li in body.split(b"\n") if li.strip()]))
    else:
        found = _read_json(body)
    if not len(found):
        raise InputError("no event in the body")
    if len(found) > max_batch:
        raise TooManyEventsError(f"{len(found):,} events; at most {max_batch:,} are taken at once")
    return found


def score_body(body: Body, bundle: LoadedBundle, options: OutputOptions) -> list[VerdictBatch]:
    """Score the events of a body; `InputError` if no column of Arrow can be the text."""
    if body.media == ARROW:
        return score_record_batches(body.batches, bundle, options)
    return [score_values(body.values, bundle, options)]


def write_answer(
    body: Body, verdicts: Sequence[VerdictBatch], bundle: LoadedBundle, options: OutputOptions
) -> bytes:
    """Return the answer to a body: every event has its verdict or error, in order."""
    if body.media == ARROW:
        return write_arrow_stream(verdicts)
    (batch,) = verdicts
    records = write_records(batch, bundle.scorer, options)
    if body.media == NDJSON:
        return b"\n".join(records) + b"\n"
    if body.single:
        return records[0]
    return b'{"bundle":%b,"verdicts":[%b]}' % (orjson.dumps(bundle.name), b",".join(records))


def _read_json(body: bytes) -> Body:
    try:
        document, is_strict = _parse(body)
    except ValueError as error:
        raise InputError(f"the body is no JSON: {error}") from error
    if isinstance(document, dict):
        for name in ("texts", "events"):
            if name in document:
                document = document[name]
                if not isinstance(document, list):
                    raise InputError(f"{name} is no array")
                break
    if isinstance(document, list):
        has_objects = any(isinstance(value, dict) for value in document)
        return Body(JSON, JsonArray(document) if is_strict and has_objects else document)
    if not isinstance(document, dict):
        raise InputError("the body is neither an object nor an array")
    event = document.get("event")
    return Body(JSON, [event if isinstance(event, (dict, str)) else document], single=True)


def _parse(body: bytes) -> tuple[object, bool]:
    """Return a JSON value, and True if it holds nothing but what strict JSON may hold."""
    try:
        return orjson.loads(body), True
    except orjson.JSONDecodeError:
        return parse_json(body), False
