"""What a request says and what it is answered: JSON, NDJSON and Arrow IPC."""

from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from buckler.errors import InputError
from buckler.serving.records import Wish, judge_values, loads
from buckler.serving.served import Served
from buckler.serving.tables import judge_stream, read_stream

JSON, NDJSON, ARROW = (
    "application/json",
    "application/x-ndjson",
    "application/vnd.apache.arrow.stream",
)
MEDIA = (JSON, NDJSON, ARROW)


class BadRequestError(InputError):
    """A request that makes no sense; its text is for whoever sent it."""


class TooManyEventsError(BadRequestError):
    """More events than a request may hold."""


@dataclass(frozen=True)
class Answer:
    """A body, and what to count."""

    body: bytes
    media: str
    events: int
    detections: int
    errors: int


@dataclass(frozen=True)
class Body:
    """A body that has been read, and is not judged yet.

    Attributes
    ----------
    media
        One of `MEDIA`.
    values
        Strings and objects, of JSON and NDJSON.
    batches
        Record batches, of Arrow.
    single
        Whether it was one event alone, which is answered by one verdict.
    """

    media: str
    values: list[Any] = field(default_factory=list)
    batches: list[pa.RecordBatch] = field(default_factory=list)
    single: bool = False

    def __len__(self) -> int:
        return len(self.values) or sum(batch.num_rows for batch in self.batches)


def read_body(body: bytes, media: str, max_batch: int) -> Body:
    """Read a body.

    Raises
    ------
    BadRequestError
        If the body as a whole makes no sense, or holds no event, or too many.
    """
    if media == ARROW:
        try:
            found = Body(media, batches=read_stream(body))
        except InputError as error:
            raise BadRequestError(str(error)) from error
    elif media == NDJSON:
        found = Body(media, [loads(line) for line in body.split(b"\n") if line.strip()])
    else:
        values, single = _json_events(body)
        found = Body(media, values, single=single)
    if not len(found):
        raise BadRequestError("no event in the body")
    if len(found) > max_batch:
        raise TooManyEventsError(f"{len(found):,} events; at most {max_batch:,} are taken at once")
    return found


def judge(body: Body, served: Served, wish: Wish) -> Answer:
    """Judge the events of a body; every event gets an answer, in the order in which they came.

    Raises
    ------
    BadRequestError
        If an Arrow stream has no column that can be the text.
    """
    if body.media == ARROW:
        try:
            found = judge_stream(body.batches, served.scorer, served.fields, wish.form)
        except InputError as error:
            raise BadRequestError(str(error)) from error
        return Answer(found.body, ARROW, found.events, found.detections, found.errors)
    made = judge_values(body.values, served.scorer, served.fields, wish)
    records = made.records
    if body.media == NDJSON:
        written = b"\n".join(orjson.dumps(record) for record in records) + b"\n"
    elif body.single:
        written = orjson.dumps(records[0])
    else:
        written = orjson.dumps({"bundle": served.name, "verdicts": records})
    return Answer(written, body.media, len(body), made.detections, len(made.errors))


# --- JSON ---------------------------------------------------------------------------------------


def _json_events(body: bytes) -> tuple[list[Any], bool]:
    """Return the events of a JSON body, and whether it was one alone."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is no JSON: {error}") from error
    if isinstance(document, list):
        return document, False
    if not isinstance(document, dict):
        raise BadRequestError("the body is neither an object nor an array")
    for name in ("texts", "events"):
        if name in document:
            if not isinstance(document[name], list):
                raise BadRequestError(f"{name} is no array")
            return document[name], False
    if "event" in document and isinstance(document["event"], (dict, str)):
        return [document["event"]], True
    return [document], True
