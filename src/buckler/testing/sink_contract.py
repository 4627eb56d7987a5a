"""Contract of sinks."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from buckler.serving.sinks import Sink, sink_for
from buckler.testing.contract import require


def check_sink(kind: type[Sink]) -> None:
    """Check a sink in folders of its own.

    Raises
    ------
    ContractError
        If it breaks a rule.
    """
    require(kind.name, "a sink has a name")
    require(kind.suffixes, "a sink has a suffix")
    for suffix in kind.suffixes:
        require(
            suffix.startswith(".") and suffix == suffix.lower(), "suffixes are written .like_this"
        )
        require(sink_for(Path(f"x{suffix}")) is kind, "a sink is found by its suffixes")
    kept, dropped, last = (_batch(seed) for seed in range(3))
    with tempfile.TemporaryDirectory() as scratch:
        whole = _write_whole(kind, Path(scratch) / "whole", [kept, last])
        again = _write_whole(kind, Path(scratch) / "again", [kept, last])
        require(whole == again, "the same rows make the same file")
        resumed = _write_interrupted(kind, Path(scratch) / "resumed", kept, dropped, last)
        require(resumed == whole, "resuming keeps rows up to the checkpoint and drops later ones")
        empty = _write_whole(kind, Path(scratch) / "empty", [])
        require(isinstance(empty, bytes), "a scan without a row still makes a file")


def _batch(seed: int) -> pa.RecordBatch:
    rng = np.random.default_rng(seed)
    texts = ["plain", 'quote "\n, comma', "=1+1", "\x00\x1f", "ÀÉ \U0001f512", None]
    n = len(texts)
    indices = pa.array(rng.integers(0, 2, n), pa.int32())
    return pa.RecordBatch.from_pydict(
        {
            "text": pa.array(texts, pa.large_string()),
            "label": pa.DictionaryArray.from_arrays(indices, pa.array(["benign", "phishing"])),
            "score": pa.array(rng.random(n).astype(np.float32)),
            "detected": pa.array(rng.random(n) < 0.5),
            "row": pa.array(rng.integers(1, 1000, n), pa.int64()),
        }
    )


def _open(kind: type[Sink], folder: Path, position: int) -> Sink:
    folder.mkdir(exist_ok=True)
    return kind(folder, _batch(0).schema, position)


def _write_whole(kind: type[Sink], folder: Path, batches: list[pa.RecordBatch]) -> bytes:
    """Return the file that batches make, with a checkpoint behind each."""
    sink = _open(kind, folder, 0)
    for batch in batches:
        sink.write(batch)
        require(sink.checkpoint() >= 0, "a position is a number from 0")
    return _finish(sink, folder)


def _write_interrupted(
    kind: type[Sink],
    folder: Path,
    kept: pa.RecordBatch,
    dropped: pa.RecordBatch,
    last: pa.RecordBatch,
) -> bytes:
    sink = _open(kind, folder, 0)
    sink.write(kept)
    position = sink.checkpoint()
    sink.write(dropped)
    sink.abandon()
    sink.abandon()
    sink = _open(kind, folder, position)
    sink.write(last)
    sink.checkpoint()
    return _finish(sink, folder)


def _finish(sink: Sink, folder: Path) -> bytes:
    target = folder.parent / f"{folder.name}{type(sink).suffixes[0]}"
    sink.finish(target)
    require(target.is_file(), "finish puts the result at the target")
    return target.read_bytes()
