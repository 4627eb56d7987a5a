"""The command line, as a person calls it."""

import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "COLUMNS": "200",
    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
}


def buckler(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "buckler.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**ENVIRONMENT, **(env or {})},
        input=stdin,
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that the command ended with one clear line that holds these words, and with code 2."""
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr + done.stdout
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr
