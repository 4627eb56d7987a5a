from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
Buffer = bytes | Array

ABI_VERSION: int

class Ngram:
    def __new__(
        cls,
        normalizer: int,
        max_bytes: int,
        min_order: int,
        max_order: int,
        table_bits: int,
        width: int,
        n_outputs: int,
        scale: float,
        table: Buffer,
        head: Buffer | None,
        bias: Buffer,
        segmenter: int = 0,
        combination: int = 0,
        positive: int = 0,
    ) -> Ngram: ...
    def score_one(self, text: str | bytes, /) -> float | tuple[float, ...]: ...
    def score_list(self, texts: list[str | bytes | None], out: Buffer, /) -> None: ...
    def score_column(
        self,
        schema: object,
        array: object,
        begin: int,
        end: int,
        out: Buffer,
        as_logits: bool = False,
        /,
    ) -> None: ...

class Trees:
    def __new__(
        cls, n_features: int, roots: Buffer, nodes: Buffer, sets: Buffer, bias: Buffer
    ) -> Trees: ...
    def logits(self, rows: Buffer, out: Buffer, /) -> None: ...
    def explain(self, row: Buffer, output: int, out: Buffer, /) -> float: ...

def activate(logits: Array, n_outputs: int, /) -> None: ...
def recalibrate(probabilities: Array, xs: Array, ys: Array, /) -> None: ...
def normalize(kind: int, text: str | bytes, max_bytes: int, /) -> bytes: ...
def normalize_column(
    kind: int, schema: object, array: object, max_bytes: int, rows: Array | None = None, /
) -> tuple[bytes, bytes, bytes]: ...
def ngram_rows(min_order: int, max_order: int, table_bits: int, normalized: bytes, /) -> bytes: ...
def feature_rows(table_bits: int, normalized: bytes, /) -> bytes: ...
def segments(
    segmenter: int, offsets: Buffer, data: Buffer, /
) -> tuple[bytes, bytes, bytes, bytes]: ...
def json_lines(
    data: bytes, names: tuple[tuple[bytes, ...], ...], max_line: int, /
) -> tuple[bytes, list[tuple[bytes, bytes, bytes]]] | None: ...
def json_texts(schema: object, array: object, /) -> tuple[bytes, bytes]: ...
def audit_lines(data: bytes, /) -> tuple[bytes, bytes, list[tuple[bytes, bytes, bytes]]]: ...
def scan_html(
    source: str, runs_scripts: bool, callbacks: tuple[object, object, object, object], /
) -> tuple[str, str, list[tuple[str, dict[str, str], bool, str | None, str]]]: ...
def split_stream(stream: object, /) -> list[tuple[object, object]]: ...
def column_length(array: object, /) -> int: ...
def train(
    settings: tuple[Any, ...],
    arrays: tuple[Any, ...],
    examples: tuple[Buffer, Buffer],
    targets: Buffer,
    weights: Buffer,
    order: Buffer,
    /,
) -> float: ...
def predict(
    settings: tuple[Any, ...],
    arrays: tuple[Any, ...],
    examples: tuple[Buffer, Buffer],
    out: Buffer,
    /,
) -> None: ...
def simd() -> str: ...
def simd_select(name: str, /) -> bool: ...
