"""Growth of work with its input: linear, or not."""

import time
from collections.abc import Callable

_TRIES = 6
_FACTOR = 4
_BOUND = 9.0  # linear work grows fourfold, quadratic work sixteenfold


def assert_linear(work: Callable[[str], object], unit: str, size: int, head: str = "") -> None:
    """Check that work on a repeated unit grows with its input, not with the square of it.

    Work on `size` characters is compared with work on a fourth of them, in one process and in turn:
    a slow or busy machine slows both. One comparison that fits is enough.
    """
    ratios = []
    for _ in range(_TRIES):
        small, large = (
            _cpu_s(work, head + unit * (characters // len(unit)))
            for characters in (size // _FACTOR, size)
        )
        ratios.append(large / small)
        if ratios[-1] < _BOUND:
            return
    raise AssertionError(f"{head + unit!r}: fourfold input takes {min(ratios):.1f} times the work")


def _cpu_s(work: Callable[[str], object], text: str) -> float:
    start = time.process_time()
    work(text)
    return max(time.process_time() - start, 1e-4)  # below it, noise counts for more than work
