"""Bounds on what a network may take while it runs: memory and time.

A bundle states neither, and its shapes follow from its weights and its input in ways that only the
run itself shows. So all networks share one arena of bounded size, and a watchdog ends a run that
takes too long. `bundle/onnx_check.py` bounds what is computed before the first run.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Protocol

ARENA_BYTES = 1 << 30
RUN_S = 30.0
LOAD_S = 10.0
_TICK_S = 0.1


class RunOptions(Protocol):
    """Options of a run of ONNX Runtime."""

    terminate: bool


class _State:
    """Deadlines of the runs of this process, and the thread that watches them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.deadlines: dict[object, tuple[float, RunOptions]] = {}
        self.is_watched = False


_state = _State()
_loading = threading.local()  # the deadline of a load in this thread
_arenas: list[ModuleType] = []  # ONNX Runtime, once it has the arena
_ARENA_LOCK = threading.Lock()


def use_bounded_arena(onnxruntime: ModuleType) -> None:
    """Make the arena from which sessions with ``session.use_env_allocators`` take their memory."""
    with _ARENA_LOCK:
        if _arenas:
            return
        kind, memory = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType
        info = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, memory.DEFAULT)
        # Strategy 1 takes what is asked for, not the next power of two.
        bounds = onnxruntime.OrtArenaCfg({"max_mem": ARENA_BYTES, "arena_extend_strategy": 1})
        with suppress(RuntimeError):  # the program around us has made one
            onnxruntime.create_and_register_allocator(info, bounds)
        _arenas.append(onnxruntime)


@contextmanager
def loading() -> Iterator[None]:
    """Bound the time of all runs in this thread together, while a bundle is verified."""
    _loading.deadline_s = time.monotonic() + LOAD_S
    try:
        yield
    finally:
        del _loading.deadline_s


@contextmanager
def ending_in_time(options: RunOptions) -> Iterator[None]:
    """End a run between two operators once it has taken too long."""
    key, deadline_s = object(), time.monotonic() + RUN_S
    deadline_s = min(deadline_s, getattr(_loading, "deadline_s", deadline_s))
    with _state.lock:
        _state.deadlines[key] = (deadline_s, options)
        if not _state.is_watched:
            _state.is_watched = True
            threading.Thread(target=_watch, name="network-watchdog", daemon=True).start()
    try:
        yield
    finally:
        with _state.lock:
            _state.deadlines.pop(key, None)


def _watch() -> None:
    while True:
        time.sleep(_TICK_S)
        now_s = time.monotonic()
        with _state.lock:
            for deadline_s, options in _state.deadlines.values():
                if now_s > deadline_s:
                    options.terminate = True


def _forget() -> None:
    """Start anew in a forked process, where no other thread runs."""
    global _state
    _state = _State()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
