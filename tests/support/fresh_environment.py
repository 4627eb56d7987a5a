"""A virtual environment that holds what one install line brings, and nothing else.

No network is needed: distributions of the tests' own environment are linked into the new one, but
only those that Buckler and the named extras require, and what these require in turn.
"""

import sys
import tomllib
import venv
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


class MissingDistributionError(Exception):
    """A distribution that an extra requires is not installed here."""


def create_environment(folder: Path, extras: Iterable[str] = ()) -> Path:
    """Create the environment of `pip install '.[extras]'` and return its folder of programs."""
    venv.create(folder, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    for found in required_distributions(extras):
        _link(found, packages)
    _describe_checkout(packages)
    programs = folder / "bin"
    script = f"#!{programs / 'python'}\nfrom buckler.cli.main import main\n\nmain()\n"
    (programs / "buckler").write_text(script)
    (programs / "buckler").chmod(0o755)
    return programs


def required_distributions(extras: Iterable[str] = ()) -> list[Distribution]:
    """Return the distributions that Buckler requires with these extras, directly or not."""
    own = {"": _project()["dependencies"], **_project()["optional-dependencies"]}
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [("buckler", extra) for extra in ("", *extras)]
    while waiting:
        name, extra = asked = waiting.pop()
        if asked in seen:
            continue
        seen.add(asked)
        if name == "buckler":
            lines = own[extra]
        else:
            found[name] = _installed(name)
            lines = found[name].requires or []
        for line in lines:
            one = Requirement(line)
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                waiting += [(_key(one.name), e) for e in ("", *one.extras)]
    return [found[name] for name in sorted(found)]


@cache
def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _describe_checkout(packages: Path) -> None:
    """Install the checkout as an editable one: its path, and what the project states."""
    (packages / "checkout.pth").write_text(f"{ROOT / 'src'}\n")
    lines = ["Metadata-Version: 2.4", "Name: buckler", f"Version: {_project()['version']}"]
    lines += [f"Requires-Dist: {line}" for line in _project()["dependencies"]]
    for extra, requirements in _project()["optional-dependencies"].items():
        lines += [f"Provides-Extra: {extra}"]
        lines += [f'Requires-Dist: {line}; extra == "{extra}"' for line in requirements]
    described = packages / f"buckler-{_project()['version']}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("\n".join(lines) + "\n")


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise MissingDistributionError(name) from None


@cache
def _owners() -> Counter[str]:
    """Count the installed distributions that have files below each name at the top."""
    return Counter(top for one in distributions() for top in set(_tops(one)))


def _tops(found: Distribution) -> Iterator[str]:
    return (file.parts[0] for file in found.files or () if file.parts[0] != "..")


def _link(found: Distribution, packages: Path) -> None:
    """Link each top folder that is this distribution's alone, and single files of the others."""
    for file in found.files or ():
        top = file.parts[0]
        if top in ("..", "__pycache__"):
            continue
        shared = _owners()[top] > 1
        target = packages / (Path(*file.parts) if shared else top)
        if target.is_symlink() or (shared and "__pycache__" in file.parts):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(Path(str(found.locate_file(file if shared else top))))
