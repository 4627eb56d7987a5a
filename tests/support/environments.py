"""Environments that hold what one installation brings and nothing else, without a network.

`make_environment(folder, "serve")` is what ``pip install '.[serve]'`` makes: a virtual environment
that links the distributions which the extra asks for, from those that run the tests.
"""

import json
import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
_SCRIPT = "#!{python}\nfrom buckler.cli.entry import main\nmain()\n"
_SEVERAL = """
import contextlib, io, json, os, sys
from buckler.cli.main import run_command_line
results = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        code = run_command_line(arguments)
    results.append((code, out.getvalue()))
json.dump(results, sys.stdout)
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment; its `bin` holds `python` and `buckler`."""

    bin: Path

    def run(
        self, *command: object, cwd: Path, stdin: str = "", timeout_s: float = 600
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program, one of the environment where it has that name."""
        name, *arguments = map(str, command)
        program = self.bin / name
        return subprocess.run(
            [str(program if program.exists() else name), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            input=stdin,
            timeout=timeout_s,
            env=self.variables(cwd),
        )

    def run_commands(
        self, commands: Sequence[Sequence[object]], cwd: Path
    ) -> "list[tuple[int, str]]":
        """Run `buckler` commands one after the other in one process: exit code and output each."""
        plain = [list(map(str, command)) for command in commands]
        done = self.run("python", "-c", _SEVERAL, cwd=cwd, stdin=json.dumps(plain))
        assert done.returncode == 0, done.stderr
        return [(code, text) for code, text in json.loads(done.stdout)]

    def variables(self, home: Path) -> dict[str, str]:
        """Return the variables of a process in it; nothing of the caller's leaks in."""
        variables = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(home),
            "COLUMNS": "200",
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "error::ResourceWarning",
        }
        return variables | {k: v for k, v in os.environ.items() if k.startswith("OMP_")}


def make_environment(folder: Path, *extras: str) -> Environment:
    """Make an environment with the plain dependencies and those of some extras.

    Skips the test where one of them is not installed here.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for name in sorted({"buckler", *closure(*extras)}):
        _link(_installed(name), packages)
    (packages / "buckler.pth").write_text(f"{ROOT / 'src'}\n")
    script = folder / "bin" / "buckler"
    script.write_text(_SCRIPT.format(python=folder / "bin" / "python"))
    script.chmod(0o755)
    return Environment(folder / "bin")


@cache
def closure(*extras: str) -> set[str]:
    """Return the distributions that an installation with some extras brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    found: set[str] = set()
    todo = [Requirement(line) for line in project["dependencies"]]
    todo += [Requirement(line) for extra in extras for line in optional[extra]]
    seen = set[tuple[str, frozenset[str]]]()
    while todo:
        wanted = todo.pop()
        name, extras_of = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras_of) in seen:
            continue
        seen.add((name, extras_of))
        if name == "buckler":
            todo += [Requirement(line) for extra in extras_of for line in optional[extra]]
            continue
        found.add(name)
        for line in _installed(name).requires or ():
            needed = Requirement(line)
            environments = [{"extra": extra} for extra in ("", *extras_of)]
            if needed.marker is None or any(map(needed.marker.evaluate, environments)):
                todo.append(needed)
    return found


@cache
def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed here")


def _link(installed: Distribution, packages: Path) -> None:
    """Link what a distribution brings; file by file where folders are shared with others."""
    for file in installed.files or ():
        top = file.parts[0]
        if top in ("..", "__pycache__") or top.endswith(".pth"):
            continue
        source = Path(str(installed.locate_file(top)))
        is_own = source.is_file() or top.endswith(".dist-info") or (source / "__init__.py").exists()
        target = packages / top if is_own else packages / file
        if target.exists() or "__pycache__" in file.parts:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source if is_own else Path(str(installed.locate_file(file))))


if __name__ == "__main__":  # `python -m tests.support.environments FOLDER [EXTRA ...]`
    sys.stdout.write(f"{make_environment(Path(sys.argv[1]), *sys.argv[2:]).bin}\n")
