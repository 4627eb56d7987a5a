"""Buckler: small, fast, calibrated classifiers for security events."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from buckler.runtime import Scorer, load
    from buckler.tasks import Task

__version__ = "0.1.0"
__all__ = ["Scorer", "Task", "__version__", "load"]

_HOMES = {"Scorer": "buckler.runtime", "load": "buckler.runtime", "Task": "buckler.tasks"}


def __getattr__(name: str) -> Any:
    # Lazy, so that an endpoint that imports buckler.runtime pays for nothing else.
    if name not in _HOMES:
        raise AttributeError(f"module 'buckler' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
