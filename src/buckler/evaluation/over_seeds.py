"""A figure over several seeds: its mean, and how sure it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Student's t, two-sided 95 %, by degrees of freedom: seeds are few.
_T = (math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
_T_MANY = 1.96


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its 95 % interval (Student's t).

    Attributes
    ----------
    value
        NaN where there is no figure.
    half
        Half the interval's width; NaN for a single seed.
    n
        How many seeds.
    """

    value: float
    half: float
    n: int

    @staticmethod
    def of(values: Sequence[float]) -> "Mean":
        """Return the mean of these values; those that are NaN are left out."""
        sound = [v for v in values if not math.isnan(v)]
        n = len(sound)
        if not n:
            return Mean(math.nan, math.nan, 0)
        mean = sum(sound) / n
        if n == 1:
            return Mean(mean, math.nan, 1)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in sound) / (n - 1))
        t = _T[n - 1] if n <= len(_T) else _T_MANY
        return Mean(mean, t * deviation / math.sqrt(n), n)

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero; never for a single seed."""
        return self.value - self.half > 0

    def __str__(self) -> str:
        if not self.n:
            return "-"
        half = "" if math.isnan(self.half) else f" ± {self.half:.3f}"
        return f"{self.value:.3f}{half}"
