"""Where labels are missing and something is wrong: a teacher labels a small sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.labels import LabelStore
from buckler.monitoring.quality import Sampled, sampled
from buckler.tasks import Task
from buckler.teachers import Teacher
from buckler.teachers.llm.limits import Budget
from buckler.teachers.run import check_price, label_events, verdicts_of

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Doubt:
    """A window of which a sample is looked at.

    Attributes
    ----------
    name
        Of the window.
    events, score, detections
        All of its events, their score, and which raised a detection: float64 and bool [n].
    """

    name: str
    events: Dataset
    score: npt.NDArray[np.float64]
    detections: Bools


@dataclass(frozen=True)
class Asked:
    """What a teacher says of samples.

    Attributes
    ----------
    windows
        Window -> what its sample says.
    asked, new
        Events asked about, and of these judged only now; the others were paid for before.
    stopped
        Why not all were judged; empty where they were.
    """

    windows: dict[str, Sampled]
    asked: int
    new: int
    stopped: str


def ask_in_doubt(
    doubts: Sequence[Doubt],
    teacher: Teacher,
    store: LabelStore,
    task: Task,
    *,
    n: int,
    budget: Budget,
    seed: int = 0,
) -> Asked:
    """Let a teacher judge a sample of each window: half of it detections, half the rest.

    The newest window comes first, in case the budget ends. What is said is an annotation in the store
    like any other, so that asking again costs nothing.

    Parameters
    ----------
    n
        Events a window.

    Raises
    ------
    SettingsError
        If a budget in dollars is set and no price is known.
    """
    check_price(teacher, budget)
    rng = np.random.default_rng(seed)
    drawn = {doubt.name: _drawn(doubt.detections, n, rng) for doubt in doubts}
    parts = [doubt.events.take(drawn[doubt.name]) for doubt in reversed(doubts)]
    parts = [part for part in parts if len(part)]
    if not parts:
        return Asked({}, 0, 0, "")
    done = label_events(store, teacher, Dataset.concat(parts), budget=budget)
    said = verdicts_of(store, teacher, task)
    found = {}
    for doubt in doubts:
        rows = drawn[doubt.name]
        few = Doubt(doubt.name, doubt.events.take(rows), doubt.score[rows], doubt.detections[rows])
        found[doubt.name] = _estimate(few, doubt.detections, said, task)
    stopped = (done.account.stopped if done.account is not None else "") or ""
    return Asked(found, done.events, done.new, stopped)


def judged_samples(
    windows: Sequence[Doubt], verdicts: Mapping[bytes, int], task: Task
) -> dict[str, Sampled]:
    """Return what verdicts on events drawn by lot say of the windows that have any.

    Parameters
    ----------
    verdicts
        Event -> class index. Detections may have been drawn more often than the rest, but each of
        the two by lot.
    """
    found = {}
    for window in windows:
        ids = window.events.ids
        if any(event_id in verdicts for event_id in ids):
            found[window.name] = _estimate(window, window.detections, verdicts, task)
    return found


def _estimate(judged: Doubt, detections: Bools, said: Mapping[bytes, int], task: Task) -> Sampled:
    positive = {task.class_names.index(name) for name in task.positive}
    ids = judged.events.ids
    known = np.array([i in said for i in ids], bool)
    is_positive = np.array([said[i] in positive for i in ids if i in said], bool)
    n_detections = int(detections.sum())
    n_rest = len(detections) - n_detections
    return sampled(judged.score[known], judged.detections[known], is_positive, n_detections, n_rest)


def _drawn(detections: Bools, n: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    raised, rest = np.flatnonzero(detections), np.flatnonzero(~detections)
    of_raised = min(len(raised), max(n // 2, n - len(rest)))
    chosen = [rng.permutation(raised)[:of_raised], rng.permutation(rest)[: n - of_raised]]
    return np.sort(np.concatenate(chosen))
