"""Optional dependencies, named where they are missing, and the cores of the machine."""

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from buckler.errors import MissingExtraError


def import_extra(module: str, feature: str, extra: str) -> ModuleType:
    """Import a module that comes with an extra.

    Threads of OpenMP that wait for each other then sleep, unless the environment says otherwise. By
    default they spin: beside other work, trees, networks and language models take four to twenty
    times the CPU time.

    Parameters
    ----------
    module
        Dotted name.
    feature
        Beginning of the error message: the feature that needs the module.
    extra
        Name of the extra that brings it.

    Raises
    ------
    MissingExtraError
        If the module is not installed.

    Examples
    --------
    >>> import_extra("json", "reading JSON", "formats").loads("1")
    1
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # OpenMP reads it when it loads
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(feature, extra) from error


def find_packaged(package: str, pattern: str) -> Path | None:
    """Return the first file of an installed package that fits; its code is never imported."""
    spec = find_spec(package)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next((file for folder in folders for file in sorted(Path(folder).glob(pattern))), None)


def count_cores() -> int:
    """Return the number of cores that this process may use; a container may have fewer than all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
