"""Confidence intervals by resampling groups: events of one group are not independent."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; NaN where it cannot be computed."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "-"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def bootstrap(
    measure: Callable[[Floats | None], dict[str, float]],
    groups: npt.NDArray[np.int64],
    n_resamples: int = 500,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return each measured figure with its percentile interval.

    Parameters
    ----------
    measure
        Computes the figures from row weights (None: all alike).
    groups
        int64 [n]: rows of the same number are drawn together (cluster bootstrap).
    """
    values = measure(None)
    rng = np.random.default_rng(seed)
    _, codes = np.unique(groups, return_inverse=True)
    n_groups = int(codes.max()) + 1
    drawn: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(n_resamples):
        counts = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups)
        for name, value in measure(counts[codes].astype(np.float64)).items():
            drawn[name].append(value)
    return {
        name: Estimate(value, *(float(v) for v in np.nanquantile(drawn[name], [0.025, 0.975])))
        if np.isfinite(value)
        else Estimate(float("nan"), float("nan"), float("nan"))
        for name, value in values.items()
    }
