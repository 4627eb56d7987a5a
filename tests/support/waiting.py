"""Waiting until something has happened, however slow the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def wait_until(
    condition: Callable[[], _T], *, timeout_s: float = 60, interval_s: float = 0.02
) -> _T:
    """Return what a condition returns once that is true; fail where it never is."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(interval_s)
    return found
