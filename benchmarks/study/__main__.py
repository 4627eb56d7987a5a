"""Measures what each technique brings on public data over several seeds: `make study`."""

import argparse
import sys
from pathlib import Path

from benchmarks.study import (
    categories,
    commands,
    coverage,
    documents,
    efficiency,
    loop,
    noisy,
    peers,
    threat,
)
from benchmarks.study.results import Results, Study
from buckler.files import write_atomically

PARTS = {
    "coverage": coverage.run,
    "efficiency": efficiency.run,
    "noisy": noisy.run,
    "commands": commands.run,
    "threat": threat.run,
    "documents": documents.run,
    "peers": peers.run,
    "loop": loop.run,
    "annotations": categories.run_annotations,
    "categories": categories.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with url, command_line, email, teacher")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="default: all parts")
    parser.add_argument("--output", "-o", type=Path, default=Path("study"), help="output folder")
    parser.add_argument("--seeds", type=int, default=3, choices=range(1, 21), metavar="N")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        parser.error(f"{arguments.data}: no such folder")
    study = Study(
        arguments.data,
        arguments.output,
        Results(arguments.output / "results.jsonl"),
        arguments.seeds,
        lambda text: print(text, file=sys.stderr),
    )
    tables = [table for name in arguments.part or PARTS for table in PARTS[name](study)]
    page = "\n".join(table.markdown() for table in tables)
    write_atomically(arguments.output / "study.md", page.encode())
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
