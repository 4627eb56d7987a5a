"""Fuzzes the readers: `python -m tests.readers.fuzz_readers --minutes 30`.

A sound file of every format is cut, spliced, repeated and filled with what breaks the format. A
reader must read the file to its end in bounded time, or refuse it with an `InputError` that names
it; a row that it cannot use is counted. What fails to is written to a folder.
"""

import argparse
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from buckler.dataset import read_dataset
from buckler.errors import BucklerError
from buckler.isolation import EventFault, attempt
from buckler.readers import READERS, ColumnSpec, Quarantine, read_batches
from buckler.tasks import get_task
from tests.normalize.fuzz_mail import mutate
from tests.support.reader_files import sound_file

LIMIT_S = 10.0  # for the largest input, on a busy machine
_NEEDS = {"evtx": "evtx", "pe": "pefile", "warc": "warcio"}
_TASKS = {"csv": "url-threat", "jsonl": "url-threat", "parquet": "url-threat", "pe": "pe"}
_TOKENS = [
    *(b"\n", b"\r", b"\0", b'"', b"'", b",", b";", b"\t", b"|", b"[", b"]", b"{", b"}", b":"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"\\ud800"),
    *(b"1e999", b"-9223372036854775809", b"NaN", b"null", b'"label": ["a"]', b'{"url": {"a": 1}}'),
    *(b"From a\n", b"type=EXECVE msg=audit(1e9:1): a0=", b"a1[0]=", b"WARC/1.0\r\n", b"\x1f\x8b"),
    *(
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"Content-Encoding: br\r\n",
    ),
    *(b"PAR1", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"ElfChnk\0", b"**\0\0", b"PE\0\0"),
]


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for some minutes of CPU time; return 1 if something went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.readers.fuzz_readers")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz-readers"))
    parser.add_argument("--keep-last", type=Path, help="folder for the last file of each format")
    parser.add_argument("--format", choices=READERS.names(), help="one format alone")
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    counts, escapes, slowest = dict.fromkeys(READERS.names(), 0), 0, 0.0
    end = time.process_time() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        seeds = _seeds(Path(folder), [options.format] if options.format else READERS.names())
        while time.process_time() < end:
            name = sorted(seeds)[rng.integers(len(seeds))]
            path, spec, data = seeds[name]
            path.write_bytes(mutate([data], rng, _TOKENS))
            if options.keep_last:  # what ended this process lies there
                (options.keep_last / path.name).write_bytes(path.read_bytes())
            start = time.process_time()
            fault = _fault(name, path, spec)
            taken = time.process_time() - start
            counts[name], slowest = counts[name] + 1, max(slowest, taken)
            if fault is None and taken > LIMIT_S:
                fault = f"{taken:.1f} s"
            if fault is not None:
                escapes += 1
                options.out.mkdir(parents=True, exist_ok=True)
                kept = options.out / f"{options.seed}-{escapes}-{path.name}"
                kept.write_bytes(path.read_bytes())
                sys.stdout.write(f"{kept}: {fault}\n")
    by_format = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    sys.stdout.write(f"{by_format}; {escapes} escapes, slowest {slowest:.2f} s\n")
    return 1 if escapes else 0


def _seeds(folder: Path, names: list[str]) -> dict[str, tuple[Path, ColumnSpec, bytes]]:
    seeds = {}
    for name in names:
        needed = _NEEDS.get(name)
        if needed is None or find_spec(needed):
            (folder / name).mkdir()
            path, spec = sound_file(name, folder / name)
            seeds[name] = path, spec, path.read_bytes()
    return seeds


def _fault(name: str, path: Path, spec: ColumnSpec) -> str | None:
    def read(path: Path) -> None:
        try:
            with Quarantine(path.parent / "bad.jsonl") as quarantine:
                for batch in read_batches([path], spec, quarantine):
                    batch.chunk.events.validate(full=True)
            if name in _TASKS:
                read_dataset([path], get_task(_TASKS[name]))
        except BucklerError as error:
            if path.name not in str(error):
                raise AssertionError("an error names no file") from error

    result = attempt(read, path)
    return repr(result.error) if isinstance(result, EventFault) else None


if __name__ == "__main__":
    raise SystemExit(main())
