"""Drift: compares scores, detections and events of a window with a reference."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.evaluation.intervals import Estimate, Rate
from buckler.extras import import_extra
from buckler.synthesis.two_sample import two_sample_test

Floats = npt.NDArray[np.float64]
N_BINS = 10
_MAX_DOMAIN_ROWS = 4000


@dataclass(frozen=True)
class Drift:
    """Difference between a window and the reference.

    Attributes
    ----------
    psi
        Population stability index of the score, over ten equal shares of the reference. 0.1 is
        usually called small, above 0.25 large; it takes no account of chance.
    ks, p_value
        Kolmogorov-Smirnov distance of the score, and how likely chance makes it so large.
    q_value
        The p-value after control of the false discovery rate over all windows and slices
        (Benjamini and Hochberg 1995).
    detection_rate
        Share of the window's events that are detections.
    domain_auroc
        AUROC of a domain classifier, which separates the window's events from the reference's; 0.5
        means that it cannot. NaN where there are too few events, or none was trained.
    """

    psi: float
    ks: float
    p_value: float
    q_value: float
    detection_rate: Rate
    domain_auroc: Estimate


def population_stability(reference: Floats, window: Floats) -> float:
    """Return the population stability index; an empty share counts as half a row."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    expected = np.bincount(np.searchsorted(edges, reference), minlength=len(edges) + 1)
    observed = np.bincount(np.searchsorted(edges, window), minlength=len(edges) + 1)
    e = np.maximum(expected, 0.5) / np.maximum(expected, 0.5).sum()
    o = np.maximum(observed, 0.5) / np.maximum(observed, 0.5).sum()
    return float(((o - e) * np.log(o / e)).sum())


def kolmogorov_smirnov(reference: Floats, window: Floats) -> tuple[float, float]:
    """Return distance and p-value of the two-sample test.

    Raises
    ------
    MissingExtraError
        If scipy is not installed.
    """
    stats = import_extra("scipy.stats", "drift tests", "monitor")
    test = stats.ks_2samp(reference, window, method="asymp")
    return float(test.statistic), float(test.pvalue)


def discovery_rates(p_values: list[float]) -> list[float]:
    """Return q-values: the share of discoveries below each that chance makes.

    Raises
    ------
    MissingExtraError
        If scipy is not installed.
    """
    if not p_values:
        return []
    stats = import_extra("scipy.stats", "drift tests", "monitor")
    return [float(q) for q in stats.false_discovery_control(p_values)]


def measure_domain_auroc(reference: Dataset, window: Dataset, seed: int = 0) -> Estimate:
    """Return the AUROC of a domain classifier, out of fold by group.

    Groups and events that stand on both sides do not help it.
    """
    rng = np.random.default_rng(seed)
    ours, theirs = (
        events.take(np.sort(rng.permutation(len(events))[:_MAX_DOMAIN_ROWS]))
        for events in (window, reference)
    )
    return two_sample_test(ours, theirs, seed).auroc
