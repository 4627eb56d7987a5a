"""Instructions and branches of one event, by valgrind: repeatable where a clock is not.

For URLs, the kernel is compiled as an embedder compiles it. Mails and pages run in Python, and only
their normalizing counts. Valgrind has no AVX-512, so the AVX2 path runs.
"""

import ctypes
import pickle
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import table
from benchmarks.models import events
from benchmarks.normalizing import MAX_BYTES, sample
from buckler.kernel import amalgamate
from buckler.normalize import get_normalizer

KINDS = {"url-v1": 1, "url-v3": 5}
ROWS = 5_000
FORMS = (
    ("email/train", "email-v2"),
    ("email/modern", "email-v2"),
    ("html/pages", "html-v1"),
    ("html/pages", "html-structure-v2"),
)
FORM_ROWS = 40
_SWITCH = """#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; }
void stop(void) { CALLGRIND_STOP_INSTRUMENTATION; }
"""
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
            (kind, *_count(folder, number, 0), *_count(folder, number, 1))
            for kind, number in KINDS.items()
        ]
        branches = "mispredicted branches"
        table(("form", "normalize", branches, "normalize and score", branches), rows)
        (folder / "switch.c").write_text(_SWITCH)
        switch = folder / "switch.so"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", str(folder / "switch.c"), "-o", str(switch)], check=True
        )
        forms = []
        for name, form in FORMS:
            found = sample(data, name)
            own = found[:: max(1, len(found) // FORM_ROWS)][:FORM_ROWS]
            (folder / "rows").write_bytes(pickle.dumps(own))
            call = [sys.executable, "-m", "benchmarks.instructions", form, str(folder)]
            n, _ = _collected(folder, ["--instr-atstart=no", *call])
            forms.append((name, form, f"{n / len(own):,.0f}", f"{n / sum(map(len, own)):.1f}"))
    table(("rows", "form", "instructions an event", "a byte"), forms)


def _count(folder: Path, kind: int, scored: int) -> tuple[str, str]:
    """Return instructions and mispredicted branches for one line: those of two passes less one."""
    line = [str(folder / "run"), str(folder / "lines"), str(kind), str(scored)]
    once, twice = (_collected(folder, [*line, times]) for times in ("1", "2"))
    instructions, mispredicted = ((b - a) / ROWS for a, b in zip(once, twice, strict=True))
    return f"{instructions:,.0f}", f"{mispredicted:.1f}"


def _collected(folder: Path, call: list[str]) -> tuple[int, int]:
    """Return the instructions, and the branches that valgrind's simple predictor gets wrong."""
    options = ["--branch-sim=yes", f"--callgrind-out-file={folder / 'out'}"]
    command = ["valgrind", "--tool=callgrind", *options, *call]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : ([0-9]+) [0-9]+ ([0-9]+) [0-9]+ ([0-9]+)", done.stderr)
    if not found:
        sys.exit(done.stderr)
    return int(found[1]), int(found[2]) + int(found[3])


def _normalize(form: str, folder: Path) -> None:
    """Normalize the rows twice, and let valgrind count the second time."""
    switch, normalizer = ctypes.CDLL(str(folder / "switch.so")), get_normalizer(form)
    rows = pickle.loads((folder / "rows").read_bytes())  # noqa: S301
    for counts in (False, True):
        if counts:
            switch.start()
        for row in rows:
            normalizer.normalize(row, MAX_BYTES)
    switch.stop()


if __name__ == "__main__":
    _normalize(sys.argv[1], Path(sys.argv[2]))
