"""Verdicts of events in any form: texts and objects (JSON, messages), or record batches.

A `LoadedBundle` and `OutputOptions` go in with the events; a `VerdictBatch` comes out. Scans, HTTP,
streams and engines all score here. No event is lost: one that cannot be scored has an error.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.isolation import EventFault, attempt, isolate
from buckler.normalize.feature_table import events_as_bytes
from buckler.readers.chunks import choose_columns, make_chunk
from buckler.readers.feature_columns import is_row
from buckler.readers.objects import columns_of
from buckler.readers.quarantine import Quarantine, Reason
from buckler.readers.reader import ColumnSpec
from buckler.runtime import Scorer
from buckler.serving.arrow_stream import read_arrow_stream
from buckler.serving.bundles import LoadedBundle
from buckler.serving.formats import VERDICT_FORMATS, Record, ScoredEvent

NOT_JSON: Final = object()  # stands for a line that is not JSON
_EVENT, _TABLE = Path("event"), Path("table")


@dataclass(frozen=True)
class OutputOptions:
    """Content of verdicts.

    Attributes
    ----------
    target_fpr
        False-positive rate whose threshold decides; None for the deployed threshold.
    with_text, with_probabilities
        True to put beside the verdict the text of the event, and the probability of each class.
    threads
        Number of threads for scoring.
    format_name
        Name of a verdict format (see `buckler.serving.formats`); None for the verdict alone.
    explain
        Number of pieces to name that count most for or against the label.
    """

    target_fpr: float | None = None
    with_text: bool = False
    with_probabilities: bool = False
    threads: int = 1
    format_name: str | None = None
    explain: int = 0


@dataclass(frozen=True)
class VerdictBatch:
    """Verdicts of a batch of events.

    Attributes
    ----------
    columns, rows, events
        For each event that could be scored: its verdict; its position among all events, from 0
        (intp); its text (large_binary), or row of features.
    size, errors
        Number of all events; position -> reason why the event cannot be scored.
    """

    columns: pa.RecordBatch
    rows: npt.NDArray[np.intp]
    events: pa.Array
    size: int
    errors: dict[int, str] = field(default_factory=dict)

    @property
    def detections(self) -> int:
        """Number of detections."""
        return int(self.columns["detected"].true_count)

    @property
    def detected(self) -> list[bool | None]:
        """For each event, True for a detection; None where it could not be scored."""
        return cast(list[bool | None], self.align("detected").to_pylist())

    def place_at(
        self, rows: npt.NDArray[np.intp], size: int, errors: dict[int, str]
    ) -> "VerdictBatch":
        """Return the batch as a part of `size` events: its own stand at these positions."""
        own = {int(rows[at]): reason for at, reason in self.errors.items()}
        return VerdictBatch(self.columns, rows[self.rows], self.events, size, errors | own)

    @property
    def passed_over(self) -> frozenset[int]:
        """Positions of events that are of another kind: without a text, yet not at fault."""
        if self.size == len(self.rows) + len(self.errors):
            return frozenset()
        return frozenset(range(self.size)) - set(self.rows.tolist()) - self.errors.keys()

    def align(self, name: str) -> pa.Array:
        """Return a column with one value for each event; null where it could not be scored."""
        column = self.columns[name]
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if len(self.rows) == self.size:
            return column
        place = np.full(self.size, -1, np.int64)
        place[self.rows] = np.arange(len(self.rows))
        return column.take(pa.array(place, mask=place < 0))

    def to_arrow(self) -> pa.RecordBatch:
        """Return one row for each event; where it could not be scored, only `error` is not null."""
        columns = {name: self.align(name) for name in self.columns.schema.names}
        errors = pa.array([self.errors.get(row) for row in range(self.size)], pa.string())
        return pa.RecordBatch.from_pydict({**columns, "error": errors})

    def to_records(
        self, scorer: Scorer, options: OutputOptions, sources: Sequence[str] | None = None
    ) -> list[Record]:
        """Return a record for each event, in order: a verdict in the chosen format, or an error.

        Formats that name the origin of an event find it in `sources`.
        """
        write = None if options.format_name is None else VERDICT_FORMATS.get(options.format_name)
        texts: list[bytes] = []
        if options.explain or options.with_text:
            texts = events_as_bytes(self.events, scorer.features)
        names, now_s = self.columns.schema.names, time.time()
        rows = list(zip(*(column.to_pylist() for column in self.columns.columns), strict=True))

        def record_of(at: int) -> Record:
            verdict: Record = dict(zip(names, rows[at], strict=True))
            if options.explain:
                label = cast(str, verdict["label"])
                pieces = scorer.explain(texts[at], label=label, top=options.explain)
                verdict["why"] = [vars(piece) for piece in pieces]
            if write is None:
                return verdict
            text = texts[at].decode("utf-8", "replace") if options.with_text else None
            origin = "" if sources is None else sources[self.rows[at]]
            return write(ScoredEvent(verdict, now_s, text, origin), scorer)

        records: list[Record] = [
            {"error": self.errors.get(row, "not an event of this kind")} for row in range(self.size)
        ]
        for at, row in enumerate(self.rows.tolist()):
            record = attempt(record_of, at)
            records[row] = {"error": record.reason} if isinstance(record, EventFault) else record
        return records


# --- scoring --------------------------------------------------------------------------------------


def score_values(
    values: Sequence[object],
    bundle: LoadedBundle,
    options: OutputOptions,
    *,
    pass_over: bool = False,
) -> VerdictBatch:
    """Score events that are Python values: strings, objects with the fields that files have.

    `NOT_JSON` stands for a value that could not be parsed. With `pass_over`, objects without a text
    are events of another kind, not errors.
    """
    not_json = {row for row, value in enumerate(values) if value is NOT_JSON}
    if not_json:
        values = [{} if row in not_json else value for row, value in enumerate(values)]
    texts, rows, errors = read_values(values, bundle.columns, pass_over=pass_over)
    if not_json:
        errors |= dict.fromkeys(sorted(not_json), "no JSON")
    return score_events(texts, bundle.scorer, options).place_at(rows, len(values), errors)


def score_record_batches(
    batches: Sequence[pa.RecordBatch], bundle: LoadedBundle, options: OutputOptions
) -> list[VerdictBatch]:
    """Score the rows of record batches of one schema, in which a column must be the text."""
    chosen = choose_columns(_TABLE, batches[0].schema.names, bundle.columns) if batches else {}
    return [
        score_columns({role: batch[name] for role, name in chosen.items()}, bundle, options)
        for batch in batches
    ]


def score_columns(
    columns: dict[str, pa.Array], bundle: LoadedBundle, options: OutputOptions
) -> VerdictBatch:
    """Score the rows of columns by role, such as ``text``."""
    size = len(next(iter(columns.values())))
    reasons = _RowReasons()
    rows = np.arange(size, dtype=np.int64)
    chunk = make_chunk(_TABLE, bundle.columns, columns, rows, 0, 0, reasons)
    found = score_events(chunk.events, bundle.scorer, options)
    return found.place_at(chunk.rows.astype(np.intp), size, reasons.by_row)


def score_events(events: pa.Array, scorer: Scorer, options: OutputOptions) -> VerdictBatch:
    """Score a column of events without nulls."""

    def score(start: int, stop: int) -> pa.RecordBatch:
        verdicts = scorer.score(
            events.slice(start, stop - start),
            target_fpr=options.target_fpr,
            threads=options.threads,
        )
        return verdicts.to_arrow(with_probabilities=options.with_probabilities)

    parts, faults = isolate(score, len(events))
    rows = np.delete(np.arange(len(events), dtype=np.intp), list(faults))
    if len(parts) > 1:
        parts = pa.Table.from_batches(parts).combine_chunks().to_batches()
    scored = events.take(pa.array(rows)) if faults else events
    return VerdictBatch(parts[0], rows, scored, len(events), faults)


def verdict_schema(scorer: Scorer, options: OutputOptions) -> pa.Schema:
    """Return the columns of `VerdictBatch.to_arrow`."""
    return score_events(pa.array([], pa.large_binary()), scorer, options).to_arrow().schema


# --- Arrow streams ------------------------------------------------------------------------------


def score_arrow_stream(
    body: bytes, bundle: LoadedBundle, options: OutputOptions
) -> list[VerdictBatch]:
    """Score the record batches of an IPC stream."""
    return score_record_batches(read_arrow_stream(body), bundle, options)


def write_arrow_stream(batches: Sequence[VerdictBatch]) -> bytes:
    """Return verdicts as an IPC stream: a row for each event, null where it could not be scored."""
    sink = pa.BufferOutputStream()
    answers = [batch.to_arrow() for batch in batches]
    with pa.ipc.new_stream(sink, answers[0].schema) as writer:
        for answer in answers:
            writer.write_batch(answer)
    return bytes(sink.getvalue().to_pybytes())


# --- reading --------------------------------------------------------------------------------------


class _RowReasons(Quarantine):
    """Keeps the reason of each row in memory, by position from 0."""

    def __init__(self, first_row: int = 0, *, pass_over: bool = False) -> None:
        super().__init__()
        self.by_row: dict[int, str] = {}
        self._first_row, self._pass_over = first_row, pass_over

    def add(self, source: Path, row: int, reason: str, sample: str | bytes = b"") -> None:  # noqa: ARG002
        if not (self._pass_over and reason is Reason.NO_TEXT):
            self.by_row[row - self._first_row] = reason


def parse_json_lines(lines: Sequence[bytes]) -> list[object]:
    """Return the JSON value of each line; `NOT_JSON` for what is none."""
    values: list[object] = []
    for line in lines:
        try:
            values.append(parse_json(line))
        except ValueError:
            values.append(NOT_JSON)
    return values


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
            found: object = json.loads(text, parse_int=float)
            return found
        except (ValueError, RecursionError):
            raise error from None


def read_values(
    values: Sequence[object], columns: ColumnSpec, *, pass_over: bool = False
) -> tuple[pa.Array, npt.NDArray[np.intp], dict[int, str]]:
    """Return the texts of values, the position of each text, and the reasons by position.

    With `pass_over`, an object without a text has neither a text nor a reason.
    """
    reasons = _RowReasons(first_row=1, pass_over=pass_over)
    features = columns.features
    if features is None and all(type(value) is str for value in values):
        texts = [cast(str, value).encode("utf-8", "surrogatepass") for value in values]
        held = {"text": pa.array(texts, pa.large_binary())}
        rows = np.arange(1, len(values) + 1, dtype=np.int64)
    else:
        to_object = partial(_as_object if features is None else _as_row, columns)
        objects = ((row, attempt(to_object, value), b"") for row, value in enumerate(values, 1))
        held, rows = columns_of(_EVENT, objects, columns.roles, reasons, features=features)
    chunk = make_chunk(_EVENT, columns, held, rows, 0, 0, reasons)
    return chunk.events, (chunk.rows - 1).astype(np.intp), reasons.by_row


def _as_object(columns: ColumnSpec, value: object) -> object:
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
