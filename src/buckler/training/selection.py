"""What to ask the teacher when not everything can be asked.

Near-duplicates are asked once; the answer is spread over those that were left out.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from buckler.dataset.dataset import Dataset
from buckler.dataset.deduplication import earlier_near_duplicates, minhash
from buckler.errors import InputError
from buckler.readers.features import hashed_vectors

Floats = npt.NDArray[np.float64]


class Choose(StrEnum):
    """How events are chosen.

    ``random``: the baseline. ``uncertain``: the smallest margin between the two likeliest classes.
    ``diverse``: k-center, each farthest from all chosen and labeled ones (Sener and Savarese
    2018). ``badge``: uncertain and diverse at once, by k-means++ on the gradients that the last
    layer would get (Ash et al. 2020). ``disagreement``: where several judges differ most
    (Jensen-Shannon divergence).
    """

    RANDOM = "random"
    UNCERTAIN = "uncertain"
    DIVERSE = "diverse"
    BADGE = "badge"
    DISAGREEMENT = "disagreement"


@dataclass(frozen=True)
class Chosen:
    """What to ask.

    Attributes
    ----------
    rows
        Of the pool, in the order of choice.
    standing_for
        int64 [pool]: the row whose answer also serves this one (itself, mostly).
    """

    rows: npt.NDArray[np.intp]
    standing_for: npt.NDArray[np.intp]

    def spread(self) -> npt.NDArray[np.intp]:
        """Return for each row of the pool which of `rows` answers for it, or -1."""
        position = np.full(len(self.standing_for), -1, np.intp)
        position[self.rows] = np.arange(len(self.rows))
        return position[self.standing_for]


def choose_events(
    pool: Dataset,
    n: int,
    method: Choose,
    *,
    probabilities: list[Floats] | None = None,
    labeled: Dataset | None = None,
    seed: int = 0,
) -> Chosen:
    """Choose `n` events of a pool (fewer, if it has fewer different ones).

    Parameters
    ----------
    probabilities
        What judges say of the pool, float64 [pool, classes] each: one for ``uncertain`` and
        ``badge``, two or more for ``disagreement``.
    labeled
        Events that are labeled already: ``diverse`` keeps away from them.

    Raises
    ------
    InputError
        If the method needs judges that are not given.
    """
    judges = probabilities or []
    needed = {Choose.UNCERTAIN: 1, Choose.BADGE: 1, Choose.DISAGREEMENT: 2}.get(method, 0)
    if len(judges) < needed:
        raise InputError(f"choosing by {method} needs the probabilities of {needed} judge(s)")
    rng = np.random.default_rng(seed)
    earlier = earlier_near_duplicates(minhash(pool.texts))
    standing_for = np.where(earlier >= 0, earlier, np.arange(len(pool)))
    for _ in range(16):  # chains of duplicates lead to their first
        further = standing_for[standing_for]
        if (further == standing_for).all():
            break
        standing_for = further
    different = np.flatnonzero(standing_for == np.arange(len(pool)))
    n = min(n, len(different))
    if method is Choose.RANDOM:
        rows = rng.permutation(different)[:n]
    elif method is Choose.UNCERTAIN:
        top = np.sort(judges[0][different], axis=1)
        rows = different[np.argsort(top[:, -1] - top[:, -2], kind="stable")[:n]]
    elif method is Choose.DISAGREEMENT:
        apart = disagreement([judge[different] for judge in judges])
        rows = different[np.argsort(-apart, kind="stable")[:n]]
    else:
        vectors = hashed_vectors(pool.texts.take(different))
        if method is Choose.DIVERSE:
            others = hashed_vectors(labeled.texts) if labeled is not None else None
            rows = different[_k_centre(vectors, others, n, rng)]
        else:
            rows = different[_badge(judges[0][different], vectors, n, rng)]
    return Chosen(rows, standing_for)


def disagreement(judges: list[Floats]) -> Floats:
    """Return the Jensen-Shannon divergence of judges (Lin 1991) for each row, in nats."""
    stacked = np.stack(judges)
    return np.asarray(_entropy(stacked.mean(axis=0)) - _entropy(stacked).mean(axis=0))


def _entropy(p: Floats) -> Floats:
    safe = np.clip(p, 1e-12, 1)
    return np.asarray(-(safe * np.log(safe)).sum(axis=-1))


def _k_centre(
    vectors: npt.NDArray[np.float32],
    others: npt.NDArray[np.float32] | None,
    n: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.intp]:
    if others is not None and len(others):
        nearest = np.full(len(vectors), -np.inf, np.float32)
        for start in range(0, len(others), 1024):
            found = (vectors @ others[start : start + 1024].T).max(axis=1)
            nearest = np.maximum(nearest, found)
        rows = [int(nearest.argmin())]
    else:
        rows = [int(rng.integers(len(vectors)))]
        nearest = np.full(len(vectors), -np.inf, np.float32)
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
