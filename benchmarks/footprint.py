"""Cost on an endpoint: bundle size, memory, and time to the first score."""

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import table
from benchmarks.models import bundle

CODE = """
import re, time
from pathlib import Path
started = time.perf_counter()
import buckler.runtime
scorer = buckler.runtime.load({path!r})
scorer.score_of("http://a.example/")
ready = time.perf_counter() - started
status = Path("/proc/self/status").read_text()
print(ready, re.search(r"VmRSS:\\s+(\\d+)", status)[1], re.search(r"VmHWM:\\s+(\\d+)", status)[1])
"""


def run(data: Path) -> None:
    rows = []
    for task, name in (("url-threat", "threat-train"), ("url-category", "category-labelled")):
        path = bundle(data, task, name)
        runs = [
            [
                float(x)
                for x in subprocess.check_output(
                    [sys.executable, "-c", CODE.format(path=str(path))]
                ).split()
            ]
            for _ in range(9)
        ]
        ready, rss, peak = (statistics.median(column) for column in zip(*runs, strict=True))
        rows.append(
            (
                task,
                f"{path.stat().st_size:,}",
                f"{ready * 1000:.0f} ms",
                f"{rss / 1024:.0f} MB",
                f"{peak / 1024:.0f} MB",
            )
        )
    table(("bundle", "bytes", "import, load, first score", "resident", "peak"), rows)
