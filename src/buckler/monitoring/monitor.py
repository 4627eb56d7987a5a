"""`monitor`: compares files of current events with files of reference events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.dataset import ColumnNames, Dataset, UnknownLabels, read_dataset
from buckler.errors import SettingsError
from buckler.labels import LabelStore
from buckler.monitoring.samples import label_samples, use_labels
from buckler.monitoring.windows import (
    PERIODS,
    DriftLimits,
    MonitorResult,
    ScoredEvents,
    add_samples,
    compare_windows,
    score_events,
    window_names,
)
from buckler.readers.quarantine import Quarantine
from buckler.runtime import Scorer, load
from buckler.tasks import get_bundle_task
from buckler.teachers import Teacher
from buckler.teachers.budget import Budget


@dataclass(frozen=True)
class MonitorSettings:
    """Settings of a comparison.

    Attributes
    ----------
    by
        Period of a window: ``month``, ``week``, ``day``, or ``all``.
    slices
        Columns whose values are compared one by one too.
    limits
        Limits beyond which a window gets an alert.
    task
        TOML file of the task, where it is not installed.
    text_column, label_column
        Columns of the files, where the task's usual names do not fit.
    format_name
        Format of the files, where their suffixes do not tell.
    """

    by: str = "month"
    slices: tuple[str, ...] = ()
    limits: DriftLimits = field(default_factory=DriftLimits)
    task: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    format_name: str | None = None


@dataclass(frozen=True)
class TeacherSample:
    """A teacher that labels a sample of each window with alerts and without labels.

    Attributes
    ----------
    teacher
        The teacher.
    store
        Label store for its annotations: a file or a PostgreSQL URL.
    n_events
        Events a window.
    budget
        Limit of what it may spend.
    """

    teacher: Teacher
    store: str
    n_events: int = 100
    budget: Budget = field(default_factory=Budget)


def monitor(
    bundle: Scorer | Path | str,
    current: Sequence[Path | str],
    reference: Sequence[Path | str],
    settings: MonitorSettings = MonitorSettings(),
    *,
    sample: TeacherSample | None = None,
    analyst_labels: Mapping[bytes, int] | None = None,
) -> MonitorResult:
    """Compare current events with reference events, window by window.

    Parameters
    ----------
    bundle
        A bundle, or its file.
    current
        Files or folders of the events that the bundle meets now.
    reference
        Files or folders of events from the time when the bundle was made; it must not have
        learned from them.
    sample
        Teacher that labels samples of windows with alerts and without labels.
    analyst_labels
        Event -> class index, of events that were randomly sampled for analysts.

    Raises
    ------
    SettingsError
        If the period is unknown, or the task has no positive class.
    InputError
        If the files cannot be read, or hold too few events.
    MissingExtraError
        If the extra ``monitor`` is not installed.
    """
    if settings.by not in PERIODS:
        raise SettingsError(f"a window is one of {', '.join(PERIODS)}", field="by")
    scorer = bundle if isinstance(bundle, Scorer) else load(bundle)
    with Quarantine() as quarantine:
        then = read_events(scorer, reference, settings, quarantine)
        now = read_events(scorer, current, settings, quarantine)
        unreadable = (f"{quarantine.summary()}.",) if quarantine.count else ()
    names, scored = window_names(now, settings.by), score_events(scorer, now)
    result = compare_windows(
        score_events(scorer, then),
        scored,
        names,
        deployed_fpr=scorer.manifest.deployed_fpr,
        limits=settings.limits,
        slices=settings.slices,
    )
    lead = f"{len(now):,} events by {settings.by} against {len(then):,} of the reference."
    notes = _notes(result, names) + unreadable
    result = replace(result, bundle=scorer.manifest.name, lead=lead, notes=notes)
    windows = {w.name: scored.take(np.flatnonzero(names == w.name)) for w in result.windows}
    if analyst_labels is not None:
        result = _add_analyst_labels(result, windows, analyst_labels)
    if sample is not None:
        result = _add_teacher_sample(result, windows, sample)
    return result


def read_events(
    scorer: Scorer, paths: Sequence[Path | str], settings: MonitorSettings, quarantine: Quarantine
) -> Dataset:
    """Read the events of a bundle's task.

    Raises
    ------
    SettingsError
        If the task has no positive class, so that there are no detections to monitor.
    InputError
        If the files cannot be read.
    """
    manifest = scorer.manifest
    task = get_bundle_task(manifest, settings.task)
    if not task.positive:
        raise SettingsError(f"{task.name} has no positive class: it has no detections to monitor")
    keep = tuple(name for name in settings.slices if name not in ("source", "group"))
    columns = ColumnNames(
        text=settings.text_column,
        label=settings.label_column,
        keep=keep,
        unknown_labels=UnknownLabels.SET_ASIDE,
    )
    return read_dataset(
        [Path(path) for path in paths],
        task,
        columns,
        format_name=settings.format_name,
        quarantine=quarantine,
    )


def _notes(result: MonitorResult, names: npt.NDArray[np.object_]) -> tuple[str, ...]:
    notes = tuple(f"{name}: {n:,} events are too few to compare." for name, n in result.skipped)
    undated = sum(name is None for name in names)
    if undated:
        notes += (f"{undated:,} events have no time and stand in no window.",)
    return notes


def _add_analyst_labels(
    result: MonitorResult, windows: Mapping[str, ScoredEvents], labels: Mapping[bytes, int]
) -> MonitorResult:
    samples = use_labels(windows, labels)
    n_labeled = sum(s.precision.n_rows + s.missed.n_rows for s in samples.values())
    note = (
        f"analysts have labeled {n_labeled:,} randomly sampled events of {len(samples):,} windows."
    )
    return replace(add_samples(result, samples, "analysts"), notes=(*result.notes, note))


def _add_teacher_sample(
    result: MonitorResult, windows: Mapping[str, ScoredEvents], sample: TeacherSample
) -> MonitorResult:
    doubtful = {
        w.name: windows[w.name]
        for w in result.windows
        if w.alerts and w.measured is None and w.sampled is None
    }
    if not doubtful:
        note = "No window has alerts and lacks labels: no teacher was asked."
        return replace(result, notes=(*result.notes, note))
    with LabelStore(sample.store) as store:
        labeled = label_samples(
            doubtful, sample.teacher, store, n_events=sample.n_events, budget=sample.budget
        )
    annotator = sample.teacher.annotator
    note = (
        f"{annotator.name} {annotator.version} was asked about {labeled.n_events:,} events, "
        f"{labeled.n_new:,} of them for the first time"
        + (f"; stopped: {labeled.stopped}." if labeled.stopped else ".")
    )
    return replace(add_samples(result, labeled.windows, "the teacher"), notes=(*result.notes, note))
