"""Verdicts as columns: what a bundle says of each event, in one place for all that writes it."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from buckler.normalize import FeatureSchema
from buckler.readers.batches import Batch
from buckler.readers.chunks import is_utf8
from buckler.runtime import Scorer

_SEPARATOR, _BAR = "\x1f", " | "  # between the fields of a text, as people read them


@dataclass(frozen=True)
class VerdictForm:
    """What a verdict says.

    Attributes
    ----------
    target_fpr
        Detection at the threshold for this rate; None for the deployed one.
    with_text, with_probabilities
        Whether it holds the text, and a column for each class.
    threads
        For scoring.
    """

    target_fpr: float | None = None
    with_text: bool = True
    with_probabilities: bool = False
    threads: int = 1


def verdict_batch(scorer: Scorer, batch: Batch, form: VerdictForm) -> pa.RecordBatch:
    """Score rows that readers gave; return a verdict for each, as `verdict_schema` says."""
    chunk = batch.chunk
    columns = verdict_columns(scorer, chunk.text, form)
    columns["path"] = pa.DictionaryArray.from_arrays(
        pa.array(batch.path_codes), pa.array([str(path) for path in batch.paths])
    )
    columns["row"] = pa.array(chunk.rows)
    if form.with_text:
        columns["text"] = _readable(chunk.text, scorer.features)
    schema = verdict_schema(scorer, form)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def verdict_columns(scorer: Scorer, text: pa.Array, form: VerdictForm) -> dict[str, pa.Array]:
    """Score a column of texts; return the verdict on each row, by column name."""
    verdicts = scorer.score(text, target_fpr=form.target_fpr, threads=form.threads)
    batch = verdicts.to_arrow(with_probabilities=form.with_probabilities)
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _readable(text: pa.Array, features: FeatureSchema | None) -> pa.Array:
    """Texts as strings; bytes that are not UTF-8 (in mail) become replacement characters."""
    if features is not None:
        rows = ["; ".join(features.describe(features.normalize(t))) for t in text.to_pylist()]
        return pa.array(rows, pa.large_string())
    if is_utf8(text):
        return pc.replace_substring(text.view(pa.large_string()), _SEPARATOR, _BAR)
    return pa.array([t.decode("utf-8", "replace") for t in text.to_pylist()], pa.large_string())


def answer_schema(scorer: Scorer, form: VerdictForm) -> pa.Schema:
    """Return the columns of verdicts that stand beside their event: no place, names as strings."""
    return pa.schema(
        [
            (f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type)
            for f in verdict_schema(scorer, form)
            if f.name not in ("path", "row")
        ]
    )


def verdict_schema(scorer: Scorer, form: VerdictForm) -> pa.Schema:
    """Return the columns of a bundle's verdicts."""
    names = pa.dictionary(pa.int32(), pa.string())
    fields = [
        ("label", names),
        ("score", pa.float32()),
        ("detected", pa.bool_()),
        ("path", names),
        ("row", pa.int64()),
    ]
    if form.with_text:
        fields.insert(0, ("text", pa.large_string()))
    if scorer.manifest.model == "cascade":
        fields += [("review", pa.bool_()), ("stage", pa.int8())]
    for name in scorer.auxiliary:
        fields += [(name, names), (f"{name}_probability", pa.float32())]
    if form.with_probabilities:
        fields += [(f"p_{name}", pa.float32()) for name in scorer.classes]
    return pa.schema(fields)
