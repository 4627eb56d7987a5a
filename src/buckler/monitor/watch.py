"""Windows of time against a reference, and what to say of each: fine, or an alarm with a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError
from buckler.evaluation.bootstrap import Estimate
from buckler.events import Events
from buckler.monitor.drift import Drift, domain_auroc, drifts
from buckler.monitor.quality import Labelled, Sampled, Unlabelled, with_labels, without_labels
from buckler.runtime import Scorer
from buckler.tasks import Task

_NOWHERE = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Limits:
    """From where on it is an alarm.

    Attributes
    ----------
    psi
        Population stability index; with a q-value below `chance`.
    chance
        Share of such alarms that chance may make.
    domain
        AUROC of the domain classifier: the low end of its interval above this.
    alarm_ratio
        Of the alarm rate to the reference's, or the other way round; their intervals apart.
    false_alarms
        Times the rate that was deployed: the low end of the measured rate above this.
    detection_loss
        Of the reference's detection: the high end of the measured rate below what is left.
    least
        Events that a window needs.
    """

    psi: float = 0.25
    chance: float = 0.01
    domain: float = 0.75
    alarm_ratio: float = 2.0
    false_alarms: float = 2.0
    detection_loss: float = 0.1
    least: int = 200


@dataclass(frozen=True)
class Alarm:
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
    unlabelled, labelled
        Its quality; `labelled` is None without labels.
    alarms
        What is wrong; empty where nothing is.
    asked, asked_by
        What judged samples of it say, and who judged them; None where nobody was asked.
    """

    name: str
    n: int
    drift: Drift
    unlabelled: Unlabelled
    labelled: Labelled | None
    alarms: tuple[Alarm, ...] = ()
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

    reference: Labelled | None
    reference_alarms: float
    windows: list[Window]
    skipped: list[tuple[str, int]] = field(default_factory=list)
    slices: list[Window] = field(default_factory=list)


def window_names(events: Events, by: str) -> npt.NDArray[np.object_]:
    """Return the month, week or day of each event; None where it has no time.

    Raises
    ------
    InputError
        If no event has a time.
    """
    forms = {"month": "%Y-%m", "week": "%G-W%V", "day": "%Y-%m-%d"}
    times = events.column("ts")
    if all(t is None for t in times):
        raise InputError("no event has a time (column ts): give --by all")
    form = forms[by]
    return np.array(
        [None if t is None else datetime.fromtimestamp(t, UTC).strftime(form) for t in times],
        object,
    )


def watch(
    scorer: Scorer,
    reference: Events,
    current: Events,
    task: Task,
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
        raise InputError(f"no window has {limits.least} events; take longer ones with --by")
    n_windows = len(parts)
    for column in slices:
        parts += _sliced(column, reference, current, parts[:n_windows], limits.least)
    before, before_alarms = _scored(scorer, reference)
    scored = (before, before_alarms)
    found = _compared(scorer, reference, scored, current, task, parts, limits, domain, seed)
    bad_classes = [task.class_names.index(name) for name in task.bad]
    known = _labelled(reference, before, before_alarms, bad_classes)
    return Watched(
        known, float(before_alarms.mean()), found[:n_windows], skipped, found[n_windows:]
    )


@dataclass(frozen=True)
class _Part:
    """A window, or a slice of one: its rows, and those of the reference that it is held against."""

    name: str
    rows: npt.NDArray[np.intp]
    against: npt.NDArray[np.intp]


def _sliced(
    column: str, reference: Events, current: Events, windows: list[_Part], least: int
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
    reference: Events,
    scored: tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]],
    current: Events,
    task: Task,
    parts: list[_Part],
    limits: Limits,
    domain: bool,
    seed: int,
) -> list[Window]:
    """Compare every part with its side of the reference, all as one family of tests."""
    bad_classes = [task.class_names.index(name) for name in task.bad]
    before, before_alarms = scored
    scores, alarms = _scored(scorer, current)
    now = [current.take(part.rows) for part in parts]
    then = [reference.take(part.against) for part in parts]
    domains = [
        domain_auroc(b, a, task, seed) if domain else _NOWHERE
        for a, b in zip(now, then, strict=True)
    ]
    pairs = [(before[part.against], scores[part.rows]) for part in parts]
    found = []
    for part, a, b, drift in zip(
        parts, now, then, drifts(pairs, [alarms[p.rows] for p in parts], domains), strict=True
    ):
        badness, raised = scores[part.rows], alarms[part.rows]
        was, was_raised = before[part.against], before_alarms[part.against]
        window = Window(
            part.name,
            len(a),
            drift,
            without_labels(badness, raised, a.group_codes(), float(was.mean())),
            _labelled(a, badness, raised, bad_classes),
        )
        known = _labelled(b, was, was_raised, bad_classes)
        found.append(_judged(window, known, was_raised, scorer, limits))
    return found


def with_asked(
    watched: Watched, asked: Mapping[str, Sampled], who: str = "by the teacher"
) -> Watched:
    """Return the windows with what samples say, and alarms where the scores promised more."""
    windows = []
    for window in watched.windows:
        said = asked.get(window.name)
        if said is None:
            windows.append(window)
            continue
        alarms = window.alarms
        if said.precision.n_rows and said.precision.high < window.unlabelled.precision.low:
            reason = (
                f"{who}, {said.precision.value:.2f} of alarms are bad, "
                f"{window.unlabelled.precision.value:.2f} were expected"
            )
            alarms += (Alarm(reason, "let people judge a sample, and train again with it"),)
        windows.append(replace(window, asked=said, asked_by=who, alarms=alarms))
    return replace(watched, windows=windows)


def _scored(
    scorer: Scorer, events: Events
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    scores = scorer.score(events.table.column("text"))
    return scores.badness.astype(np.float64), scorer.alarms(scores)


def _labelled(
    events: Events,
    badness: npt.NDArray[np.float64],
    alarms: npt.NDArray[np.bool_],
    bad_classes: list[int],
) -> Labelled | None:
    rows = np.flatnonzero(events.labels >= 0)
    if not len(rows) or not bad_classes:
        return None
    return with_labels(badness[rows], alarms[rows], np.isin(events.labels[rows], bad_classes))


def _judged(
    window: Window,
    reference: Labelled | None,
    before_alarms: npt.NDArray[np.bool_],
    scorer: Scorer,
    limits: Limits,
) -> Window:
    """Return the window with its alarms."""
    found: list[Alarm] = []
    drift, labelled = window.drift, window.labelled
    if labelled is not None and reference is not None:
        kept = (1 - limits.detection_loss) * reference.detection.value
        if labelled.detection.n_rows and labelled.detection.high < kept:
            found.append(
                Alarm(
                    f"detection {labelled.detection.value:.3f} where it was "
                    f"{reference.detection.value:.3f}",
                    "train again with events of this time, and compare before you promote",
                )
            )
        promised = scorer.manifest.deployed_fpr
        if promised is not None and labelled.false_alarms.low > limits.false_alarms * promised:
            found.append(
                Alarm(
                    f"false alarms {labelled.false_alarms.value:.4f}, aimed at {promised:g}",
                    "choose the threshold again on events of this time, or train again",
                )
            )
    if drift.domain.low > limits.domain:
        found.append(
            Alarm(
                f"events are told from the reference's with AUROC {drift.domain.value:.2f}",
                "look at what is new; ask a teacher or a person about a sample of it",
            )
        )
    if drift.psi > limits.psi and drift.q_value < limits.chance:
        found.append(
            Alarm(
                f"scores have moved: PSI {drift.psi:.2f}, q {drift.q_value:.2g}",
                "ask a teacher or a person about a sample before you trust the threshold",
            )
        )
    usual = float(before_alarms.mean())
    if usual and (
        drift.alarms.low > limits.alarm_ratio * usual
        or drift.alarms.high * limits.alarm_ratio < usual
    ):
        found.append(
            Alarm(
                f"alarm rate {drift.alarms.value:.4f} where it was {usual:.4f}",
                "an attack wave, a new source or a blind spot: look at alarms and at a sample "
                "of the rest",
            )
        )
    return Window(window.name, window.n, drift, window.unlabelled, labelled, tuple(found))
