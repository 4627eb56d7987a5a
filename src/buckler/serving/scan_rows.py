"""Rows of a scan's output: columns of a table, or lines with a record each."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from buckler.errors import SettingsError
from buckler.files import path_text
from buckler.normalize import FeatureSchema, FeatureTable
from buckler.readers.batches import Batch
from buckler.readers.chunks import is_utf8, to_json
from buckler.runtime import Scorer
from buckler.serving.formats import VERDICT_FORMATS
from buckler.serving.formats.ecs import bulk_action
from buckler.serving.records import kept_columns, to_records
from buckler.serving.sinks import JSON_TEXT
from buckler.serving.verdict_batch import OutputOptions, VerdictBatch, score_events

_SEPARATOR, _BAR = "\x1f", " | "  # between the fields of a text, as people read them
_NAMES = pa.dictionary(pa.int32(), pa.string())
_PLACE = [pa.field("path", _NAMES), pa.field("row", pa.int64())]
_PLACE_AT = 3  # behind label, score and detected


class ScoredBatch(NamedTuple):
    """A batch of rows with its verdicts, and those of challengers on what could be scored."""

    batch: Batch
    verdicts: VerdictBatch
    challengers: Sequence[VerdictBatch] = ()


class OutputRows(ABC):
    """Form of a scan's output.

    Attributes
    ----------
    schema
        Columns of the output.
    """

    schema: pa.Schema

    @abstractmethod
    def rows(self, scored: ScoredBatch) -> pa.RecordBatch:
        """Return the rows of a batch."""


class TableRows(OutputRows):
    """Columns: text, verdict, place, kept fields, explanation, and those of challengers."""

    def __init__(self, scorer: Scorer, options: OutputOptions, n_challengers: int = 0) -> None:
        self._scorer, self._options = scorer, options
        empty = score_events(pa.array([], pa.large_binary()), scorer, options)
        fields = list(empty.columns.schema)
        fields[_PLACE_AT:_PLACE_AT] = _PLACE
        if options.with_text:
            fields.insert(0, pa.field("text", pa.large_string()))
        if options.explain:
            fields.append(pa.field("because", pa.string()))
            fields.append(pa.field("why", pa.string(), metadata=JSON_TEXT))
        self._taken = {field.name for field in fields}
        kept = kept_columns(empty, options, self._taken)
        fields += [pa.field(name, pa.large_string()) for name in kept]
        for number in range(1, n_challengers + 1):
            fields.append(pa.field(f"challenger_{number}_score", pa.float32()))
            fields.append(pa.field(f"challenger_{number}_detected", pa.bool_()))
        self.schema = pa.schema(fields)

    def rows(self, scored: ScoredBatch) -> pa.RecordBatch:
        """Return the columns of a batch."""
        batch, found = scored.batch, scored.verdicts
        columns = list(found.columns.columns)
        columns[_PLACE_AT:_PLACE_AT] = [
            pa.DictionaryArray.from_arrays(
                pa.array(batch.path_codes[found.rows]),
                pa.array([path_text(path) for path in batch.paths]),
            ),
            pa.array(batch.chunk.rows[found.rows]),
        ]
        if self._options.with_text:
            columns.insert(0, readable_column(found.events, self._scorer.features))
        if self._options.explain:
            columns += self._explanations(found)
        columns += kept_columns(found, self._options, self._taken).values()
        for other in scored.challengers:
            columns += [other.align("score"), other.align("detected")]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _explanations(self, found: VerdictBatch) -> list[pa.Array]:
        options = OutputOptions(explain=self._options.explain)
        records = to_records(found, self._scorer, options, rows=found.rows.tolist())
        because = [record.get("because") for record in records]
        why = [json.dumps(record.get("why")) for record in records]
        return [pa.array(because, pa.string()), pa.array(why, pa.string())]


class RecordLines(OutputRows):
    """Lines: one record in a verdict format each, for a SIEM.

    Raises
    ------
    SettingsError
        If there is no such format, or challengers are asked for: a record has no place for them.
    """

    schema = pa.schema([pa.field("line", pa.large_binary())])

    def __init__(
        self, scorer: Scorer, options: OutputOptions, index: str = "", n_challengers: int = 0
    ) -> None:
        VERDICT_FORMATS.get(options.format_name or "")
        if n_challengers:
            raise SettingsError("records have no place for challengers", field="challengers")
        self._scorer, self._options, self._index = scorer, options, index

    def rows(self, scored: ScoredBatch) -> pa.RecordBatch:
        """Return the lines of a batch."""
        batch, found = scored.batch, scored.verdicts
        sources = [
            f"{path_text(batch.paths[code])}:{row}"
            for code, row in zip(batch.path_codes, batch.chunk.rows, strict=True)
        ]
        records = to_records(
            found, self._scorer, self._options, rows=found.rows.tolist(), sources=sources
        )
        lines = []
        for record in records:
            line = to_json(record) + "\n"
            if self._index and "error" not in record:
                line = to_json(bulk_action(record, self._index)) + "\n" + line
            lines.append(line.encode())
        return pa.RecordBatch.from_arrays([pa.array(lines, pa.large_binary())], schema=self.schema)


def readable_column(text: pa.Array, features: FeatureSchema | None) -> pa.Array:
    """Return events as strings; bytes of mail that are not UTF-8 are replaced."""
    if features is not None:
        rows = FeatureTable.from_arrow(features, text).texts
        return pa.array(["; ".join(features.describe(row)) for row in rows], pa.large_string())
    if is_utf8(text):
        return pc.replace_substring(text.view(pa.large_string()), _SEPARATOR, _BAR)
    return pa.array([t.decode("utf-8", "replace") for t in text.to_pylist()], pa.large_string())
