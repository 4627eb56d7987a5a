"""`buckler doctor`: checks an installation and names remedies."""

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from packaging.requirements import InvalidRequirement, Requirement

from buckler import _kernel
from buckler.cli import options as opt
from buckler.cli.console import print_table, safe
from buckler.errors import BucklerError
from buckler.runtime import load

_LEAST_FREE_GB = 1.0
_LEAST_FILES = 1024
_FOR_PEOPLE = ("dev", "bench", "fuzz")
_GOOD, _MISSING, _WRONG = "good", "missing", "wrong"


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes
    ----------
    what
        Part of the installation.
    state
        One of ``good``, ``missing`` and ``wrong``.
    detail
        Version found, or the remedy.
    """

    what: str
    state: str
    detail: str


def doctor(
    bundles: Annotated[list[Path] | None, typer.Argument(help="Bundles to check too.")] = None,
    trusted_key: opt.TrustedKey = None,
) -> None:
    """Check this installation; exit with code 1 if anything is wrong."""
    findings = [_python(), _simd(), *_extras(), *_machine()]
    findings += [_bundle(path, trusted_key) for path in bundles or ()]
    rows = [(found.what, found.state, safe(found.detail, 300)) for found in findings]
    print_table(("what", "", "detail"), rows)
    if any(found.state == _WRONG for found in findings):
        raise typer.Exit(1)


def _python() -> Finding:
    found = f"Buckler {version('buckler')}, Python {platform.python_version()}, {sys.platform}"
    good = sys.version_info >= (3, 11)
    return Finding("version", _GOOD if good else _WRONG, found)


def _simd() -> Finding:
    """Normalize something through the kernel: does it run on this processor?"""
    made = _kernel.normalize(1, "HTTPS://Example.com/%41", 100)
    if b"example.com" not in made.lower():
        return Finding("kernel", _WRONG, "it does not do what it should; reinstall Buckler")
    return Finding("kernel", _GOOD, f"instructions: {_kernel.simd()}")


def _extras() -> list[Finding]:
    """Look for what each extra of the installed package needs."""
    needed: dict[str, list[Requirement]] = {}
    for line in requires("buckler") or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        marker = str(requirement.marker or "")
        extra = marker.partition('extra == "')[2].partition('"')[0]
        if extra and extra not in _FOR_PEOPLE and requirement.name != "buckler":
            needed.setdefault(extra, []).append(requirement)
    return [_extra(name, needed[name]) for name in sorted(needed)]


def _extra(name: str, requirements: list[Requirement]) -> Finding:
    there, missing, old = [], [], []
    for requirement in requirements:
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            missing.append(requirement.name)
            continue
        there.append(f"{requirement.name} {found}")
        if not requirement.specifier.contains(found, prereleases=True):
            old.append(f"{requirement.name} {found}, {requirement.specifier} is needed")
    remedy = f"pip install 'buckler[{name}]'"
    if old:
        return Finding(f"extra {name}", _WRONG, f"{'; '.join(old)}: {remedy}")
    if missing:
        return Finding(f"extra {name}", _MISSING, f"without {', '.join(missing)}: {remedy}")
    if name == "spark" and shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        return Finding("extra spark", _WRONG, "no Java on the path: Spark cannot start")
    return Finding(f"extra {name}", _GOOD, ", ".join(there))


def _machine() -> list[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    findings = [
        Finding(
            "disk",
            _GOOD if free > _LEAST_FREE_GB else _WRONG,
            f"{free:,.1f} GB free in this folder",
        )
    ]
    if find_spec("resource") is not None:
        import resource

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        enough = files < 0 or files >= _LEAST_FILES
        detail = f"{files:,} open files at most" + ("" if enough else ": ulimit -n 65536")
        findings.append(Finding("files", _GOOD if enough else _WRONG, detail))
    if sys.getfilesystemencoding().lower() != "utf-8":
        findings.append(Finding("locale", _WRONG, "file names are not UTF-8: set PYTHONUTF8=1"))
    return findings


def _bundle(path: Path, trusted_key: Path | None) -> Finding:
    try:
        scorer = load(path, trusted_key=trusted_key)
    except BucklerError as error:
        return Finding(str(path), _WRONG, str(error))
    signed = "signed by the trusted key" if trusted_key is not None else "signature not checked"
    return Finding(str(path), _GOOD, f"{scorer.manifest.task}, {scorer.manifest.family}, {signed}")
