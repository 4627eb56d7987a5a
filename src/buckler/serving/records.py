"""Records: verdicts as JSON objects, in a format that other tools read, with the event's fields."""

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.isolation import EventFault, attempt
from buckler.normalize.feature_table import events_as_bytes
from buckler.readers.event_fields import FIELD_ROLES, EventFields
from buckler.readers.reader import KEPT, WHOLE
from buckler.runtime import Scorer
from buckler.serving.formats import VERDICT_FORMATS, Record, ScoredEvent, as_readable_text, iso_time
from buckler.serving.json_rows import as_json, write_objects
from buckler.serving.verdict_batch import WITHOUT_FIELDS, OutputOptions, VerdictBatch

_FEW = 40  # records that cost less as objects than as columns


def to_records(
    verdicts: VerdictBatch,
    scorer: Scorer,
    options: OutputOptions,
    *,
    rows: Sequence[int] | None = None,
    sources: Sequence[str] | None = None,
) -> list[Record]:
    """Return a record for each event, in order: a verdict in the chosen format, or an error.

    Parameters
    ----------
    rows
        Positions of the events to answer; None for all.
    sources
        Origin of each event, for formats that name it.
    """
    if options.format_name is not None:
        VERDICT_FORMATS.get(options.format_name)
    wanted = range(verdicts.size) if rows is None else rows
    place = {row: at for at, row in enumerate(verdicts.rows.tolist())}
    scored = [row for row in wanted if row in place]
    own_sources = [sources[row] for row in scored] if sources is not None else [""] * len(scored)
    events = _scored_events(verdicts, [place[row] for row in scored], scorer, options, own_sources)
    found: dict[int, Record] = {}
    write = partial(_record, scorer=scorer, options=options)
    for row, event in zip(scored, events, strict=True):
        record = attempt(write, event)
        found[row] = {"error": record.reason} if isinstance(record, EventFault) else record
    return [found.get(row) or {"error": _reason(verdicts, row)} for row in wanted]


def _reason(verdicts: VerdictBatch, row: int) -> str:
    """Return the reason why an event has no verdict."""
    return verdicts.errors.get(row, "not an event of this kind")


def _scored_events(
    verdicts: VerdictBatch,
    at: Sequence[int],
    scorer: Scorer,
    options: OutputOptions,
    sources: Sequence[str],
) -> Iterator[ScoredEvent]:
    """Yield the events at these places among those that were scored, with their sources."""
    places, now_s = pa.array(at, pa.int64()), time.time()
    columns = verdicts.columns.take(places)
    rows = zip(*(column.to_pylist() for column in columns.columns), strict=True)
    own = {role: column.take(places).to_pylist() for role, column in verdicts.own.items()}
    texts: list[bytes] = []
    if options.explain or options.with_text:
        texts = events_as_bytes(verdicts.events.take(places), scorer.features)
    names = columns.schema.names
    for index, (row, source) in enumerate(zip(rows, sources, strict=True)):
        event = ScoredEvent(
            verdict=dict(zip(names, row, strict=True)),
            time_s=now_s,
            text=texts[index] if texts else None,
            source=source,
        )
        values = {role: column[index] for role, column in own.items()}
        if not values:
            yield event
            continue
        yield event._replace(
            own=EventFields.from_texts({r: v for r, v in values.items() if r in FIELD_ROLES}),
            kept=_fields_to_repeat(values, options.keep),
        )


def _record(event: ScoredEvent, scorer: Scorer, options: OutputOptions) -> Record:
    verdict: Record = dict(event.verdict)
    if options.explain and event.text is not None:
        label = scorer.label_to_explain(event.label, detected=event.detected, text=event.text)
        found = scorer.explain(event.text, label=label, top=options.explain)
        verdict["because"] = found.because
        verdict["coverage"] = round(found.coverage, 4)
        verdict["why"] = [dict(vars(piece)) for piece in found.contributions]
    if options.format_name is None:
        return verdict | ({"fields": dict(event.kept)} if event.kept else {})
    text = event.text if options.with_text else None
    write = VERDICT_FORMATS.get(options.format_name)
    return write(event._replace(verdict=verdict, text=text), scorer)


def _fields_to_repeat(values: Mapping[str, str | None], names: Sequence[str]) -> Record:
    """Return the fields to repeat, by name; those of the whole event, if it is kept."""
    whole = json.loads(values.get(WHOLE) or "null")
    kept: Record = whole if isinstance(whole, dict) else {}
    for name in names:
        if KEPT + name in values:
            kept[name] = json.loads(values[KEPT + name] or "null")
    return kept


# --- as text --------------------------------------------------------------------------------------


def write_records(
    verdicts: VerdictBatch,
    scorer: Scorer,
    options: OutputOptions,
    *,
    rows: Sequence[int] | npt.NDArray[np.intp] | None = None,
    sources: Sequence[str] | None = None,
) -> list[bytes]:
    """Return the records of `to_records` as JSON texts; plain verdicts need no object for each."""
    wanted = np.arange(verdicts.size) if rows is None else np.asarray(rows, np.intp)
    if len(wanted) < _FEW or not _is_plain(options, scorer):
        import orjson  # comes with the extras that answer events from elsewhere

        records = to_records(verdicts, scorer, options, rows=wanted.tolist(), sources=sources)
        return [orjson.dumps(record) for record in records]
    place = np.full(verdicts.size, -1, np.intp)
    place[verdicts.rows] = np.arange(len(verdicts.rows))
    is_scored = place[wanted] >= 0
    scored = wanted[is_scored]
    own_sources = None if sources is None else [sources[row] for row in scored.tolist()]
    texts = iter(_write_plain(verdicts.take(place[scored]), scorer, options, own_sources))
    if is_scored.all():
        return list(texts)
    return [
        next(texts) if found else json.dumps({"error": _reason(verdicts, row)}).encode()
        for row, found in zip(wanted.tolist(), is_scored.tolist(), strict=True)
    ]


def _is_plain(options: OutputOptions, scorer: Scorer) -> bool:
    """Return True where a record says nothing but the verdict and, perhaps, a text."""
    is_asked_for_more = options.explain or options.keep or options.keep_all
    with_rows = options.with_text and scorer.features is not None
    return options.format_name in WITHOUT_FIELDS and not is_asked_for_more and not with_rows


def _write_plain(
    verdicts: VerdictBatch, scorer: Scorer, options: OutputOptions, sources: Sequence[str] | None
) -> list[bytes]:
    """Return what the format ``plain``, or none, says of verdicts, as JSON."""
    members: list[tuple[str, pa.Array | str]] = []
    for name, column in zip(verdicts.columns.schema.names, verdicts.columns.columns, strict=True):
        is_float = column.type == pa.float32()  # its digits are those of a Python float
        members.append((name, as_json(column.cast(pa.float64()) if is_float else column)))
    if options.format_name is not None:
        if options.with_text:
            texts = map(as_readable_text, verdicts.events.to_pylist())
            members.append(("text", as_json(pa.array(texts, pa.large_string()))))
        members.append(("time", json.dumps(iso_time(time.time()))))
        members.append(("bundle", json.dumps(scorer.manifest.name)))
        if sources is not None:
            members.append(("source", as_json(pa.array(sources, pa.string()))))
    found: list[bytes] = write_objects(members).view(pa.large_binary()).to_pylist()
    return found


# --- columns --------------------------------------------------------------------------------------


def kept_columns(
    verdicts: VerdictBatch, options: OutputOptions, taken: Collection[str]
) -> dict[str, pa.Array]:
    """Return the kept fields of what was scored, as columns of text.

    A string is kept as it is, all else as JSON. The whole event is
    named ``event``. Names that are taken get the prefix ``event.``.
    """
    columns = {}
    named = [(KEPT + name, name) for name in options.keep]
    if options.keep_all:
        named.append((WHOLE, "event"))
    for role, name in named:
        kept, size = verdicts.own.get(role), len(verdicts.rows)
        cells = pa.nulls(size, pa.large_string()) if kept is None else _as_cells(kept)
        columns[f"event.{name}" if name in taken else name] = cells
    return columns


def _as_cells(column: pa.Array) -> pa.Array:
    cells = []
    for text in column.to_pylist():
        value = None if text is None or text == "null" else json.loads(text)
        cells.append(value if isinstance(value, str | None) else text)
    return pa.array(cells, pa.large_string())
