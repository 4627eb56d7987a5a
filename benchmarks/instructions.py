"""Instructions for one event, by valgrind: repeatable where a shared machine's clock is not.

The kernel is compiled as an embedder compiles it. Valgrind has no AVX-512, so the AVX2 path runs.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import table
from benchmarks.models import events
from buckler.kernel import amalgamate

KINDS = {"url-v1": 1, "url-v3": 5}
ROWS = 5_000
FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]


def run(data: Path) -> None:
    urls = events(data, "url-threat", "threat-test").raw.slice(0, ROWS).to_pylist()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        amalgamate.write(folder)
        (folder / "lines").write_bytes(b"".join(url.replace(b"\n", b" ") + b"\n" for url in urls))
        main = Path(__file__).with_suffix(".c")
        sources = [str(main), str(folder / "buckler.c")]
        command = ["gcc", *FLAGS, f"-I{folder}", *sources, "-lm", "-o", str(folder / "run")]
        subprocess.run(command, check=True)
        rows = [
            (kind, *(f"{_count(folder, number, scored):,.0f}" for scored in (0, 1)))
            for kind, number in KINDS.items()
        ]
    table(("form", "normalize", "normalize and score"), rows)


def _count(folder: Path, kind: int, scored: int) -> float:
    """Return the instructions for one line: those of two passes less those of one."""
    totals = []
    for times in (1, 2):
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'out'}"]  # noqa: RUF005
            + [str(folder / "run"), str(folder / "lines"), str(kind), str(scored), str(times)],
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"Collected : ([0-9]+)", done.stderr)
        if not found:
            sys.exit(done.stderr)
        totals.append(int(found[1]))
    return (totals[1] - totals[0]) / ROWS
