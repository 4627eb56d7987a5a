"""Cost on an endpoint: bundle size, memory, time to the first score, and CPU of a command."""

import os
import resource
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

COMMANDS = {
    "python": ("-c", "pass"),
    "python, numpy": ("-c", "import numpy"),
    "buckler score url URL": (
        "-c",
        "from buckler.cli.entry import main; main()",
        *("score", "url", "http://login-verify.example/account.php"),
    ),
}


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
    print()
    table(
        ("command, from the second call on", "CPU"),
        [(name, f"{_cpu_s(*arguments) * 1000:.0f} ms") for name, arguments in COMMANDS.items()],
    )


def _cpu_s(*arguments: str) -> float:
    """Return the least CPU time of a Python process that may keep its compiled modules."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    used = []
    for _ in range(9):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *arguments], check=True, capture_output=True, env=environment
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(used)
