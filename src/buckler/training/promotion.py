"""Is a candidate better than the deployed bundle? A paired comparison on the same events."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import InputError, SettingsError
from buckler.evaluation.intervals import Estimate, Rate, bootstrap
from buckler.evaluation.intervals import rate as share_of
from buckler.evaluation.metrics import Ranking, enough_negatives, tpr_at_fpr
from buckler.runtime import Scorer

_RESAMPLES = 1000
# So many times the false positives that were aimed at, or that the deployed one raises, may be raised.
_TOLERATED, _MORE = 2.0, 1.25


@dataclass(frozen=True)
class FalsePositives:
    """What the bundles' own thresholds do on the events: the ranking may be fine, and they not.

    Attributes
    ----------
    aimed
        The false-positive rate that they were chosen for.
    champion, candidate
        Share of events that are not positive and raise a detection.
    more
        How many more the candidate raises, with its interval.
    """

    aimed: float
    champion: float
    candidate: Rate
    more: Estimate

    @property
    def too_many(self) -> bool:
        """Whether the candidate surely raises a quarter more, and twice what was aimed at."""
        surely = self.candidate.low
        at_most = max(_TOLERATED * self.aimed, _MORE * self.champion)
        return self.more.low > 0 and surely > at_most


@dataclass(frozen=True)
class Paired:
    """Two bundles on the same events.

    Attributes
    ----------
    name
        Of the events.
    measure
        What is compared: detection at the deployed false-positive rate of these very events, or
        accuracy where no class is bad or the negatives are too few to say.
    champion, candidate, gain
        The figures, and the gain with its interval: events of a group are drawn together, and both
        bundles judge the same draws.
    false_detections
        At the bundles' own thresholds; None where no class is bad, or a bundle has none.
    """

    name: str
    measure: str
    champion: float
    candidate: float
    gain: Estimate
    false_positives: FalsePositives | None = None

    @property
    def better(self) -> bool:
        """Whether the candidate is surely better."""
        return self.gain.low > 0 and not self.worse

    @property
    def worse(self) -> bool:
        """Whether it is surely worse, or its threshold lets too many false positives through."""
        too_many = self.false_positives is not None and self.false_positives.too_many
        return self.gain.high < 0 or too_many


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and why.

    Attributes
    ----------
    promote
        Surely better on one set of events, and surely worse on none.
    reason
        In a sentence.
    compared
        One for each set.
    """

    promote: bool
    reason: str
    compared: tuple[Paired, ...]


def decide(
    champion: Scorer,
    candidate: Scorer,
    tests: Sequence[tuple[str, Dataset]],
    *,
    guards: Sequence[tuple[str, Dataset]] = (),
) -> Decision:
    """Compare a candidate with the deployed bundle.

    Parameters
    ----------
    tests
        Any of these can promote, and refuse.
    guards
        These can only refuse: events that were chosen because the deployed bundle was unsure of
        them make any other look better.

    Raises
    ------
    SettingsError
        If they decide different things.
    InputError
        If there are no labeled events, or a set lacks a class.
    """
    for what in ("task", "classes", "positive"):
        if getattr(champion.manifest, what) != getattr(candidate.manifest, what):
            raise SettingsError(
                f"{candidate.manifest.name} and the deployed bundle differ in their {what}"
            )
    if not tests:
        raise InputError("a promotion needs labeled events to compare on")
    compared = tuple(_paired(champion, candidate, name, events) for name, events in tests)
    # Of events that were chosen near the threshold, its false positives say nothing.
    compared += tuple(
        replace(_paired(champion, candidate, name, events), false_positives=None)
        for name, events in guards
    )
    worse = [pair for pair in compared if pair.worse]
    better = [pair for pair in compared[: len(tests)] if pair.better]
    if worse:
        return Decision(False, f"worse on {_said(worse[0])}", compared)
    if better:
        return Decision(True, f"better on {_said(better[0])}", compared)
    return Decision(False, f"no sure gain: {_said(compared[0])}", compared)


def _said(pair: Paired) -> str:
    detections = pair.false_positives
    if detections is not None and detections.too_many:
        return (
            f"{pair.name}: at its own threshold {detections.candidate.value:.4f} false positives, where "
            f"{detections.aimed:g} was aimed at and the deployed one gives {detections.champion:.4f}"
        )
    gain = pair.gain
    return (
        f"{pair.name}: {pair.measure} {pair.champion:.4f} before, {pair.candidate:.4f} after, "
        f"gain {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
    )


def _paired(champion: Scorer, candidate: Scorer, name: str, events: Dataset) -> Paired:
    task = events.task
    rows = np.flatnonzero(events.labels >= 0)
    if not len(rows):
        raise InputError(f"{name}: no event has a label")
    events = events.take(rows)
    texts = events.raw_texts
    both = [scorer.score(texts) for scorer in (champion, candidate)]
    positive = np.isin(events.labels, task.positive_indices)
    rate = champion.manifest.deployed_fpr
    ranked = bool(task.positive) and rate is not None and positive.any() and not positive.all()
    if ranked and rate is not None and enough_negatives(int((~positive).sum()), rate):
        measure = f"detection at FPR {rate:g}"
        rankings = [Ranking(verdicts.scores, positive) for verdicts in both]

        def figures(weights: npt.NDArray[np.float64] | None) -> list[float]:
            return [tpr_at_fpr(ranking.roc(weights), rate) for ranking in rankings]

    else:
        measure = "accuracy"
        right = [(verdicts.label_indices == events.labels).astype(np.float64) for verdicts in both]

        def figures(weights: npt.NDArray[np.float64] | None) -> list[float]:
            return [float(np.average(hits, weights=weights)) for hits in right]

    def measured(weights: npt.NDArray[np.float64] | None) -> dict[str, float]:
        before, after = figures(weights)
        return {"gain": after - before}

    gain = bootstrap(measured, events.group_codes(), _RESAMPLES)["gain"]
    before, after = figures(None)
    detections = None
    if rate is not None and candidate.threshold() is not None and not positive.all():
        raised = [verdicts.detected[~positive] for verdicts in both]
        good = events.take(np.flatnonzero(~positive))
        detections = _false_positives(raised[0], raised[1], good.group_codes(), rate)
    return Paired(name, measure, before, after, gain, detections)


def _false_positives(
    before: npt.NDArray[np.bool_],
    after: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    aimed: float,
) -> FalsePositives:
    """Compare detections on events that are not positive."""

    def measured(weights: npt.NDArray[np.float64] | None) -> dict[str, float]:
        shares = [float(np.average(raised, weights=weights)) for raised in (before, after)]
        return {"more": shares[1] - shares[0]}

    more = bootstrap(measured, groups, _RESAMPLES)["more"]
    return FalsePositives(aimed, float(before.mean()), share_of(after), more)
