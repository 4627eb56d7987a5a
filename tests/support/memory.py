"""The memory of a child process."""

from pathlib import Path


def peak_memory_kib() -> int:
    """Return the most memory that this process has held, in KiB.

    `ru_maxrss` would begin with the memory of the process that started this one.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
