"""Growth of work with its input: linear, or not."""

import sys
from collections.abc import Callable
from types import FrameType

_FACTOR = 4
_BOUND = 5  # linear work grows fourfold, quadratic work sixteenfold


def assert_linear(work: Callable[[str], object], unit: str, size: int, head: str = "") -> None:
    """Check that work on a repeated unit grows with its input, not with the square of it.

    The lines of Python that run are counted: the same number on every machine, however busy.
    Patterns, copies and the kernel run in C and are not counted. Therefore the unit is repeated to
    `size` characters once: work that is quadratic there does not end within the patience of a
    person, while nothing is asserted on time.
    """
    small, large = (
        _lines_run(work, head + unit * (characters // len(unit)))
        for characters in (size // _FACTOR**3, size // _FACTOR**2)
    )
    assert large <= _BOUND * small, f"{head + unit!r}: fourfold input, {large / small:.1f} times"
    work(head + unit * (size // len(unit)))


def _lines_run(work: Callable[[str], object], text: str) -> int:
    """Return the number of lines of Python that run, each turn of a loop counted."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        work(text)
    finally:
        sys.settrace(before)
    return count
