"""Agreement of two annotators beyond chance, and disagreement of models."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.evaluation.intervals import UNKNOWN, Estimate


@dataclass(frozen=True)
class Agreement:
    """Agreement of two annotators on the same events.

    Attributes
    ----------
    n
        Events that both annotated.
    share
        Share of events with the same class from both.
    kappa
        Cohen's kappa (1960): 0 is agreement by chance, 1 full agreement; NaN where only one class
        ever occurs. The interval is by the large-sample error of Fleiss, Cohen and Everitt
        (1969).
    """

    n: int
    share: float
    kappa: Estimate


def cohens_kappa(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], n_classes: int
) -> Agreement:
    """Return the agreement of two annotators.

    Parameters
    ----------
    first, second
        int64 [n]: class that each annotator gave.
    """
    n = len(first)
    if not n:
        return Agreement(0, float("nan"), UNKNOWN)
    table = np.zeros((n_classes, n_classes))
    np.add.at(table, (first, second), 1 / n)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    observed, chance = float(np.trace(table)), float(rows @ columns)
    if chance >= 1 - 1e-12:
        return Agreement(n, observed, UNKNOWN)
    kappa = (observed - chance) / (1 - chance)
    diagonal = np.diag(table)
    a = float((diagonal * ((1 - chance) - (rows + columns) * (1 - observed)) ** 2).sum())
    weights = (columns[:, None] + rows[None, :]) ** 2
    np.fill_diagonal(weights, 0)
    b = (1 - observed) ** 2 * float((table * weights).sum())
    c = (observed * chance - 2 * chance + observed) ** 2
    error = float(np.sqrt(max(0.0, a + b - c) / n)) / (1 - chance) ** 2
    low, high = max(-1.0, kappa - 1.96 * error), min(1.0, kappa + 1.96 * error)
    return Agreement(n, observed, Estimate(kappa, low, high))


def disagreement(probabilities: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return the Jensen-Shannon divergence of models (Lin 1991) for each row, in nats.

    Parameters
    ----------
    probabilities
        float64 [n, classes] of each model.
    """
    stacked = np.stack(probabilities)
    return np.asarray(_entropy(stacked.mean(axis=0)) - _entropy(stacked).mean(axis=0))


def _entropy(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    safe = np.clip(p, 1e-12, 1)
    return np.asarray(-(safe * np.log(safe)).sum(axis=-1))
