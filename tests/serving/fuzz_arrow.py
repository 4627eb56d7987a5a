"""Fuzzes Arrow streams: `python -m tests.serving.fuzz_arrow --minutes 10`.

Sound streams of every type are damaged where it matters: lengths, offsets and sizes in messages and
buffers, so that the checks behind the first one are reached. Each input is scored in a process of
its own kind: one that ends it is written to a folder, and the run ends with an error.
"""

import argparse
import itertools
import os
import random
import struct
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from buckler.errors import BucklerError
from buckler.serving.bundles import LoadedBundle, load_bundle
from buckler.serving.verdict_batch import OutputOptions, score_arrow_stream
from tests.support.made_up import made_up_bundle

_NUMBERS = (0, 1, -1, 2**31 - 1, -(2**31), 1 << 20, 1 << 30, 77)
_INPUTS_A_PROCESS = 500


def seeds() -> list[bytes]:
    """Return sound streams with the text in every type that may hold it."""
    texts = pa.array(["http://a.example/", None, "http://b.example/" + "b" * 40, ""] * 4)
    forms = [texts.cast(kind) for kind in (
        pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view(),
        pa.binary_view(),
    )]  # fmt: skip
    forms += [texts.dictionary_encode(), texts.cast(pa.string_view()).dictionary_encode()]
    others = pa.array([[1.5], None, [], [2.0, 3.0]] * 4)
    found = []
    for text, compression in itertools.product(forms, (None, "lz4", "zstd")):
        batch = pa.RecordBatch.from_arrays([text, text, others], ["url", "parent_image", "x"])
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
            writer.write_batch(batch)
            writer.write_batch(batch.slice(3, 5))
        found.append(sink.getvalue().to_pybytes())
    return found


def damaged(stream: bytes, rng: random.Random) -> bytes:
    """Return a stream with some numbers, bytes or pieces of it changed."""
    data = bytearray(stream)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(max(1, len(data) - 8))
        kind = rng.randrange(6)
        if kind < 3:
            code = rng.choice(["<i", "<q", "<h"])
            number = rng.choice(_NUMBERS) if code != "<h" else rng.choice((0, 1, -1, 300))
            piece = struct.pack(code, number)
            at -= at % len(piece)
            data[at : at + len(piece)] = piece
        elif kind == 3:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 4:
            source = rng.randrange(len(data))
            data[at : at + 16] = data[source : source + 16]
        else:
            del data[rng.randrange(len(data)) :]
            data += bytes(8)
    return bytes(data)


def one_input(data: bytes, bundle: LoadedBundle) -> None:
    """Score a stream; only our own errors may come out."""
    try:
        score_arrow_stream(data, bundle, OutputOptions())
    except BucklerError:
        return


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for some minutes of CPU time; return 1 if a process ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.serving.fuzz_arrow")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="buckler-fuzz-"))
    made_up_bundle(folder / "url.buckler", 0)
    bundle, streams = load_bundle(folder / "url.buckler"), seeds()
    last, end, count = folder / "last", time.process_time() + 60 * options.minutes, 0
    children_s = 0.0
    while time.process_time() + children_s < end:
        child = os.fork()
        if child == 0:
            rng = random.Random(f"{options.seed} {count}")
            for _ in range(_INPUTS_A_PROCESS):
                data = damaged(rng.choice(streams), rng)
                last.write_bytes(data)
                one_input(data, bundle)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        count += 1
        children_s = sum(os.times()[2:4])
        if status:
            print(f"status {status}: {last}")  # noqa: T201
            return 1
    print(f"{count * _INPUTS_A_PROCESS:,} streams, no fault")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
