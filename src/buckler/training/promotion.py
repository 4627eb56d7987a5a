"""Compares a candidate with the deployed bundle, paired on the same events."""

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

# Key of a bundle's provenance: its test says that a student of labels alone is better.
WORSE_THAN_LABELS = "worse_than_labels_only"
_RESAMPLES = 1000
# Factors on the target rate, and on the deployed bundle's rate, up to which false positives are
# tolerated.
_TOLERATED, _MORE = 2.0, 1.25


@dataclass(frozen=True)
class FalsePositives:
    """False positives at the bundles' own thresholds: a good ranking may have a poor threshold.

    Attributes
    ----------
    target
        False-positive rate that the thresholds were chosen for.
    champion, candidate
        Share of negative events that are detected.
    increase
        Difference of the two shares, with its interval.
    """

    target: float
    champion: float
    candidate: Rate
    increase: Estimate

    @property
    def too_many(self) -> bool:
        """True where the candidate surely has a quarter more, and twice the target rate."""
        limit = max(_TOLERATED * self.target, _MORE * self.champion)
        return self.increase.low > 0 and self.candidate.low > limit


@dataclass(frozen=True)
class PairedComparison:
    """Two bundles on the same events.

    Attributes
    ----------
    name
        Name of the events.
    measure
        Figure that is compared: detection at the deployed false-positive rate of these very
        events, or accuracy where no class is positive or the negatives are too few.
    champion, candidate, gain
        Both figures, and the gain with its interval. Events of a group are drawn together, and both
        bundles score the same draws.
    false_positives
        False positives at the bundles' own thresholds; None where no class is positive, or a bundle
        has no threshold.
    """

    name: str
    measure: str
    champion: float
    candidate: float
    gain: Estimate
    false_positives: FalsePositives | None = None

    @property
    def better(self) -> bool:
        """True where the candidate is surely better."""
        return self.gain.low > 0 and not self.worse

    @property
    def worse(self) -> bool:
        """True where it is surely worse, or its threshold gives too many false positives."""
        too_many = self.false_positives is not None and self.false_positives.too_many
        return self.gain.high < 0 or too_many

    def sentence(self) -> str:
        """Return the comparison in a sentence."""
        found = self.false_positives
        if found is not None and found.too_many:
            return (
                f"{self.name}: {found.candidate.value:.4f} false positives at its own threshold, "
                f"where the target is {found.target:g} and the deployed bundle has "
                f"{found.champion:.4f}"
            )
        gain = self.gain
        return (
            f"{self.name}: {self.measure} {self.champion:.4f} before, {self.candidate:.4f} after, "
            f"gain {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
        )


@dataclass(frozen=True)
class Decision:
    """Decision on a promotion.

    Attributes
    ----------
    promote
        True where the candidate is surely better on one set of events and surely worse on none.
    reason
        Reason, in a sentence.
    compared
        ReportTable on each set.
    """

    promote: bool
    reason: str
    compared: tuple[PairedComparison, ...]


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
    champion, candidate
        The deployed bundle, and the one that may take its place.
    tests
        Named sets of labeled events that can promote and refuse.
    guards
        Named sets that can only refuse: events that were chosen because the deployed bundle was
        unsure of them make any other look better.

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
    compared = tuple(compare_bundles(champion, candidate, name, events) for name, events in tests)
    # Events that were chosen near the threshold say nothing about its false positives.
    compared += tuple(
        replace(compare_bundles(champion, candidate, name, events), false_positives=None)
        for name, events in guards
    )
    warning = candidate.manifest.provenance.get(WORSE_THAN_LABELS)
    if warning:
        return Decision(False, f"worse than labels alone: {warning}", compared)
    worse = [pair for pair in compared if pair.worse]
    better = [pair for pair in compared[: len(tests)] if pair.better]
    if worse:
        return Decision(False, f"worse on {worse[0].sentence()}", compared)
    if better:
        return Decision(True, f"better on {better[0].sentence()}", compared)
    return Decision(False, f"no sure gain: {compared[0].sentence()}", compared)


def compare_bundles(
    champion: Scorer, candidate: Scorer, name: str, events: Dataset
) -> PairedComparison:
    """Compare two bundles on a named set of labeled events.

    Raises
    ------
    InputError
        If no event has a label.
    """
    task = events.task
    events = events.only_labeled()
    if not len(events):
        raise InputError(f"{name}: no event has a label")
    both = [scorer.score(events.raw) for scorer in (champion, candidate)]
    positive = events.is_positive
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

    def measure_gain(weights: npt.NDArray[np.float64] | None) -> dict[str, float]:
        before, after = figures(weights)
        return {"gain": after - before}

    gain = bootstrap(measure_gain, events.group_codes(), _RESAMPLES)["gain"]
    before, after = figures(None)
    false_positives = None
    if rate is not None and candidate.threshold is not None and not positive.all():
        negatives = events.take(np.flatnonzero(~positive))
        detected = [verdicts.detected[~positive] for verdicts in both]
        false_positives = _compare_false_positives(detected, negatives.group_codes(), rate)
    return PairedComparison(name, measure, before, after, gain, false_positives)


def _compare_false_positives(
    detected: list[npt.NDArray[np.bool_]], groups: npt.NDArray[np.int64], target: float
) -> FalsePositives:
    """Compare detections of both bundles on negative events."""

    def measure_increase(weights: npt.NDArray[np.float64] | None) -> dict[str, float]:
        before, after = (float(np.average(flags, weights=weights)) for flags in detected)
        return {"increase": after - before}

    increase = bootstrap(measure_increase, groups, _RESAMPLES)["increase"]
    return FalsePositives(target, float(detected[0].mean()), share_of(detected[1]), increase)
