"""Timing that can be compared: contenders take turns, medians are kept, ratios are reported."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from buckler import _kernel

ROUNDS = 7


def machine_line() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in open("/proc/cpuinfo")  # noqa: SIM115, PTH123
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return (
        f"{model}, {os.cpu_count()} cores, kernel path {_kernel.simd()}, "
        f"Python {platform.python_version()}; one core, one thread unless a row says more; "
        f"medians of turns"
    )


def pin_to_one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def use_all_cores() -> None:
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))


def cpu_s() -> float:
    """Return the CPU seconds of this process and of its children that ended."""
    return time.process_time() + sum(os.times()[2:4])


class Spent(NamedTuple):
    """Time that work took, by the clock and of the CPU; None where it was that of others."""

    seconds: float
    cpu_s: float | None


def spend(work: Callable[[], object]) -> Spent:
    """Work, and return the time that it took."""
    seconds, cpu_s = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - seconds, time.process_time() - cpu_s)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def in_turns(
    contenders: dict[str, Callable[[], object]],
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the median seconds of each; they take turns, so that a slow moment hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, work in contenders.items():
            started = clock()
            work()
            if turn:  # the first turn warms up
                seconds[name].append(clock() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print("| " + " | ".join(headings) + " |")
    print("| " + " | ".join("---" if i == 0 else "---:" for i in range(len(headings))) + " |")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
