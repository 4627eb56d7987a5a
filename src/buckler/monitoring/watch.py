"""Windows of time against a reference, and what to say of each: fine, or a detection with a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.evaluation.intervals import Estimate
from buckler.monitoring.drift import Drift, domain_auroc, drifts
from buckler.monitoring.quality import Labeled, Sampled, Unlabeled, with_labels, without_labels
from buckler.runtime import Scorer

_NOWHERE = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Limits:
    """From where on it is a detection.

    Attributes
    ----------
    psi
        Population stability index; with a q-value below `chance`.
    chance
        Share of such detections that chance may make.
    domain
        AUROC of the domain classifier: the low end of its interval above this.
    detection_ratio
        Of the detection rate to the reference's, or the other way round; their intervals apart.
    false_detections
        Times the rate that was deployed: the low end of the measured rate above this.
    detection_loss
        Of the reference's detection: the high end of the measured rate below what is left.
    least
        Events that a window needs.
    """

    psi: float = 0.25
    chance: float = 0.01
    domain: float = 0.75
    detection_ratio: float = 2.0
    false_positives: float = 2.0
    detection_loss: float = 0.1
    least: int = 200


@dataclass(frozen=True)
class DriftAlert:
    """What is wrong, and what to do about it."""

    reason: str
    action: str


@dataclass(frozen=True)
class Window:
    """One window of time.

    Attributes
    ----------
    name, n
        Such as ``2026-04``, and its events.
    drift
        Against the reference.
    unlabeled, labeled
        Its quality; `labeled` is None without labels.
    alerts
        What is wrong; empty where nothing is.
    asked, asked_by
        What judged samples of it say, and who judged them; None where nobody was asked.
    """

    name: str
    n: int
    drift: Drift
    unlabeled: Unlabeled
    labeled: Labeled | None
    alerts: tuple[DriftAlert, ...] = ()
    asked: Sampled | None = None
    asked_by: str = ""


@dataclass(frozen=True)
class Watched:
    """All windows, and the reference that they were compared with.

    Attributes
    ----------
    reference
        As a window of its own, where it has labels, drift aside.
    skipped
        Windows with too few events: name and number.
    slices
        Parts of windows against the same part of the reference: ``2026-04, source a``.
    """

    reference: Labeled | None
    reference_detections: float
    windows: list[Window]
    skipped: list[tuple[str, int]] = field(default_factory=list)
    slices: list[Window] = field(default_factory=list)


def window_names(events: Dataset, by: str) -> npt.NDArray[np.object_]:
    """Return the month, week or day of each event; None where it has no time.

    Raises
    ------
    InputError
        If no event has a time.
    """
    forms = {"month": "%Y-%m", "week": "%G-W%V", "day": "%Y-%m-%d"}
    times = events.column("ts")
    if all(t is None for t in times):
        raise InputError("no event has a time (column ts): take all as one window", field="by")
    form = forms[by]
    return np.array(
        [None if t is None else datetime.fromtimestamp(t, UTC).strftime(form) for t in times],
        object,
    )


def watch(
    scorer: Scorer,
    reference: Dataset,
    current: Dataset,
    names: npt.NDArray[np.object_],
    *,
    limits: Limits = Limits(),
    domain: bool = True,
    slices: Sequence[str] = (),
    seed: int = 0,
) -> Watched:
    """Compare windows of current events with reference events.

    Parameters
    ----------
    reference
        Events as they were when the bundle was made, none of which it learned from.
    names
        The window of each current event; None leaves it out.
    slices
        Columns of both: windows are compared value by value too, where both sides have enough.

    Raises
    ------
    InputError
        If the reference is too small, or no window is large enough.
    """
    if len(reference) < limits.least:
        raise InputError(f"{len(reference):,} reference events are fewer than {limits.least}")
    order = sorted({name for name in names if name is not None})
    rows = {name: np.flatnonzero(names == name) for name in order}
    skipped = [(name, len(rows[name])) for name in order if len(rows[name]) < limits.least]
    everything = np.arange(len(reference))
    parts = [_Part(n, rows[n], everything) for n in order if len(rows[n]) >= limits.least]
    if not parts:
        raise InputError(f"no window has {limits.least} events; take longer ones", field="by")
    n_windows = len(parts)
    for column in slices:
        parts += _sliced(column, reference, current, parts[:n_windows], limits.least)
    before, before_detections = _scored(scorer, reference)
    scored = (before, before_detections)
    found = _compared(scorer, reference, scored, current, parts, limits, domain, seed)
    positive_classes = reference.task.positive_indices
    known = _labeled(reference, before, before_detections, positive_classes)
    return Watched(
        known, float(before_detections.mean()), found[:n_windows], skipped, found[n_windows:]
    )


@dataclass(frozen=True)
class _Part:
    """A window, or a slice of one: its rows, and those of the reference that it is held against."""

    name: str
    rows: npt.NDArray[np.intp]
    against: npt.NDArray[np.intp]


def _sliced(
    column: str, reference: Dataset, current: Dataset, windows: list[_Part], least: int
) -> list[_Part]:
    now, then = current.column(column), reference.column(column)
    found = []
    for window in windows:
        for value in sorted({v for v in now[window.rows] if v is not None}):
            rows = window.rows[now[window.rows] == value]
            against = np.flatnonzero(then == value)
            if min(len(rows), len(against)) >= least:
                found.append(_Part(f"{window.name}, {column} {str(value)[:40]}", rows, against))
    return found


def _compared(
    scorer: Scorer,
    reference: Dataset,
    scored: tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]],
    current: Dataset,
    parts: list[_Part],
    limits: Limits,
    domain: bool,
    seed: int,
) -> list[Window]:
    """Compare every part with its side of the reference, all as one family of tests."""
    positive_classes = reference.task.positive_indices
    before, before_detections = scored
    scores, detections = _scored(scorer, current)
    now = [current.take(part.rows) for part in parts]
    then = [reference.take(part.against) for part in parts]
    domains = [
        domain_auroc(b, a, seed) if domain else _NOWHERE for a, b in zip(now, then, strict=True)
    ]
    pairs = [(before[part.against], scores[part.rows]) for part in parts]
    found = []
    for part, a, b, drift in zip(
        parts, now, then, drifts(pairs, [detections[p.rows] for p in parts], domains), strict=True
    ):
        score, raised = scores[part.rows], detections[part.rows]
        was, was_raised = before[part.against], before_detections[part.against]
        window = Window(
            part.name,
            len(a),
            drift,
            without_labels(score, raised, a.group_codes(), float(was.mean())),
            _labeled(a, score, raised, positive_classes),
        )
        known = _labeled(b, was, was_raised, positive_classes)
        found.append(_judged(window, known, was_raised, scorer, limits))
    return found


def with_asked(
    watched: Watched, asked: Mapping[str, Sampled], who: str = "by the teacher"
) -> Watched:
    """Return the windows with what samples say, and detections where the scores promised more."""
    windows = []
    for window in watched.windows:
        said = asked.get(window.name)
        if said is None:
            windows.append(window)
            continue
        alerts = window.alerts
        if said.precision.n_rows and said.precision.high < window.unlabeled.precision.low:
            reason = (
                f"{who}, {said.precision.value:.2f} of detections are bad, "
                f"{window.unlabeled.precision.value:.2f} were expected"
            )
            alerts += (DriftAlert(reason, "let people judge a sample, and train again with it"),)
        windows.append(replace(window, asked=said, asked_by=who, alerts=alerts))
    return replace(watched, windows=windows)


def _scored(
    scorer: Scorer, events: Dataset
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    verdicts = scorer.score(events.raw_texts)
    return verdicts.scores.astype(np.float64), verdicts.detected


def _labeled(
    events: Dataset,
    score: npt.NDArray[np.float64],
    detections: npt.NDArray[np.bool_],
    positive_classes: list[int],
) -> Labeled | None:
    rows = np.flatnonzero(events.labels >= 0)
    if not len(rows) or not positive_classes:
        return None
    return with_labels(
        score[rows], detections[rows], np.isin(events.labels[rows], positive_classes)
    )


def _judged(
    window: Window,
    reference: Labeled | None,
    before_detections: npt.NDArray[np.bool_],
    scorer: Scorer,
    limits: Limits,
) -> Window:
    """Return the window with its detections."""
    found: list[DriftAlert] = []
    drift, labeled = window.drift, window.labeled
    if labeled is not None and reference is not None:
        kept = (1 - limits.detection_loss) * reference.detection.value
        if labeled.detection.n_rows and labeled.detection.high < kept:
            found.append(
                DriftAlert(
                    f"detection {labeled.detection.value:.3f} where it was "
                    f"{reference.detection.value:.3f}",
                    "train again with events of this time, and compare before you promote",
                )
            )
        promised = scorer.manifest.deployed_fpr
        if promised is not None and labeled.false_positives.low > limits.false_positives * promised:
            found.append(
                DriftAlert(
                    f"false positives {labeled.false_positives.value:.4f}, aimed at {promised:g}",
                    "choose the threshold again on events of this time, or train again",
                )
            )
    if drift.domain.low > limits.domain:
        found.append(
            DriftAlert(
                f"events are told from the reference's with AUROC {drift.domain.value:.2f}",
                "look at what is new; ask a teacher or a person about a sample of it",
            )
        )
    if drift.psi > limits.psi and drift.q_value < limits.chance:
        found.append(
            DriftAlert(
                f"scores have moved: PSI {drift.psi:.2f}, q {drift.q_value:.2g}",
                "ask a teacher or a person about a sample before you trust the threshold",
            )
        )
    usual = float(before_detections.mean())
    if usual and (
        drift.detections.low > limits.detection_ratio * usual
        or drift.detections.high * limits.detection_ratio < usual
    ):
        found.append(
            DriftAlert(
                f"detection rate {drift.detections.value:.4f} where it was {usual:.4f}",
                "an attack wave, a new source or a blind spot: look at detections and at a sample "
                "of the rest",
            )
        )
    return Window(window.name, window.n, drift, window.unlabeled, labeled, tuple(found))
