"""Windows of time: compares each with the reference, and raises drift alerts with a reason."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.evaluation.intervals import UNKNOWN, rate
from buckler.monitoring.drift import (
    Drift,
    discovery_rates,
    kolmogorov_smirnov,
    measure_domain_auroc,
    population_stability,
)
from buckler.monitoring.quality import (
    EstimatedQuality,
    MeasuredQuality,
    SampledQuality,
    estimate_quality,
    measure_quality,
)
from buckler.runtime import Scorer

_NAMES = {"month": "%Y-%m", "week": "%G-W%V", "day": "%Y-%m-%d"}
PERIODS = (*_NAMES, "all")


@dataclass(frozen=True)
class DriftLimits:
    """Limits beyond which a window gets a drift alert.

    Attributes
    ----------
    psi
        Population stability index, where the q-value is below `max_q_value` too.
    max_q_value
        Share of such alerts that chance may make.
    domain_auroc
        AUROC of the domain classifier: an alert where its interval lies above. None trains none.
    detection_ratio
        Ratio of the detection rate to the reference's, up or down, with intervals apart.
    false_positive_ratio
        Ratio of the false-positive rate to the deployed one: an alert where its interval lies
        above.
    recall_loss
        Share of the reference's recall: an alert where the loss is surely larger.
    min_events
        Events that a window needs.
    """

    psi: float = 0.25
    max_q_value: float = 0.01
    domain_auroc: float | None = 0.75
    detection_ratio: float = 2.0
    false_positive_ratio: float = 2.0
    recall_loss: float = 0.1
    min_events: int = 200


@dataclass(frozen=True)
class DriftAlert:
    """A warning of the monitor: its reason, and what to do about it."""

    reason: str
    action: str


@dataclass(frozen=True)
class Window:
    """One window of time, or a slice of one.

    Attributes
    ----------
    name
        Name, such as ``2026-04`` or ``2026-04, source a``.
    n_events
        Number of events.
    drift
        Difference from the reference.
    estimated, measured
        Quality without labels, and by labels; `measured` is None without labels.
    alerts
        Drift alerts, empty where nothing is wrong.
    sampled, sampled_by
        Quality that a labeled sample gives, and who labeled it; None where nobody did.
    """

    name: str
    n_events: int
    drift: Drift
    estimated: EstimatedQuality
    measured: MeasuredQuality | None
    alerts: tuple[DriftAlert, ...] = ()
    sampled: SampledQuality | None = None
    sampled_by: str = ""


@dataclass(frozen=True)
class MonitorResult:
    """All windows, and the reference that they are compared with.

    Attributes
    ----------
    reference
        Quality on the reference; None where it has no labels.
    reference_detection_rate
        Share of the reference events that are detections.
    windows, slices
        Windows by time, and parts of them against the same part of the reference.
    skipped
        Name and number of events of windows that are too small.
    bundle, lead, notes
        Name of the bundle, a sentence on the events compared, and what a reader must know.
    """

    reference: MeasuredQuality | None
    reference_detection_rate: float
    windows: list[Window]
    slices: list[Window] = field(default_factory=list)
    skipped: list[tuple[str, int]] = field(default_factory=list)
    bundle: str = ""
    lead: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoredEvents:
    """Events with the answers of a bundle.

    Attributes
    ----------
    events
        The events.
    scores
        float64 [n].
    detected
        bool [n].
    """

    events: Dataset
    scores: npt.NDArray[np.float64]
    detected: npt.NDArray[np.bool_]

    def take(self, rows: npt.NDArray[np.intp]) -> "ScoredEvents":
        """Return these rows, in this order."""
        return ScoredEvents(self.events.take(rows), self.scores[rows], self.detected[rows])


def score_events(scorer: Scorer, events: Dataset) -> ScoredEvents:
    """Score events at the deployed threshold."""
    verdicts = scorer.score(events.raw)
    return ScoredEvents(events, verdicts.scores.astype(np.float64), verdicts.detected)


def window_names(events: Dataset, by: str) -> npt.NDArray[np.object_]:
    """Return the month, week or day of each event, or ``all``; None where it has no time.

    Raises
    ------
    InputError
        If no event has a time.
    """
    if by == "all":
        return np.full(len(events), "all", object)
    if np.isnan(events.times).all():
        raise InputError("no event has a time (column ts): take all as one window", field="by")
    return np.array(
        [
            None if np.isnan(t) else datetime.fromtimestamp(t, UTC).strftime(_NAMES[by])
            for t in events.times
        ],
        object,
    )


def compare_windows(
    reference: ScoredEvents,
    current: ScoredEvents,
    names: npt.NDArray[np.object_],
    *,
    deployed_fpr: float | None = None,
    limits: DriftLimits = DriftLimits(),
    slices: Sequence[str] = (),
    seed: int = 0,
) -> MonitorResult:
    """Compare windows of current events with reference events.

    Parameters
    ----------
    reference
        Events from the time when the bundle was made, none of which it learned from.
    names
        Window of each current event; None leaves the event out.
    deployed_fpr
        False-positive rate that the threshold was chosen for.
    slices
        Columns of both: windows are compared value by value too, where both sides have enough.

    Raises
    ------
    InputError
        If the reference is too small, or no window is large enough.
    MissingExtraError
        If scipy is not installed.
    """
    least = limits.min_events
    if len(reference.events) < least:
        raise InputError(f"{len(reference.events):,} reference events are fewer than {least}")
    order = sorted({name for name in names if name is not None})
    rows = {name: np.flatnonzero(names == name) for name in order}
    pairs = [
        _Pair(name, current.take(rows[name]), reference)
        for name in order
        if len(rows[name]) >= least
    ]
    if not pairs:
        raise InputError(f"no window has {least} events; take longer ones", field="by")
    n_windows = len(pairs)
    for column in slices:
        pairs += [part for pair in pairs[:n_windows] for part in _slice_pair(pair, column, least)]
    windows = [
        replace(window, alerts=tuple(_find_alerts(window, pair.reference, deployed_fpr, limits)))
        for window, pair in zip(_compare(pairs, limits, seed), pairs, strict=True)
    ]
    return MonitorResult(
        _measure(reference),
        float(reference.detected.mean()),
        windows[:n_windows],
        windows[n_windows:],
        [(name, len(rows[name])) for name in order if len(rows[name]) < least],
    )


def add_samples(
    result: MonitorResult, samples: Mapping[str, SampledQuality], sampled_by: str
) -> MonitorResult:
    """Return the result with labeled samples, and alerts where the scores promised more.

    Parameters
    ----------
    samples
        Window -> quality that its sample gives.
    sampled_by
        Who labeled the samples, such as ``the teacher``.
    """
    windows = []
    for window in result.windows:
        sample = samples.get(window.name)
        if sample is None:
            windows.append(window)
            continue
        alerts = window.alerts
        expected = window.estimated.precision
        if sample.precision.n_rows and sample.precision.high < expected.low:
            reason = (
                f"precision {sample.precision.value:.2f} in the sample labeled by {sampled_by}, "
                f"where {expected.value:.2f} was expected"
            )
            alerts += (DriftAlert(reason, "let analysts label a sample, and train again with it"),)
        windows.append(replace(window, sampled=sample, sampled_by=sampled_by, alerts=alerts))
    return replace(result, windows=windows)


@dataclass(frozen=True)
class _Pair:
    """A window or a slice of one, beside its side of the reference."""

    name: str
    current: ScoredEvents
    reference: ScoredEvents


def _slice_pair(pair: _Pair, column: str, least: int) -> Iterator[_Pair]:
    now, then = pair.current.events.column(column), pair.reference.events.column(column)
    for value in sorted({v for v in now if v is not None}):
        rows, against = np.flatnonzero(now == value), np.flatnonzero(then == value)
        if min(len(rows), len(against)) >= least:
            name = f"{pair.name}, {column} {str(value)[:40]}"
            yield _Pair(name, pair.current.take(rows), pair.reference.take(against))


def _compare(pairs: list[_Pair], limits: DriftLimits, seed: int) -> list[Window]:
    """Compare all pairs as one family of tests."""
    tests = [kolmogorov_smirnov(p.reference.scores, p.current.scores) for p in pairs]
    q_values = discovery_rates([p_value for _, p_value in tests])
    windows = []
    for pair, (ks, p_value), q_value in zip(pairs, tests, q_values, strict=True):
        now, then = pair.current, pair.reference
        groups = now.events.group_codes()
        drift = Drift(
            psi=population_stability(then.scores, now.scores),
            ks=ks,
            p_value=p_value,
            q_value=q_value,
            detection_rate=rate(now.detected, groups),
            domain_auroc=UNKNOWN
            if limits.domain_auroc is None
            else measure_domain_auroc(then.events, now.events, seed),
        )
        estimated = estimate_quality(now.scores, now.detected, groups, float(then.scores.mean()))
        windows.append(Window(pair.name, len(now.events), drift, estimated, _measure(now)))
    return windows


def _measure(scored: ScoredEvents) -> MeasuredQuality | None:
    rows = np.flatnonzero(scored.events.labels >= 0)
    positive = scored.events.task.positive_indices
    if not len(rows) or not positive:
        return None
    is_positive = np.isin(scored.events.labels[rows], positive)
    groups = scored.events.group_codes()[rows]
    return measure_quality(scored.scores[rows], scored.detected[rows], is_positive, groups)


def _find_alerts(
    window: Window, reference: ScoredEvents, deployed_fpr: float | None, limits: DriftLimits
) -> Iterator[DriftAlert]:
    drift, measured, before = window.drift, window.measured, _measure(reference)
    if measured is not None and before is not None:
        expected = (1 - limits.recall_loss) * before.recall.value
        if measured.recall.n_rows and measured.recall.high < expected:
            yield DriftAlert(
                f"recall {measured.recall.value:.3f} where it was {before.recall.value:.3f}",
                "train again with events of this time, and compare before you promote",
            )
        found = measured.false_positive_rate
        if deployed_fpr is not None and found.low > limits.false_positive_ratio * deployed_fpr:
            yield DriftAlert(
                f"false-positive rate {found.value:.4f} where {deployed_fpr:g} was deployed",
                "choose the threshold again on events of this time, or train again",
            )
    if limits.domain_auroc is not None and drift.domain_auroc.low > limits.domain_auroc:
        yield DriftAlert(
            f"events differ from the reference: domain AUROC {drift.domain_auroc.value:.2f}",
            "look at what is new; let a teacher or an analyst label a sample of it",
        )
    if drift.psi > limits.psi and drift.q_value < limits.max_q_value:
        yield DriftAlert(
            f"scores have moved: PSI {drift.psi:.2f}, q {drift.q_value:.2g}",
            "let a teacher or an analyst label a sample before you trust the threshold",
        )
    usual, now, ratio = (
        float(reference.detected.mean()),
        drift.detection_rate,
        limits.detection_ratio,
    )
    if usual and (now.low > ratio * usual or now.high * ratio < usual):
        yield DriftAlert(
            f"detection rate {now.value:.4f} where it was {usual:.4f}",
            "an attack wave, a new source or a blind spot: look at detections and at a sample of "
            "the other events",
        )
