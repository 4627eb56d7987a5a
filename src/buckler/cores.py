"""Counts the cores that this process may use."""

import os


def count_cores() -> int:
    """Return the number of cores that this process may use; a container may have fewer than all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
