"""Weights that sources agree on: the mean of students of some of the sources, shrunk.

A weight that only one collection teaches tells the collection rather than the threat. So several
students learn, each from a random half of the families of sources. With mean m and standard
deviation s of what they find for a weight, it becomes m · m² / (m² + strength · s²): what all of
them find stays, and what changes with the sources goes to zero. Averaging over samples is bagging
(Breiman 1996), here of sources; keeping what holds in every environment is the idea of Parascandolo
et al. 2020.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from buckler.dataset import Dataset
from buckler.dataset.dataset import MADE_FROM
from buckler.dataset.sources import sample_sources, source_families
from buckler.students.student import Floats

SAMPLE_EPOCHS = 2  # of these students; on URLs, twice as many changed nothing
_MOST, _MOST_POSITIVE = 3_000, 30_000  # events of a source and class: beyond, one source prevails


def sample_families(events: Dataset, times: int, rng: np.random.Generator) -> Iterator[Dataset]:
    """Yield the events of half the families of each class, rounded up and drawn anew each time.

    A large source counts by a random sample. Copies stand and fall with their origin, whose id they
    keep; other synthetic examples are a family of their own. Nothing is yielded where no class has
    two families.
    """
    events = _sample_with_copies(events, rng)
    families = np.unique(source_families(events), return_inverse=True)[1]
    pairs, codes = np.unique(np.stack([events.labels, families]), axis=1, return_inverse=True)
    own = [np.flatnonzero(pairs[0] == label) for label in np.unique(pairs[0])]
    for _ in range(times if pairs.shape[1] > len(own) else 0):
        half = [rng.permutation(rows)[: (len(rows) + 1) // 2] for rows in own]
        yield events.take(np.flatnonzero(np.isin(codes.ravel(), np.concatenate(half))))


def _sample_with_copies(events: Dataset, rng: np.random.Generator) -> Dataset:
    """Return a sample of each large source with the copies of its events, as of that source."""
    if MADE_FROM not in events.table.column_names:
        return sample_sources(events, _MOST, _MOST_POSITIVE, rng)
    ids, made = events.table["id"], np.array(events.table[MADE_FROM].is_valid())
    real = np.flatnonzero(~made)[::-1]  # of events that repeat, the last names the source
    origin = pc.index_in(ids, ids.take(pa.array(real))).fill_null(-1).to_numpy()
    is_copy = made & (origin >= 0)
    sample = sample_sources(events.take(np.flatnonzero(~is_copy)), _MOST, _MOST_POSITIVE, rng)
    is_kept = is_copy & np.array(pc.is_in(ids, sample.table["id"]), bool)
    sources = events.table["source"].take(pa.array(real[origin[is_kept]])).combine_chunks()
    copies = events.take(np.flatnonzero(is_kept)).with_column("source", sources)
    return Dataset.concat([sample, copies])


class Agreement:
    """Mean and spread of the weights of several students, without keeping them (Welford 1962).

    Attributes
    ----------
    count
        Number of students that were added.
    """

    def __init__(self) -> None:
        self.count = 0
        self._table = self._squares = self._bias = np.zeros((), np.float32)

    def add(self, table: Floats, bias: Floats) -> None:
        """Add the weights of a student: a table, and a bias that is only averaged."""
        self.count += 1
        difference = table - self._table
        self._table = self._table + difference / np.float32(self.count)
        self._squares = self._squares + difference * (table - self._table)
        self._bias = self._bias + (bias - self._bias) / np.float32(self.count)

    def shrunk(self, strength: float) -> tuple[Floats, Floats]:
        """Return the mean table, shrunk where the students disagree, and the mean bias."""
        signal = self._table * self._table
        total = signal + np.float32(strength / self.count) * self._squares
        factors = np.divide(signal, total, out=np.zeros_like(signal), where=total > 0)
        return self._table * factors, self._bias
