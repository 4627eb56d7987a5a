"""Has what comes in changed? Scores, detections and events of a window against a reference."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import MissingExtraError
from buckler.evaluation.intervals import Estimate, Rate, rate
from buckler.synthesis.two_sample import two_sample_test

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
N_BINS = 10
_MAX_DOMAIN_ROWS = 4000


@dataclass(frozen=True)
class Drift:
    """A window against the reference.

    Attributes
    ----------
    psi
        Population stability index of the score, over ten equal shares of the reference. 0.1 is
        usually called small, above 0.25 large; it says nothing of chance.
    ks, p_value
        Kolmogorov-Smirnov distance of the score, and how likely chance makes it so large.
    q_value
        The p-value after control of the false discovery rate over all windows and slices
        (Benjamini and Hochberg 1995).
    detections
        Share of the window that raises one.
    domain
        AUROC of a classifier that tells the window's events from the reference's; 0.5 is not at
        all. NaN where there are too few, or it was not asked for.
    """

    psi: float
    ks: float
    p_value: float
    q_value: float
    detections: Rate
    domain: Estimate


def population_stability(reference: Floats, window: Floats, bins: int = N_BINS) -> float:
    """Return the population stability index; shares of nothing count as half a row."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    expected = np.bincount(np.searchsorted(edges, reference), minlength=len(edges) + 1)
    found = np.bincount(np.searchsorted(edges, window), minlength=len(edges) + 1)
    e = np.maximum(expected, 0.5) / np.maximum(expected, 0.5).sum()
    f = np.maximum(found, 0.5) / np.maximum(found, 0.5).sum()
    return float(((f - e) * np.log(f / e)).sum())


def kolmogorov_smirnov(reference: Floats, window: Floats) -> tuple[float, float]:
    """Return distance and p-value of the two-sample test.

    Raises
    ------
    MissingExtraError
        If scipy is not installed.
    """
    try:
        from scipy.stats import ks_2samp
    except ImportError as error:
        raise MissingExtraError("drift tests", "monitor") from error
    found = ks_2samp(reference, window, method="asymp")
    return float(found.statistic), float(found.pvalue)


def discovery_rates(p_values: list[float]) -> list[float]:
    """Return q-values: at most this share of those below it is chance."""
    from scipy.stats import false_discovery_control

    return [float(q) for q in false_discovery_control(p_values)] if p_values else []


def domain_auroc(reference: Dataset, window: Dataset, seed: int = 0) -> Estimate:
    """Return how well a classifier tells the events apart, in folds by group.

    Groups that stand on both sides are no help to it, and the same events none at all.
    """
    rng = np.random.default_rng(seed)
    few = [
        events.take(np.sort(rng.permutation(len(events))[:_MAX_DOMAIN_ROWS]))
        for events in (window, reference)
    ]
    codes = few[0].group_codes().astype(np.intp)
    return two_sample_test(few[0], codes, few[1], seed).auroc


def drifts(
    pairs: list[tuple[Floats, Floats]], detections: list[Bools], domains: list[Estimate]
) -> list[Drift]:
    """Compare score with its reference, pair by pair, all of them as one family of tests.

    Parameters
    ----------
    pairs
        Reference and window.
    """
    tests = [kolmogorov_smirnov(reference, window) for reference, window in pairs]
    q_values = discovery_rates([p for _, p in tests])
    return [
        Drift(population_stability(reference, window), ks, p, q, rate(detected), domain)
        for (reference, window), (ks, p), q, detected, domain in zip(
            pairs, tests, q_values, detections, domains, strict=True
        )
    ]
