"""Figures with their 95 % intervals: shares, means over seeds, and any measure by bootstrap."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_Z = 1.959963984540054  # two-sided 95 % of the normal distribution
# Two-sided 95 % of Student's t by degrees of freedom, since seeds are few.
_T = (math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; NaN where it cannot be computed.

    A single group gives a figure, but no interval.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "-"
        if np.isnan(self.low):
            return f"{self.value:.3f} (one group, no interval)"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


UNKNOWN = Estimate(math.nan, math.nan, math.nan)


def bootstrap(
    measure: Callable[[Floats | None], dict[str, float]],
    groups: npt.NDArray[np.int64],
    n_resamples: int = 500,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return each measured figure with its percentile interval.

    Events of one group are not independent, so whole groups are drawn (cluster bootstrap). A single
    group says nothing about others, so its figures have no interval.

    Parameters
    ----------
    measure
        Function that computes the figures from row weights (None: equal weights).
    groups
        int64 [n]: group of each row.
    """
    values = measure(None)
    rng = np.random.default_rng(seed)
    _, codes = np.unique(groups, return_inverse=True)
    n_groups = int(codes.max()) + 1
    if n_groups == 1:
        return {name: Estimate(value, math.nan, math.nan) for name, value in values.items()}
    drawn: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(n_resamples):
        counts = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups)
        for name, value in measure(counts[codes].astype(np.float64)).items():
            drawn[name].append(value)
    return {
        name: Estimate(value, *(float(v) for v in np.nanquantile(drawn[name], [0.025, 0.975])))
        if np.isfinite(value)
        else UNKNOWN
        for name, value in values.items()
    }


@dataclass(frozen=True)
class Rate:
    """A share of rows with its interval.

    Attributes
    ----------
    value
        The share; NaN where there are no rows.
    low, high
        Ends of the interval.
    hits, n_rows
        Counts behind the share.
    """

    value: float
    low: float
    high: float
    hits: int
    n_rows: int


UNKNOWN_RATE = Rate(math.nan, 0.0, 1.0, 0, 0)


def rate(flags: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64] | None = None) -> Rate:
    """Return the share of true flags with its Wilson interval.

    With groups, the interval is that of as many independent rows as the groups are worth.
    """
    found = wilson(int(flags.sum()), len(flags))
    if groups is None or not len(flags):
        return found
    n = independent_rows(flags, groups)
    ends = wilson(found.value * n, n)
    return replace(found, low=ends.low, high=ends.high)


def independent_rows(flags: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64]) -> float:
    """Return the number of independent rows that give a share as exactly as these groups do.

    The rows are divided by the design effect (Kish 1965): the variance between groups against that
    of independent rows. Where all flags are equal, each group counts as a single answer.
    """
    _, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    n, share = len(flags), float(flags.mean())
    if len(sizes) == 1 or share in (0, 1):
        return float(n * n / (sizes.astype(np.float64) ** 2).sum())
    excess = np.bincount(codes, flags - share)
    variance = float((excess**2).sum()) * len(sizes) / (len(sizes) - 1)
    return n / max(1.0, variance / (n * share * (1 - share)))


def wilson(k: float, n: float) -> Rate:
    """Return k of n as a share with its interval (Wilson 1927)."""
    if n == 0:
        return UNKNOWN_RATE
    center = (k + _Z * _Z / 2) / (n + _Z * _Z)
    half = _Z / (n + _Z * _Z) * float(np.sqrt(k * (n - k) / n + _Z * _Z / 4))
    # None and all are exact ends, whatever the rounding.
    low = 0.0 if k == 0 else max(0.0, center - half)
    high = 1.0 if k == n else min(1.0, center + half)
    return Rate(k / n, low, high, int(k), int(n))


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its interval by Student's t.

    Attributes
    ----------
    value
        The mean; NaN without any value.
    half_width
        Half the width of the interval; NaN for a single seed.
    n
        Number of seeds.
    """

    value: float
    half_width: float
    n: int

    @staticmethod
    def of(values: Sequence[float]) -> "Mean":
        """Return the mean of these values; NaN values do not count."""
        finite = [v for v in values if not math.isnan(v)]
        n = len(finite)
        if not n:
            return Mean(math.nan, math.nan, 0)
        mean = sum(finite) / n
        if n == 1:
            return Mean(mean, math.nan, 1)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in finite) / (n - 1))
        t = _T[n - 1] if n <= len(_T) else 1.96
        return Mean(mean, t * deviation / math.sqrt(n), n)

    @property
    def above_zero(self) -> bool:
        """True where the whole interval lies above zero; never for a single seed."""
        return self.value - self.half_width > 0

    def __str__(self) -> str:
        if not self.n:
            return "-"
        half = "" if math.isnan(self.half_width) else f" ± {self.half_width:.3f}"
        return f"{self.value:.3f}{half}"


def clopper_pearson_low(k: float, n: float, error: float) -> float:
    """Return the exact one-sided lower bound on a share (Clopper and Pearson 1934).

    Parameters
    ----------
    k, n
        Hits and rows; fractions are allowed, as dependent rows count for less.
    error
        Probability that the bound is wrong.
    """
    low, high = 0.0, k / n if n else 0.0
    for _ in range(50):
        middle = (low + high) / 2
        if binomial_tail(k, n, middle) > error:
            high = middle
        else:
            low = middle
    return low


def binomial_tail(k: float, n: float, share: float) -> float:
    """Return the probability of at least k hits in n rows, each with this share.

    It is the incomplete beta function I(share; k, n - k + 1), so k and n may be fractions.
    """
    if k <= 0:
        return 1.0
    if share <= 0 or share >= 1:
        return float(share >= 1)
    a, b = k, n - k + 1
    log_front = (
        math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + a * math.log(share)
        + b * math.log1p(-share)
    )
    if share < (a + 1) / (a + b + 2):
        return math.exp(log_front) * _beta_fraction(a, b, share) / a
    return 1 - math.exp(log_front) * _beta_fraction(b, a, 1 - share) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function, by the method of Lentz."""
    tiny = 1e-300
    value = c = 1.0
    d = 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / ((1 + step * d) or tiny)
            c = (1 + step / c) or tiny
            value *= d * c
        if abs(d * c - 1) < 1e-12:
            break
    return value
