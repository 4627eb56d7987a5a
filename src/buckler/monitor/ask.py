"""Where labels are missing and something is wrong: a teacher labels a small sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.events import Events
from buckler.events.collect import concatenate
from buckler.labels import LabelStore
from buckler.monitor.quality import Sampled, sampled
from buckler.tasks import Task
from buckler.teachers import Teacher
from buckler.teachers.asking.limits import Budget
from buckler.teachers.run import check_price, label_events, verdicts_of

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Doubt:
    """A window of which a sample is looked at.

    Attributes
    ----------
    name
        Of the window.
    events, badness, alarms
        All of its events, their badness, and which raised an alarm: float64 and bool [n].
    """

    name: str
    events: Events
    badness: npt.NDArray[np.float64]
    alarms: Bools


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
    """Let a teacher judge a sample of each window: half of it alarms, half the rest.

    The newest window comes first, in case the budget ends. What is said is an opinion in the store
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
    drawn = {doubt.name: _drawn(doubt.alarms, n, rng) for doubt in doubts}
    parts = [doubt.events.take(drawn[doubt.name]) for doubt in reversed(doubts)]
    parts = [part for part in parts if len(part)]
    if not parts:
        return Asked({}, 0, 0, "")
    done = label_events(store, teacher, concatenate(parts), task, budget=budget)
    said = verdicts_of(store, teacher, task)
    found = {}
    for doubt in doubts:
        rows = drawn[doubt.name]
        few = Doubt(doubt.name, doubt.events.take(rows), doubt.badness[rows], doubt.alarms[rows])
        found[doubt.name] = _estimate(few, doubt.alarms, said, task)
    stopped = (done.account.stopped if done.account is not None else "") or ""
    return Asked(found, done.events, done.new, stopped)


def judged_samples(
    windows: Sequence[Doubt], verdicts: Mapping[bytes, int], task: Task
) -> dict[str, Sampled]:
    """Return what verdicts on events drawn by lot say of the windows that have any.

    Parameters
    ----------
    verdicts
        Event -> class index. Alarms may have been drawn more often than the rest, but each of
        the two by lot.
    """
    found = {}
    for window in windows:
        ids = window.events.table.column("id").to_pylist()
        if any(event_id in verdicts for event_id in ids):
            found[window.name] = _estimate(window, window.alarms, verdicts, task)
    return found


def _estimate(judged: Doubt, alarms: Bools, said: Mapping[bytes, int], task: Task) -> Sampled:
    bad = {task.class_names.index(name) for name in task.bad}
    ids = judged.events.table.column("id").to_pylist()
    known = np.array([i in said for i in ids], bool)
    is_bad = np.array([said[i] in bad for i in ids if i in said], bool)
    n_alarms = int(alarms.sum())
    n_rest = len(alarms) - n_alarms
    return sampled(judged.badness[known], judged.alarms[known], is_bad, n_alarms, n_rest)


def _drawn(alarms: Bools, n: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    raised, rest = np.flatnonzero(alarms), np.flatnonzero(~alarms)
    of_raised = min(len(raised), max(n // 2, n - len(rest)))
    chosen = [rng.permutation(raised)[:of_raised], rng.permutation(rest)[: n - of_raised]]
    return np.sort(np.concatenate(chosen))
