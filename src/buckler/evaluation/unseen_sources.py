"""Figures of a student source by source, where it saw no event of the source's family.

Within one collection nearly any student looks excellent, because the classes differ by era, format
or crawler. So the figures that count are those on sources that training has not seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from buckler.dataset import Dataset
from buckler.dataset.sources import source_family
from buckler.errors import SettingsError
from buckler.evaluation.intervals import Rate, rate
from buckler.evaluation.metrics import make_operating_curve, roc_area
from buckler.operating_point import OperatingCurve, OperatingPoint

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]
Rows = npt.NDArray[np.intp]
MAX_SOURCES = 60
_PAIR_ROWS = 2_000  # of a source, in the AUROC of a pair


class ThresholdRule(StrEnum):
    """Negatives on which the target false-positive rate must hold.

    ``known-sources``: held-out groups of the training sources. ``unseen-sources``: all negatives,
    scored by students that saw no event of their source. ``worst-source``: each such source by
    itself. ``own-negatives``: the user's own negatives.
    """

    KNOWN = "known-sources"
    UNSEEN = "unseen-sources"
    WORST = "worst-source"
    OWN = "own-negatives"


@dataclass(frozen=True)
class SourceScores:
    """Scores of labeled events by students that did not see the events' sources.

    Attributes
    ----------
    score
        float32 [n]: probability of a positive class.
    is_positive
        bool [n]: true for events of a positive class.
    sources
        Source of each event; None where unknown.
    groups
        int64 [n]: group of each event; intervals count events of one group together.
    unseen
        bool [n]: true where the student saw no event of the source's family. It is false where a
        class has a single family, which cannot be left out.
    """

    score: Floats
    is_positive: Bools
    sources: Objects
    groups: npt.NDArray[np.int64]
    unseen: Bools

    @staticmethod
    def of(events: Dataset, score: Floats, unseen: Bools | None = None) -> "SourceScores":
        """Return the scores of labeled events; by default no source counts as unseen."""
        unseen = np.zeros(len(events), bool) if unseen is None else unseen
        return SourceScores(score, events.is_positive, events.sources, events.group_codes(), unseen)

    def by_family(self, score: Floats, unseen: Bools) -> "SourceScores":
        """Return other scores of the same events, whose sources are families."""
        families = [None if name is None else source_family(name) for name in self.sources]
        return replace(self, score=score, unseen=unseen, sources=np.array(families, object))

    def take(self, rows: Bools) -> "SourceScores":
        """Return the scores of some events."""
        return SourceScores(*(values[rows] for values in vars(self).values()))

    def negatives(self) -> dict[str, Floats]:
        """Return the scores of the negatives of each unseen source."""
        return {name: self.score[rows] for name, rows in self.rows(~self.is_positive).items()}

    def positives(self) -> dict[str, Floats]:
        """Return the scores of the positives of each unseen source."""
        return {name: self.score[rows] for name, rows in self.rows(self.is_positive).items()}

    def rows(self, kind: Bools) -> dict[str, Rows]:
        """Return the rows of a kind of events of each unseen source."""
        rows = np.flatnonzero(kind & self.unseen)
        names = self.sources[rows].astype(str)
        return {str(name): rows[names == name] for name in np.unique(names)}

    def positives_of_unseen(self) -> Rows:
        """Return the positive rows of unseen sources; all positive rows where there are none."""
        rows = np.flatnonzero(self.is_positive & self.unseen)
        return rows if len(rows) else np.flatnonzero(self.is_positive)

    def share_detected(self, rows: Rows | Bools, threshold: float) -> Rate:
        """Return the share of some events that is detected, with its interval by group."""
        return rate(self.score[rows] >= np.float32(threshold), self.groups[rows])


@dataclass(frozen=True)
class SourceFigures:
    """Figures of one source.

    Attributes
    ----------
    source
        Name of the source.
    unseen
        True where the student saw no event of its family.
    detection, false_positives
        Shares of its positive and other events that are detected at the deployed threshold; None
        where it has no such events.
    auroc
        Area under the ROC curve within the source; None unless it has both kinds.
    uncertain
        Share of its events of which the student cannot tell; None where that is not known.
    """

    source: str
    unseen: bool
    detection: Rate | None
    false_positives: Rate | None
    auroc: float | None
    uncertain: Rate | None = None


def source_figures(
    scores: SourceScores, threshold: float, least: float | None = None
) -> tuple[SourceFigures, ...]:
    """Return the figures of each source, the largest first; rare ones are left out.

    A score from `least` to below the threshold is uncertain: no positive class is ruled out.
    """
    known = np.flatnonzero([name is not None for name in scores.sources])
    names, counts = np.unique(scores.sources[known].astype(str), return_counts=True)
    found = []
    for name in names[np.argsort(-counts, kind="stable")][:MAX_SOURCES]:
        rows = scores.sources == name
        positive, other = rows & scores.is_positive, rows & ~scores.is_positive
        area = roc_area(scores.score[rows], scores.is_positive[rows])
        # A source counts as unseen where all that it has to show was.
        unseen = bool(scores.unseen[rows].all())
        detection, false_positives = (
            scores.share_detected(kind, threshold) if kind.any() else None
            for kind in (positive, other)
        )
        uncertain = None
        if least is not None:
            own = scores.score[rows]
            uncertain = rate(
                (own >= np.float32(least)) & (own < np.float32(threshold)), scores.groups[rows]
            )
        own_area = None if np.isnan(area) else area
        shares = detection, false_positives, own_area, uncertain
        found.append(SourceFigures(str(name), unseen, *shares))
    return tuple(found)


def mean_pair_auroc(scores: SourceScores, rng: np.random.Generator) -> tuple[float | None, int]:
    """Return the mean AUROC over pairs of an unseen positive and an unseen negative source.

    Each pair counts alike, so a large source cannot hide a small one.

    Returns
    -------
    float or None
        The mean; None without a pair.
    int
        Number of pairs.
    """
    positives = {name: _sample(own, rng) for name, own in scores.positives().items()}
    negatives = {name: _sample(own, rng) for name, own in scores.negatives().items()}
    areas = [
        roc_area(np.append(p, n), np.arange(len(p) + len(n)) < len(p))
        for p in _largest(positives)
        for n in _largest(negatives)
    ]
    return (float(np.mean(areas)) if areas else None), len(areas)


def _largest(scores: Mapping[str, Floats]) -> Sequence[Floats]:
    return sorted(scores.values(), key=len, reverse=True)[:MAX_SOURCES]


def _sample(scores: Floats, rng: np.random.Generator) -> Floats:
    return scores if len(scores) <= _PAIR_ROWS else rng.permutation(scores)[:_PAIR_ROWS]


def operating_curves(
    known: SourceScores, unseen: SourceScores | None, own: Floats | None
) -> dict[ThresholdRule, OperatingCurve]:
    """Return the curve of every rule that has enough negatives.

    Parameters
    ----------
    known
        Scores by students that did not see the event's group.
    unseen
        Scores by students that did not see the event's source; None where there are too few
        sources.
    own
        Scores of the user's own negatives.
    """
    of_known = known.score[known.is_positive]
    held_out = {ThresholdRule.KNOWN: ([known.score[~known.is_positive]], of_known)}
    positives = of_known if unseen is None else unseen.score[unseen.positives_of_unseen()]
    if unseen is not None and (by_source := [*unseen.negatives().values()]):
        held_out[ThresholdRule.UNSEEN] = ([np.concatenate(by_source)], positives)
        held_out[ThresholdRule.WORST] = (by_source, positives)
    if own is not None:
        held_out[ThresholdRule.OWN] = ([own], positives)
    curves = {rule: make_operating_curve(*scores, rule) for rule, scores in held_out.items()}
    return {rule: curve for rule, curve in curves.items() if curve is not None}


@dataclass(frozen=True)
class ThresholdOption:
    """A threshold that could be deployed, and its effect on unseen sources.

    Attributes
    ----------
    rule
        Rule that gives it.
    value
        The threshold.
    detection, false_positives
        Shares over all events of unseen sources.
    worst_source, worst_false_positives
        Source with the highest share of false positives among those with enough negatives.
    """

    rule: ThresholdRule
    value: float
    detection: Rate
    false_positives: Rate
    worst_source: str
    worst_false_positives: Rate


def threshold_options(
    scores: SourceScores, curves: Mapping[ThresholdRule, OperatingCurve], point: OperatingPoint
) -> tuple[ThresholdOption, ...]:
    """Return the threshold that each rule gives for a wish, with its effect on unseen sources."""
    by_source = scores.rows(~scores.is_positive)
    if not by_source:
        return ()
    negatives = np.concatenate(list(by_source.values()))
    positives = scores.positives_of_unseen()
    options = []
    for rule, curve in curves.items():
        try:
            value = curve.threshold(point)
        except SettingsError:
            continue
        at = {name: scores.share_detected(rows, value) for name, rows in by_source.items()}
        target = max(curve.rates_at(value)[0], curve.least_fpr)
        large = {name: found for name, found in at.items() if found.n_rows * target >= 1} or at
        worst = max(large, key=lambda name: large[name].value)
        options.append(
            ThresholdOption(
                rule,
                value,
                scores.share_detected(positives, value),
                scores.share_detected(negatives, value),
                worst,
                at[worst],
            )
        )
    return tuple(options)


@dataclass(frozen=True)
class LaterFigures:
    """Figures of the latest events of a family, where the student learned what is older.

    Attributes
    ----------
    family
        Name of the family of sources.
    positive
        True for its events of a positive class, false for the others.
    since
        Time of the first of the events, in seconds since 1970.
    detected
        Share that the student of older events detects, of this family too.
    detected_unseen
        The same share by a student that saw no event of the family, older or newer; None where
        there is no such student.
    """

    family: str
    positive: bool
    since: float
    detected: Rate
    detected_unseen: Rate | None


def later_figures(
    later: SourceScores, unseen: SourceScores, times: npt.NDArray[np.float64], threshold: float
) -> tuple[LaterFigures, ...]:
    """Return the figures of the latest events of each family, positive ones first.

    Parameters
    ----------
    later
        Scores by students of older events; its sources are families.
    unseen
        Scores of the same events by students that did not see their families.
    times
        Time of each event in seconds since 1970.
    threshold
        Score from which an event is detected.
    """
    found = []
    for positive in (True, False):
        for family, rows in later.rows(later.is_positive == positive).items():
            own = later.share_detected(rows, threshold)
            apart = unseen.share_detected(rows, threshold) if unseen.unseen[rows].all() else None
            found.append(LaterFigures(family, positive, float(times[rows].min()), own, apart))
    return tuple(found)


@dataclass(frozen=True)
class SourceRecord:
    """The figures of a student on unseen sources, as the manifest of its bundle holds them.

    Attributes
    ----------
    rule
        Rule of the thresholds.
    threshold
        Score at which the figures were measured; None before a threshold is chosen.
    sources
        Figures by source at that threshold.
    options
        Thresholds of all rules for the same operating point.
    pair_auroc, n_pairs
        Mean AUROC over pairs of unseen sources, and the number of pairs.
    warnings
        Sentences on what the sources do not allow to say.
    later
        Figures of the latest events of each family; empty unless they were asked for.
    """

    rule: ThresholdRule
    threshold: float | None
    sources: tuple[SourceFigures, ...]
    options: tuple[ThresholdOption, ...]
    pair_auroc: float | None
    n_pairs: int
    warnings: tuple[str, ...]
    later: tuple[LaterFigures, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON values."""
        found: dict[str, object] = TypeAdapter(SourceRecord).dump_python(self, mode="json")
        return found

    @staticmethod
    def read(values: Mapping[str, object]) -> "SourceRecord | None":
        """Read what `to_json` returned; None where there is nothing, or nothing sound."""
        try:
            return TypeAdapter(SourceRecord).validate_python(values)
        except ValidationError:
            return None
