"""Runs of a program, each in a fork of one process that has its imports and data: quick to kill."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENDED = 7  # exit code of a run that came to its end
_LOOP = f"""
import gc, os, sys
gc.freeze()  # the forks share what is here already
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run()
        os._exit({ENDED})
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class ForkedRuns:
    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process

    def start(self) -> int:
        """Start a run and return its process."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self) -> int:
        """Return the exit code of the run."""
        return int(self._process.stdout.readline())


@contextmanager
def forked_runs(code: str, *arguments: object) -> Iterator[ForkedRuns]:
    """Execute code, with these arguments, that defines `run`, what each fork does."""
    process = subprocess.Popen(
        [sys.executable, "-c", code + _LOOP, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with process:
        yield ForkedRuns(process)
        process.stdin.close()
        process.wait(60)
