"""Chooses the events of a turn: some measure, the others teach."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.splits import near_duplicate_clusters
from buckler.evaluation.intervals import UNKNOWN, Estimate
from buckler.review.acquisition import rank_events
from buckler.review.refresh_settings import MEASURES, RANDOM, ROLE, RefreshSettings
from buckler.runtime import Scorer
from buckler.synthesis.two_sample import two_sample_test
from buckler.training.targets import held_out_rows

MIN_NEW = 20
_MAX_NEW, _MAX_KNOWN = 20_000, 4_000


@dataclass(frozen=True)
class StreamSample:
    """Events to ask about.

    Attributes
    ----------
    n_new
        Number of new events in the stream.
    chosen
        Events to ask about, with their role in the column ``role``: ``measures``, ``random``, or
        the reason why they teach.
    drift
        AUROC of a classifier that tells the new events from those known before; 0.5 is none.
    """

    n_new: int
    chosen: Dataset
    drift: Estimate = UNKNOWN

    @property
    def reasons(self) -> tuple[tuple[str, int], ...]:
        """Role -> number of events."""
        return tuple(sorted(Counter(self.chosen.column(ROLE)).items()) if len(self.chosen) else ())


def sample_stream(
    new: Dataset,
    known: Dataset | None,
    champion: Scorer,
    settings: RefreshSettings,
    number: int,
    rng: np.random.Generator,
) -> StreamSample:
    """Choose events of a stream: at random, near the threshold, uncertain, or unlike known ones.

    Parameters
    ----------
    new
        Events that came since the last turn.
    known
        Events from before, such as frozen tests; None where there are none.
    champion
        The deployed bundle.
    settings
        Shares of each kind.
    number
        Events to choose at most.
    rng
        Source of randomness.
    """
    n_new = len(new)
    number = min(number, n_new)
    if n_new < MIN_NEW or number < 1:
        return StreamSample(n_new, new.take(np.zeros(0, np.intp)))
    new = new.take(np.sort(rng.permutation(n_new)[:_MAX_NEW]))
    # Of near-duplicates one is enough: they would count one answer many times.
    new = new.take(np.flatnonzero(near_duplicate_clusters(new.texts) == np.arange(len(new))))
    drift, novelty = UNKNOWN, None
    if known is not None:
        known = known.take(np.sort(rng.permutation(len(known))[:_MAX_KNOWN]))
        found = two_sample_test(new, known, settings.seed)
        drift, novelty = found.auroc, found.synthetic
    measures = held_out_rows(new, settings.test_share)
    test_rows = rng.permutation(np.flatnonzero(measures))[: round(number * settings.test_share)]
    others, number = rng.permutation(np.flatnonzero(~measures)), number - len(test_rows)
    drawn = others[: max(1, round(number * settings.random_share))]
    ranking = rank_events(new, champion, novelty=novelty, sample_share=0)
    rest = np.sort(others[len(drawn) :])
    best = _best(ranking.acquisition, rest, number - len(drawn))
    roles = {
        **dict.fromkeys(test_rows.tolist(), MEASURES),
        **dict.fromkeys(drawn.tolist(), RANDOM),
        **{row: str(ranking.reason[row]) for row in best.tolist()},
    }
    order = sorted(roles)
    chosen = new.take(np.array(order, np.intp)).with_column(ROLE, [roles[row] for row in order])
    return StreamSample(n_new, chosen, drift)


def _best(
    acquisition: npt.NDArray[np.float64], rows: npt.NDArray[np.intp], number: int
) -> npt.NDArray[np.intp]:
    return rows[np.argsort(-acquisition[rows], kind="stable")][: max(0, number)]
