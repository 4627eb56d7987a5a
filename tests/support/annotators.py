"""Annotators whose errors are known, to measure how annotations are merged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.labels import Annotator
from buckler.labels.annotation import AnnotationBatch
from buckler.labels.merging import Merge, Targets, merge_annotations

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Crowd:
    """Annotators to simulate.

    Attributes
    ----------
    accuracies
        Share of right annotations of each annotator.
    shares
        Share of each class among the events.
    coverage
        Share of the events that each annotator sees.
    copied
        Share of the events on which every other annotator repeats the one before it.
    soft
        True gives probabilities that are higher where the annotator is right.
    rare_errors
        True puts most errors into the rare classes for half of the annotators, and into the common
        one for the others.
    """

    accuracies: tuple[float, ...]
    shares: tuple[float, ...]
    coverage: float = 1.0
    copied: float = 0.0
    soft: bool = False
    rare_errors: bool = False


def annotate(
    crowd: Crowd, n: int, rng: np.random.Generator
) -> tuple[list[AnnotationBatch], dict[int, Annotator], npt.NDArray[np.intp]]:
    """Return the annotations of so many events, their annotators, and the true classes."""
    n_classes, events = len(crowd.shares), np.arange(n)
    truth = rng.choice(n_classes, n, p=crowd.shares)
    is_common = truth == int(np.argmax(crowd.shares))
    hard = rng.random(n) < crowd.copied
    before: npt.NDArray[np.intp] | None = None
    batches = []
    for number, accuracy in enumerate(crowd.accuracies):
        right_share = np.full(n, accuracy)
        if crowd.rare_errors:
            right_share[is_common == (number % 2 == 0)] = 1 - (1 - accuracy) * 0.3
        wrong = (truth + 1 + rng.integers(0, n_classes - 1, n)) % n_classes
        chosen = np.where(rng.random(n) < right_share, truth, wrong)
        if before is not None and number % 2:
            chosen = np.where(hard, before, chosen)
        before = chosen
        p = np.eye(n_classes)[chosen]
        if crowd.soft:
            sure = rng.beta(8, 2, n) * np.where(chosen == truth, 1, 0.85)
            sure = np.clip(sure, 1 / n_classes + 0.02, 0.99)[:, None]
            p = p * sure + (1 - p) * (1 - sure) / (n_classes - 1)
        batches.append(_batch(np.flatnonzero(rng.random(n) < crowd.coverage), number, p))
    annotators = {k: Annotator(f"a{k}", "", "model") for k in range(len(crowd.accuracies))}
    seen = np.unique(np.concatenate([[_number(i) for i in b.event_ids] for b in batches]))
    return batches, annotators, truth[np.isin(events, seen)]


def _number(event_id: bytes) -> int:
    return int.from_bytes(event_id, "big")


def _batch(rows: npt.NDArray[np.intp], annotator: int, p: Floats) -> AnnotationBatch:
    n = len(rows)
    return AnnotationBatch(
        [int(row).to_bytes(16, "big") for row in rows],
        np.full(n, annotator, np.int64),
        p[rows].astype(np.float32),
        np.ones(n),
        np.zeros(n),
        np.zeros(n, np.int64),
        [None] * n,
    )


@dataclass(frozen=True)
class MergeComparison:
    """A merge beside the mean; above 0, the merge is worse.

    Attributes
    ----------
    error, brier
        Difference in the share of wrong classes, and in the Brier score.
    error_noise, brier_noise
        Their standard errors.
    """

    error: float
    brier: float
    error_noise: float
    brier_noise: float

    @property
    def is_worse(self) -> bool:
        """True where a difference is beyond noise (three standard errors and half a point)."""
        return (
            self.error > 0.005 + 3 * self.error_noise or self.brier > 0.005 + 3 * self.brier_noise
        )


def compare_with_mean(crowd: Crowd, n: int, method: Merge, seed: int) -> MergeComparison:
    """Merge the same annotations by a method and by the mean."""
    batches, annotators, truth = annotate(crowd, n, np.random.default_rng(seed))
    error, brier = (
        a - b
        for a, b in zip(
            _losses(merge_annotations(batches, annotators, method), truth),
            _losses(merge_annotations(batches, annotators, Merge.MEAN), truth),
            strict=True,
        )
    )
    root = np.sqrt(len(error))
    return MergeComparison(
        float(error.mean()), float(brier.mean()), error.std() / root, brier.std() / root
    )


def _losses(targets: Targets, truth: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return for each event the chance of a wrong class (ties are drawn), and the Brier score."""
    order = np.argsort([_number(i) for i in targets.event_ids])
    p, rows = targets.probabilities[order], np.arange(len(order))
    top = p > p.max(axis=1, keepdims=True) - 1e-9
    right = top[rows, truth] / top.sum(axis=1)
    return 1 - right, ((p - np.eye(p.shape[1])[truth]) ** 2).sum(axis=1)


ACCURACIES: Sequence[tuple[float, ...]] = (
    (1.0,),
    (0.8,),
    (0.95, 0.7),
    (0.85, 0.85),
    (0.6, 0.9),
    (0.9, 0.8, 0.7),
    (0.95, 0.6, 0.6),
    (0.85, 0.85, 0.85),
    (0.95, 0.35, 0.35, 0.4),
    (0.9, 0.8, 0.7, 0.85),
    (0.8, 0.8, 0.85, 0.85),
)


def class_shares(n_classes: int, rare: float) -> tuple[float, ...]:
    """Return shares of which all but the first add up to the rare one, each half the last."""
    weights = 0.5 ** np.minimum(np.arange(n_classes - 1), 3)
    return (1 - rare, *(rare * weights / weights.sum()).tolist())


def crowds(shares: Sequence[tuple[float, ...]]) -> list[Crowd]:
    """Return every combination of annotators, coverage, copied errors and kinds of answers."""
    return [
        Crowd(accuracies, share, coverage, copied, soft, rare_errors)
        for share in shares
        for accuracies in ACCURACIES
        for coverage in (0.5, 1.0)
        for copied in (0.0, 0.5, 0.9)
        for soft in (False, True)
        for rare_errors in (False, True)
    ]
