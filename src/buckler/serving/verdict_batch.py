"""Verdicts of events in any form: texts and objects (JSON, messages), or record batches.

A `LoadedBundle` and `OutputOptions` go in with the events; a `VerdictBatch` comes out. Scans, HTTP,
streams and engines all score here. No event is lost: one that cannot be scored has an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.isolation import isolate
from buckler.readers.chunks import choose_columns, columns_by_role, make_chunk
from buckler.readers.event_fields import FIELD_ROLES, event_field_names
from buckler.readers.reader import KEPT, WHOLE, ColumnSpec
from buckler.runtime import Scorer
from buckler.serving.arrow_stream import read_arrow_stream
from buckler.serving.bundles import LoadedBundle
from buckler.serving.event_values import RowReasons, Values, read_values

_TABLE = Path("table")
WITHOUT_FIELDS = (None, "plain")  # formats that say nothing of the event but what is asked for


@dataclass(frozen=True)
class OutputOptions:
    """Content of verdicts.

    Attributes
    ----------
    with_text, with_probabilities
        True to put beside the verdict the text of the event, and the probability of each class.
    threads
        Number of threads for scoring.
    format_name
        Name of a verdict format (see `buckler.serving.formats`); None for the verdict alone.
    explain
        Number of pieces to name that count most for or against the label.
    keep, keep_all
        Names of fields of the event to repeat beside the verdict (a dotted name reaches into nested
        objects); True to repeat the whole event.
    """

    with_text: bool = False
    with_probabilities: bool = False
    threads: int = 1
    format_name: str | None = None
    explain: int = 0
    keep: tuple[str, ...] = ()
    keep_all: bool = False

    def columns_to_read(self, columns: ColumnSpec) -> ColumnSpec:
        """Return the columns with the event's own fields, where they are asked for."""
        optional = columns.optional
        if self.format_name not in WITHOUT_FIELDS:
            optional = {**event_field_names(columns.medium), **optional}
        return replace(columns, optional=optional, kept=self.keep, keep_all=self.keep_all)


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
    own
        The event's own fields by role, for each event that could be scored; kept ones are JSON.
    """

    columns: pa.RecordBatch
    rows: npt.NDArray[np.intp]
    events: pa.Array
    size: int
    errors: dict[int, str] = field(default_factory=dict)
    own: dict[str, pa.Array] = field(default_factory=dict)

    @property
    def detections(self) -> int:
        """Number of detections."""
        return int(self.columns["detected"].true_count)

    @property
    def detected(self) -> list[bool | None]:
        """For each event, True for a detection; None where it could not be scored."""
        return cast(list[bool | None], self.align("detected").to_pylist())

    def take(self, at: npt.NDArray[np.intp]) -> "VerdictBatch":
        """Return the batch with some of the events that were scored."""
        places = pa.array(at)
        return replace(
            self,
            columns=self.columns.take(places),
            rows=self.rows[at],
            events=self.events.take(places),
            own={role: column.take(places) for role, column in self.own.items()},
        )

    def place_at(
        self, rows: npt.NDArray[np.intp], size: int, errors: dict[int, str]
    ) -> "VerdictBatch":
        """Return the batch as a part of `size` events: its own stand at these positions."""
        moved = {int(rows[at]): reason for at, reason in self.errors.items()}
        return replace(self, rows=rows[self.rows], size=size, errors=errors | moved)

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
        return self.spread(column)

    def spread(self, column: pa.Array) -> pa.Array:
        """Return a column of what was scored with one value for each event, else null."""
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


# --- scoring --------------------------------------------------------------------------------------


def score_values(
    values: Values,
    bundle: LoadedBundle,
    options: OutputOptions,
    *,
    pass_over: bool = False,
) -> VerdictBatch:
    """Score events that are values: strings, objects with the fields that files have.

    With `pass_over`, objects without a text are events of another kind, not errors.
    """
    columns = options.columns_to_read(bundle.columns)
    chunk, errors = read_values(values, columns, pass_over=pass_over)
    found = score_events(chunk.events, bundle.scorer, options, chunk.columns)
    return found.place_at((chunk.rows - 1).astype(np.intp), len(values), errors)


def score_record_batches(
    batches: Sequence[pa.RecordBatch], bundle: LoadedBundle, options: OutputOptions
) -> list[VerdictBatch]:
    """Score the rows of record batches of one schema, in which a column must be the text."""
    columns = options.columns_to_read(bundle.columns)
    chosen = choose_columns(_TABLE, batches[0].schema.names, columns) if batches else {}
    return [score_columns(columns_by_role(batch, chosen), bundle, options) for batch in batches]


def score_columns(
    columns: dict[str, pa.Array], bundle: LoadedBundle, options: OutputOptions
) -> VerdictBatch:
    """Score the rows of columns by role, such as ``text``."""
    size = len(next(iter(columns.values())))
    reasons = RowReasons()
    rows = np.arange(size, dtype=np.int64)
    spec = options.columns_to_read(bundle.columns)
    chunk = make_chunk(_TABLE, spec, columns, rows, 0, 0, reasons)
    found = score_events(chunk.events, bundle.scorer, options, chunk.columns)
    return found.place_at(chunk.rows.astype(np.intp), size, reasons.by_row)


def score_events(
    events: pa.Array,
    scorer: Scorer,
    options: OutputOptions,
    columns: Mapping[str, pa.Array] | None = None,
) -> VerdictBatch:
    """Score a column of events without nulls; `columns` hold what else a chunk knows of them."""

    def score(start: int, stop: int) -> pa.RecordBatch:
        verdicts = scorer.score(events.slice(start, stop - start), threads=options.threads)
        return verdicts.to_arrow(with_probabilities=options.with_probabilities)

    parts, faults = isolate(score, len(events))
    rows = np.delete(np.arange(len(events), dtype=np.intp), list(faults))
    if len(parts) > 1:
        parts = pa.Table.from_batches(parts).combine_chunks().to_batches()
    own = {role: column for role, column in (columns or {}).items() if _is_own(role)}
    if faults:
        taken = pa.array(rows)
        events, own = events.take(taken), {role: own[role].take(taken) for role in own}
    return VerdictBatch(parts[0], rows, events, len(rows) + len(faults), faults, own)


def _is_own(role: str) -> bool:
    return role in FIELD_ROLES or role == WHOLE or role.startswith(KEPT)


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
