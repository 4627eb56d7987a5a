"""Verdicts for the rows of a table, whichever engine holds it: aligned, null where not judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from buckler.bundle.reader import parse_bundle, read_bundle
from buckler.bundle.writer import pack
from buckler.errors import InputError
from buckler.readers.chunks import choose_columns, make_chunk
from buckler.readers.quarantine import Quarantine
from buckler.runtime import Scorer, load
from buckler.serving.fields import Fields, fields_of
from buckler.serving.verdicts import VerdictForm, answer_schema, verdict_columns

PREFIX = "buckler_"
_TABLE = Path("table")
_LOADED: dict[str, Scorer] = {}


class TableJudge:
    """A bundle that judges tables. It can be sent to other processes; each loads it once.

    Parameters
    ----------
    bundle
        The file. It is verified here; its content travels, so workers need no such file.
    column
        Name of the text column; by default the usual names of the bundle's task.
    target_fpr, probabilities
        As in `buckler scan`.
    prefix
        Before the names of the columns that are added.
    trusted_key
        A public key: the bundle must be signed by its owner.

    Raises
    ------
    BucklerError
        If the bundle cannot be used, or has no threshold for this rate.
    """

    def __init__(
        self,
        bundle: str | Path,
        column: str | None = None,
        *,
        target_fpr: float | None = None,
        probabilities: bool = False,
        prefix: str = PREFIX,
        trusted_key: str | Path | None = None,
    ) -> None:
        scorer = load(bundle, trusted_key=trusted_key)
        scorer.threshold(target_fpr)
        self._digest = scorer.sha256
        self._data = pack(read_bundle(bundle).entries)
        _LOADED[self._digest] = scorer
        self._fields = fields_of(scorer, (column,) if column is not None else ())
        self._form = VerdictForm(target_fpr, False, probabilities)
        self.prefix = prefix

    @property
    def scorer(self) -> Scorer:
        """The bundle at work in this process."""
        if self._digest not in _LOADED:
            _LOADED[self._digest] = Scorer(parse_bundle(self._data))
        return _LOADED[self._digest]

    @property
    def schema(self) -> pa.Schema:
        """The columns that are added."""
        verdicts = answer_schema(self.scorer, self._form)
        return pa.schema([f.with_name(self.prefix + f.name) for f in verdicts])

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return the table with verdicts behind its columns.

        Raises
        ------
        InputError
            If it lacks a text column, or has a column of an added name.
        """
        taken = [name for name in self.schema.names if name in table.column_names]
        if taken:
            raise InputError(f"the table has a column {taken[0]!r} already; give another prefix")
        for field, column in zip(self.schema, self.columns(table).values(), strict=True):
            table = table.append_column(field, column)
        return table

    def columns(self, table: pa.Table) -> dict[str, pa.ChunkedArray]:
        """Return the verdicts alone, by name with prefix."""
        parts = [self._judged(batch) for batch in table.to_batches()]
        return {
            field.name: pa.chunked_array([part[field.name] for part in parts], field.type)
            for field in self.schema
        }

    def _judged(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        spec = self._fields.column_spec(self.scorer)
        chosen = choose_columns(_TABLE, batch.schema.names, spec)
        found = judge_batch(batch, chosen, self.scorer, self._fields, self._form)
        return {self.prefix + name: column for name, column in found.items()}


@dataclass(frozen=True)
class JudgedStream:
    """An IPC stream of verdicts, row by row as the events came, and what to count."""

    body: bytes
    events: int
    detections: int
    errors: int


def read_stream(body: bytes) -> list[pa.RecordBatch]:
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


def judge_stream(
    batches: Sequence[pa.RecordBatch], scorer: Scorer, fields: Fields, form: VerdictForm
) -> JudgedStream:
    """Return the verdicts of record batches of one schema as an IPC stream.

    Raises
    ------
    InputError
        If no column can be the text.
    """
    made = judge_batches(batches, scorer, fields, form)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, made[0].schema) as writer:
        for batch in made:
            writer.write_batch(batch)
    return JudgedStream(
        sink.getvalue().to_pybytes(),
        sum(batch.num_rows for batch in made),
        sum(batch.column("detected").true_count for batch in made),
        sum(batch.column("detected").null_count for batch in made),
    )


def judge_batches(
    batches: Sequence[pa.RecordBatch], scorer: Scorer, fields: Fields, form: VerdictForm
) -> list[pa.RecordBatch]:
    """Return the verdicts of record batches of one schema, batch by batch.

    Raises
    ------
    InputError
        If no column can be the text.
    """
    chosen = choose_columns(_TABLE, batches[0].schema.names, fields.column_spec(scorer))
    return [
        pa.RecordBatch.from_pydict(judge_batch(batch, chosen, scorer, fields, form))
        for batch in batches
    ]


def judge_batch(
    batch: pa.RecordBatch,
    chosen: dict[str, str],
    scorer: Scorer,
    fields: Fields,
    form: VerdictForm,
) -> dict[str, pa.Array]:
    """Return verdicts by name for every row of a batch; null where a row could not be judged.

    `chosen` says which column has which role; see `choose_columns`.
    """
    spec = fields.column_spec(scorer)
    held = {role: batch.column(name) for role, name in chosen.items()}
    rows = np.arange(batch.num_rows, dtype=np.int64)
    chunk = make_chunk(_TABLE, spec, held, rows, 0, 0, Quarantine())
    verdicts = verdict_columns(scorer, chunk.text, form)
    if len(chunk.rows) < batch.num_rows:
        place = np.full(batch.num_rows, -1, np.int64)
        place[chunk.rows] = np.arange(len(chunk.rows))
        order = pa.array(place, mask=place < 0)
        verdicts = {name: column.take(order) for name, column in verdicts.items()}
    return {
        name: column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for name, column in verdicts.items()
    }
