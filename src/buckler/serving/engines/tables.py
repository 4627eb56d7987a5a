"""Verdicts for the rows of a table, whichever engine holds it."""

from pathlib import Path

import pyarrow as pa

from buckler.bundle.archive import parse_bundle
from buckler.bundle.writer import pack
from buckler.errors import InputError
from buckler.operating_point import OperatingPoint
from buckler.readers.chunks import choose_columns, columns_by_role
from buckler.runtime import Scorer
from buckler.runtime.scorer import load_with_content
from buckler.serving.bundles import LoadedBundle, columns_of_bundle
from buckler.serving.verdict_batch import OutputOptions, score_columns, verdict_schema

PREFIX = "buckler_"
_TABLE = Path("table")
_LOADED: dict[str, Scorer] = {}


class TableScorer:
    """A bundle that scores tables. It can be sent to other processes; each loads it once.

    Parameters
    ----------
    bundle
        A .buckler file. It is verified here; its content travels, so workers need no such file.
    column, prefix
        Name of the text column (by default the usual names of the bundle's task), and beginning of
        the names of the added columns.
    operating_point
        Wish that decides the threshold; None for the deployed one.
    probabilities
        True for a column with the probability of each class. They make pseudo-labels: filter by the
        largest.
    trusted_key
        A public key: the bundle must be signed by its owner.

    Raises
    ------
    BucklerError
        If the bundle cannot be used, or its held-out events are too few for the wish.

    Examples
    --------
    Any framework that runs Python on Arrow tables can use it::

        scorer = TableScorer("url.buckler", "url", operating_point=OperatingPoint(fpr=0.001))
        table = scorer(table)
    """

    def __init__(
        self,
        bundle: str | Path,
        column: str | None = None,
        *,
        operating_point: OperatingPoint | None = None,
        probabilities: bool = False,
        prefix: str = PREFIX,
        trusted_key: str | Path | None = None,
    ) -> None:
        scorer, content = load_with_content(bundle, trusted_key=trusted_key)
        self._digest, self._point = scorer.sha256, operating_point
        self._data = pack(content.entries)
        _LOADED[self._digest] = scorer
        scorer = scorer.with_operating_point(operating_point)
        self._columns = columns_of_bundle(scorer, () if column is None else (column,))
        self._options = OutputOptions(with_probabilities=probabilities)
        self._verdicts = verdict_schema(scorer, self._options)
        self.prefix = prefix

    @property
    def scorer(self) -> Scorer:
        """The bundle at work in this process."""
        if self._digest not in _LOADED:
            _LOADED[self._digest] = Scorer(parse_bundle(self._data))
        return _LOADED[self._digest].with_operating_point(self._point)

    @property
    def schema(self) -> pa.Schema:
        """Columns that are added."""
        return pa.schema([field.with_name(self.prefix + field.name) for field in self._verdicts])

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return the table with verdicts behind its columns; null where a row cannot be scored.

        Raises
        ------
        InputError
            If it lacks a text column, or has a column of an added name.
        """
        schema = self.schema
        taken = [name for name in schema.names if name in table.column_names]
        if taken:
            raise InputError(f"the table has a column {taken[0]!r} already; give another prefix")
        parts = []
        for batch in table.to_batches():
            chosen = choose_columns(_TABLE, batch.schema.names, self._columns)
            parts.append(self._score(columns_by_role(batch, chosen)))
        for field, column in zip(schema, self._join(parts).columns, strict=True):
            table = table.append_column(field, column)
        return table

    def score_column(self, texts: pa.Array | pa.ChunkedArray) -> pa.Table:
        """Return the verdicts on a column of texts, names without the prefix."""
        chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
        return self._join([self._score({"text": chunk}) for chunk in chunks])

    def _score(self, columns: dict[str, pa.Array]) -> pa.RecordBatch:
        bundle = LoadedBundle(self.scorer, self._columns)
        return score_columns(columns, bundle, self._options).to_arrow()

    def _join(self, parts: list[pa.RecordBatch]) -> pa.Table:
        return pa.Table.from_batches(parts, self._verdicts)


def as_table_scorer(bundle: str | Path | TableScorer, column: str | None = None) -> TableScorer:
    """Return the scorer of a bundle; one that is a scorer already stays as it is."""
    return bundle if isinstance(bundle, TableScorer) else TableScorer(bundle, column)
