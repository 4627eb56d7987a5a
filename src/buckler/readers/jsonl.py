"""Reads JSON lines (NDJSON): one object a line; dotted names reach into nested objects."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json as pj

from buckler.errors import InputError
from buckler.normalize import FeatureSchema
from buckler.readers.chunks import choose_columns, make_chunk
from buckler.readers.feature_columns import FEATURE
from buckler.readers.lines import Block, line_blocks, usable_lines
from buckler.readers.objects import Names, columns_of, reach
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader


@READERS.add
class JsonLinesReader(Reader):
    """JSON lines."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz", ".jsonl.zst")

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the objects behind byte `cursor`."""
        chosen: dict[str, str] | None = None
        for block in line_blocks(path, quarantine, cursor):
            if chosen is None:
                if block.first_row == 1 and block.data.lstrip().startswith(b"["):
                    raise InputError(
                        f"{path}: a JSON array, not one object a line; convert it: jq -c '.[]'"
                    )
                chosen = {} if spec.mixed else _choose(path, block, spec)
                if chosen is None:  # not one sound object yet
                    _parse_slowly(path, block, {"text": ("",)}, quarantine)
                    continue
            names = spec.roles if spec.mixed else {r: (n,) for r, n in chosen.items()}
            features = None if "text" in names else spec.features
            if features is not None:
                names = {r: n for r, n in names.items() if not r.startswith(FEATURE)}
            parsed = _parse_fast(block, chosen) if "text" in chosen else None
            columns, rows = parsed or _parse_slowly(
                path, block, names, quarantine, pass_over=spec.mixed, features=features
            )
            yield make_chunk(path, spec, columns, rows, block.cursor, block.size_bytes, quarantine)


def _choose(path: Path, block: Block, spec: ColumnSpec) -> dict[str, str] | None:
    """Look for the names in the first objects; None where no line holds an object."""
    names: dict[str, None] = {}
    for line in block.data.split(b"\n", 1000)[:1000]:
        value = _loads(line)
        if isinstance(value, dict):
            names.update(dict.fromkeys(value))
            features = spec.features.names if spec.features is not None else ()
            candidates = (*spec.text, *features, *(n for c in spec.optional.values() for n in c))
            names.update({n: None for n in candidates if "." in n and reach(value, n) is not None})
    return choose_columns(path, list(names), spec) if names else None


def _parse_fast(
    block: Block, chosen: dict[str, str]
) -> tuple[dict[str, pa.Array], npt.NDArray[np.int64]] | None:
    """Parse with Arrow's reader; None where a line needs the slow path or names are nested."""
    if any("." in name for name in chosen.values()):
        return None
    lines = block.data.count(b"\n") + (not block.data.endswith(b"\n"))
    schema = pa.schema([(name, pa.string()) for name in chosen.values()])
    try:
        table = pj.read_json(
            pa.BufferReader(block.data),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(block.data) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    if table.num_rows != lines:  # blank lines, or several objects on one: row numbers would drift
        return None
    columns = {role: table.column(name).combine_chunks() for role, name in chosen.items()}
    rows = np.arange(block.first_row, block.first_row + lines, dtype=np.int64)
    return columns, rows


def _parse_slowly(
    path: Path,
    block: Block,
    names: Names,
    quarantine: Quarantine,
    *,
    pass_over: bool = False,
    features: FeatureSchema | None = None,
) -> tuple[dict[str, pa.Array], npt.NDArray[np.int64]]:
    """Parse line by line and set aside what is not an object with a text or a feature."""
    lines = zip(*usable_lines(path, block, quarantine), strict=True)
    objects = ((row, _loads(line), line) for line, row in lines)
    return columns_of(path, objects, names, quarantine, pass_over=pass_over, features=features)


def _loads(line: bytes) -> object:
    try:
        found: object = json.loads(line)
        return found
    except (ValueError, RecursionError):
        return None
