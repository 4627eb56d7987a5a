"""Fuzzes command lines: `python -m tests.normalize.fuzz_commands --minutes 30`.

Real lines and disguises are cut, spliced, repeated and filled with what shells read. Each must
become a normalized text of the right fields in bounded time, and the same text twice.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from buckler.isolation import EventFault, attempt
from buckler.normalize import get_normalizer
from tests.normalize.fuzz_mail import mutate
from tests.normalize.test_disguises import TRICKS

LIMIT_S = 2.0  # for the largest input, on a busy machine
_TOKENS = [
    *(trick.encode() for trick in TRICKS),
    *(b"^", b"`", b'"', b"'", b"%", b"!", b"$(", b")", b"${", b"}", b"$'\\x", b"\\", b"\n", b"\0"),
    *(b" -enc ", b" -join ", b" -replace ", b"[char]", b"%COMSPEC:~0,1%", b"$IFS", b"&&", b"||"),
    *(
        b"FromBase64String('",
        b"SQBFAFgA",
        b"H4sI",
        b"base64 -d|",
        b"set a=b&&",
        b"call ",
        b"a=b;$a",
    ),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xe2\x80\x8b", b"\xf0\x9f\x98\x80", b"\x1f", b"\x1e"),
]


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for some minutes of CPU time; return 1 if something went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.normalize.fuzz_commands")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    seeds = _lines(options.data)
    escapes, runs, slowest = 0, 0, 0.0
    end = time.process_time() + 60 * options.minutes
    while time.process_time() < end:
        data = mutate(seeds, rng, _TOKENS)[: 1 << 16]
        start = time.process_time()
        result = attempt(_normalize, data)
        taken = time.process_time() - start
        runs, slowest = runs + 1, max(slowest, taken)
        if isinstance(result, EventFault) or taken > LIMIT_S:
            escapes += 1
            sys.stdout.write(f"{result} in {taken:.1f} s: {data[:2000]!r}\n")
    sys.stdout.write(f"{runs:,} inputs, {escapes} escapes, slowest {slowest:.2f} s\n")
    return 1 if escapes else 0


def _normalize(data: bytes) -> None:
    normalizer = get_normalizer("command-v2")
    for limit in (512, 1 << 16):
        text = normalizer.normalize(data, limit)
        assert text == normalizer.normalize(data, limit)
        assert len(text) <= limit


def _lines(data: Path) -> list[bytes]:
    lines = [b"cmd /c echo hello", b"powershell -nop -w hidden -enc SQBFAFgA"]
    for name in ("labelled", "field"):
        path = data / "command_line" / f"{name}.parquet"
        if path.is_file():
            texts = pq.read_table(path, columns=["text"])["text"].to_pylist()[::20]
            lines += [str(text).encode("utf-8", "replace")[:4096] for text in texts]
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
