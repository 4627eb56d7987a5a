"""Chooses the events to ask a teacher about when not everything can be asked.

Near-duplicates are asked about once; the answer serves all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.hashed_vectors import hashed_vectors
from buckler.dataset.splits import near_duplicate_clusters
from buckler.errors import InputError, SettingsError
from buckler.files import atomic_writer
from buckler.readers.quarantine import Quarantine
from buckler.runtime import load
from buckler.tasks import get_task

Floats = npt.NDArray[np.float64]


class SelectionMethod(StrEnum):
    """A way to choose events.

    ``random``: the baseline. ``uncertain``: the smallest margin between the two likeliest classes.
    ``diverse``: k-center, each farthest from all chosen and labeled ones (Sener and Savarese
    2018). ``badge``: uncertain and diverse at once, by k-means++ on the gradients that the last
    layer would get (Ash et al. 2020).
    """

    RANDOM = "random"
    UNCERTAIN = "uncertain"
    DIVERSE = "diverse"
    BADGE = "badge"


@dataclass(frozen=True)
class Selection:
    """The events to ask about.

    Attributes
    ----------
    rows
        Rows of the pool, in the order of choice.
    duplicate_of
        int64 [pool]: the row whose answer also serves this one; mostly the row itself.
    """

    rows: npt.NDArray[np.intp]
    duplicate_of: npt.NDArray[np.intp]

    def spread(self) -> npt.NDArray[np.intp]:
        """Return for each row of the pool which of `rows` answers for it, or -1."""
        position = np.full(len(self.duplicate_of), -1, np.intp)
        position[self.rows] = np.arange(len(self.rows))
        return position[self.duplicate_of]


@dataclass(frozen=True)
class SelectionSettings:
    """Settings of `select`.

    Attributes
    ----------
    method
        Way to choose.
    bundle
        Bundle that scores the pool; ``uncertain`` and ``badge`` need one.
    labeled
        Labeled files to differ from, for ``diverse``.
    text_column
        Name of the text column, where the task's usual names do not fit.
    seed
        Random seed.
    """

    method: SelectionMethod = SelectionMethod.BADGE
    bundle: Path | None = None
    labeled: Sequence[Path] = ()
    text_column: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class SelectionSummary:
    """Outcome of `select`.

    Attributes
    ----------
    n_pool, n_chosen
        Events of the pool, and those that were chosen.
    n_served
        Events that the labels of the chosen ones serve, near-duplicates included.
    quarantine
        Summary of the rows that could not be read; empty where there are none.
    """

    n_pool: int
    n_chosen: int
    n_served: int
    quarantine: str


def select(
    pool: Sequence[Path],
    task: str,
    number: int,
    output: Path,
    settings: SelectionSettings = SelectionSettings(),
    *,
    on_step: Callable[[str], None] = lambda _: None,
) -> SelectionSummary:
    """Choose events of files whose labels would teach most, and write them as Parquet.

    Parameters
    ----------
    pool
        Files or folders of unlabeled events.
    task
        Name of a task, or path of a task file.
    number
        Events to choose at most.
    output
        Parquet file to write; its column ``serves`` counts the near-duplicates of an event.
    settings
        Method, bundle and labeled files.
    on_step
        Called with the name of each step.

    Raises
    ------
    BucklerError
        If an input or a setting is not valid, or the file cannot be written.
    """
    found, columns = get_task(task), ColumnNames(text=settings.text_column)
    labeled = probabilities = None
    with Quarantine() as quarantine:
        on_step("reading")
        events = read_dataset(pool, found, columns, labeled=False, quarantine=quarantine)
        if settings.labeled:
            labeled = read_dataset(settings.labeled, found, columns)
        if settings.bundle is not None:
            on_step("scoring")
            probabilities = score_pool(events, settings.bundle)
        on_step("choosing")
        chosen = choose_events(
            events,
            number,
            settings.method,
            probabilities=probabilities,
            labeled=labeled,
            seed=settings.seed,
        )
        bad_rows = quarantine.summary() if quarantine.count else ""
    serves = np.bincount(chosen.duplicate_of, minlength=len(events))[chosen.rows]
    table = events.table.take(pa.array(chosen.rows)).append_column("serves", pa.array(serves))
    with atomic_writer(output) as file:
        pq.write_table(table, file)
    return SelectionSummary(len(events), len(chosen.rows), int(serves.sum()), bad_rows)


def score_pool(pool: Dataset, bundle: Path) -> Floats:
    """Return the class probabilities that a bundle gives the events of a pool.

    Raises
    ------
    SettingsError
        If the bundle has other classes than the task of the pool.
    """
    scorer = load(bundle)
    if list(scorer.classes) != pool.task.class_names:
        raise SettingsError(
            f"{bundle}: a bundle of other classes than task {pool.task.name!r}", path=bundle
        )
    return scorer.score(pool.raw).probabilities.astype(np.float64)


def choose_events(
    pool: Dataset,
    n: int,
    method: SelectionMethod,
    *,
    probabilities: Floats | None = None,
    labeled: Dataset | None = None,
    seed: int = 0,
) -> Selection:
    """Choose `n` events of a pool (fewer, if it has fewer different ones).

    Parameters
    ----------
    probabilities
        float64 [pool, classes]: the answers of a student; ``uncertain`` and ``badge`` need them.
    labeled
        Events that are labeled already: ``diverse`` keeps away from them.

    Raises
    ------
    InputError
        If the method needs probabilities and none are given.
    """
    if probabilities is None and method in (SelectionMethod.UNCERTAIN, SelectionMethod.BADGE):
        raise InputError(f"choosing by {method} needs a student's probabilities of the pool")
    rng = np.random.default_rng(seed)
    duplicate_of = near_duplicate_clusters(pool.texts)
    different = np.flatnonzero(duplicate_of == np.arange(len(pool)))
    n = min(n, len(different))
    if method is SelectionMethod.RANDOM:
        rows = rng.permutation(different)[:n]
    elif method is SelectionMethod.UNCERTAIN and probabilities is not None:
        top = np.sort(probabilities[different], axis=1)
        rows = different[np.argsort(top[:, -1] - top[:, -2], kind="stable")[:n]]
    else:
        vectors = hashed_vectors(pool.texts.take(different))
        if method is SelectionMethod.BADGE and probabilities is not None:
            rows = different[_badge(probabilities[different], vectors, n, rng)]
        else:
            others = hashed_vectors(labeled.texts) if labeled is not None else None
            rows = different[_k_center(vectors, others, n, rng)]
    return Selection(rows, duplicate_of)


def _k_center(
    vectors: npt.NDArray[np.float32],
    others: npt.NDArray[np.float32] | None,
    n: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.intp]:
    nearest = np.full(len(vectors), -np.inf, np.float32)
    if others is not None and len(others):
        for start in range(0, len(others), 1024):
            found = (vectors @ others[start : start + 1024].T).max(axis=1)
            nearest = np.maximum(nearest, found)
        rows = [int(nearest.argmin())]
    else:
        rows = [int(rng.integers(len(vectors)))]
    while len(rows) < n:
        nearest = np.maximum(nearest, vectors @ vectors[rows[-1]])
        nearest[rows[-1]] = np.inf
        rows.append(int(nearest.argmin()))
    return np.array(rows, np.intp)


def _badge(
    p: Floats, vectors: npt.NDArray[np.float32], n: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Seed k-means++ on gradients, which are outer products and never written out."""
    residual = p.astype(np.float32)
    residual[np.arange(len(p)), p.argmax(axis=1)] -= 1
    squared = np.square(residual).sum(axis=1) * np.square(vectors).sum(axis=1)
    rows = [int(squared.argmax())]
    distance = np.full(len(p), np.inf, np.float32)
    while len(rows) < n:
        last = rows[-1]
        product = (residual @ residual[last]) * (vectors @ vectors[last])
        distance = np.minimum(distance, np.maximum(squared + squared[last] - 2 * product, 0))
        distance[last] = 0
        total = float(distance.sum(dtype=np.float64))
        if total <= 0:
            left = np.setdiff1d(np.arange(len(p)), rows)
            rows += rng.permutation(left)[: n - len(rows)].tolist()
            break
        at = np.searchsorted(np.cumsum(distance, dtype=np.float64), rng.random() * total)
        rows.append(min(int(at), len(p) - 1))
    return np.array(rows[:n], np.intp)
