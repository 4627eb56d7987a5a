"""Families of sources: collections that share an origin, and are left out of training together."""

import re

import numpy as np
import numpy.typing as npt

from buckler.dataset.dataset import Dataset

_END_OF_FAMILY = re.compile(r"[/:(]")


def source_family(source: str) -> str:
    """Return the family of a source: its name up to the first ``/``, ``:`` or ``(``.

    Examples
    --------
    >>> source_family("ut1:games"), source_family("newsletter links (ruanyf/weekly)")
    ('ut1', 'newsletter links')
    """
    return _END_OF_FAMILY.split(source, maxsplit=1)[0].strip() or source


def source_families(events: Dataset) -> npt.NDArray[np.str_]:
    """Return the family of each event's source; empty where the source is unknown."""
    codes, names = events.source_codes()
    return np.array([source_family(name) if name else "" for name in names] or [""], str)[codes]


def balance_sources(events: Dataset, power: float) -> Dataset:
    """Return labeled events with weights that keep a large source from outweighing small ones.

    Within each class, an event weighs ``n ** -power``, where n is the number of the class's events
    of its source; the mean weight of the class stays as it was.

    Parameters
    ----------
    power
        1 gives each source of a class the same sum of weights; 0 leaves the weights as they are.
    """
    _, codes, counts = np.unique(_class_sources(events), return_inverse=True, return_counts=True)
    factors = counts[codes].astype(np.float64) ** -power
    weights = events.weights.astype(np.float64)
    for label in np.unique(events.labels):
        own = events.labels == label
        factors[own] *= weights[own].sum() / (weights[own] * factors[own]).sum()
    return events.with_weights((weights * factors).astype(np.float32))


def sample_sources(
    events: Dataset, most: int, most_positive: int, rng: np.random.Generator
) -> Dataset:
    """Return labeled events with a random sample of each source and class that is large.

    Events of a larger weight come first: those with an annotation are few, and all of them count.

    Parameters
    ----------
    most, most_positive
        Largest number of events of a source and a class, by whether the class is positive.
    """
    codes = _class_sources(events)
    order = np.lexsort((rng.random(len(events)), -events.weights, codes))
    codes = codes[order]
    first = np.searchsorted(codes, codes)
    limits = np.where(events.is_positive[order], most_positive, most)
    return events.take(np.sort(order[np.arange(len(order)) - first < limits]))


def _class_sources(events: Dataset) -> npt.NDArray[np.int64]:
    """Return a number for the class and the source of each event."""
    codes, names = events.source_codes()
    return events.labels.astype(np.int64) * len(names) + codes
