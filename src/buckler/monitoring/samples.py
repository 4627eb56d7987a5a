"""Labeled samples: tell the quality of a window that has no labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.labels import LabelStore
from buckler.monitoring.quality import SampledQuality, sample_quality
from buckler.monitoring.windows import ScoredEvents
from buckler.teachers import Teacher
from buckler.teachers.budget import Budget
from buckler.teachers.labeling import annotated_classes, label

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabeledSamples:
    """Samples that a teacher has labeled.

    Attributes
    ----------
    windows
        Window -> quality that its sample gives.
    n_events, n_new
        Number of events in the samples, and of those labeled only now.
    stopped
        Reason why not all were labeled; empty where all were.
    """

    windows: dict[str, SampledQuality]
    n_events: int
    n_new: int
    stopped: str


def label_samples(
    windows: Mapping[str, ScoredEvents],
    teacher: Teacher,
    store: LabelStore,
    *,
    n_events: int,
    budget: Budget,
    seed: int = 0,
) -> LabeledSamples:
    """Let a teacher label a sample of each window: half of it detections, half other events.

    The newest window comes first, in case the budget ends. The answers are annotations in the
    store like any other, so that a second call costs nothing.

    Parameters
    ----------
    windows
        Name -> events, the oldest window first.
    n_events
        Events a window.

    Raises
    ------
    SettingsError
        If a budget in dollars is set and no price is known.
    """
    teacher.check_budget(budget)
    rng = np.random.default_rng(seed)
    samples = {name: w.take(_draw(w.detected, n_events, rng)) for name, w in windows.items()}
    parts = [sample.events for sample in reversed(samples.values()) if len(sample.events)]
    if not parts:
        return LabeledSamples({}, 0, 0, "")
    run = label(Dataset.concat(parts), teacher, store, budget=budget)
    labels = annotated_classes(store, teacher, parts[0].task)
    quality = {
        name: _sample_quality(sample, windows[name].detected, labels)
        for name, sample in samples.items()
    }
    stopped = (run.account.stopped if run.account is not None else "") or ""
    return LabeledSamples(quality, run.events, run.new, stopped)


def use_labels(
    windows: Mapping[str, ScoredEvents], labels: Mapping[bytes, int]
) -> dict[str, SampledQuality]:
    """Return the quality that labels of randomly sampled events give, for windows that have any.

    Parameters
    ----------
    labels
        Event -> class index. The share of sampled events may differ between detections and other
        events; within each of both, the sample is random.
    """
    return {
        name: _sample_quality(window, window.detected, labels)
        for name, window in windows.items()
        if any(event_id in labels for event_id in window.events.ids)
    }


def _sample_quality(
    sample: ScoredEvents, detected: Bools, labels: Mapping[bytes, int]
) -> SampledQuality:
    positive, ids = sample.events.task.positive_indices, sample.events.ids
    is_labeled = np.array([i in labels for i in ids], bool)
    is_positive = np.array([labels[i] in positive for i in ids if i in labels], bool)
    n_detections = int(detected.sum())
    return sample_quality(
        sample.scores[is_labeled],
        sample.detected[is_labeled],
        is_positive,
        sample.events.group_codes()[is_labeled],
        n_detections,
        len(detected) - n_detections,
    )


def _draw(detected: Bools, n: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    detections, rest = np.flatnonzero(detected), np.flatnonzero(~detected)
    n_detections = min(len(detections), max(n // 2, n - len(rest)))
    chosen = [rng.permutation(detections)[:n_detections], rng.permutation(rest)[: n - n_detections]]
    return np.sort(np.concatenate(chosen))
