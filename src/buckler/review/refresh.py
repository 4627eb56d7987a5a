"""Keeps a bundle good on a stream: `buckler refresh` samples, asks, retrains, compares, deploys.

Each call is a turn. Random, borderline and drifted events of the stream are sampled within a weekly
budget and annotated by a teacher. A candidate learns all events asked so far but for the groups
that measure. It is compared with the deployed bundle on frozen tests and on the fresh events that
measure, and promoted or refused. A stopped turn resumes, and asks nothing twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.errors import InputError
from buckler.evaluation.intervals import UNKNOWN, Estimate
from buckler.labels import LabelStore
from buckler.labels.ledger import Ledger
from buckler.labels.merging import Merge
from buckler.readers.quarantine import Quarantine
from buckler.review.refresh_candidate import CandidateTrainer
from buckler.review.refresh_sample import MIN_NEW, StreamSample, sample_stream
from buckler.review.refresh_settings import (
    MEASURES,
    RefreshSettings,
    Turn,
    TurnLog,
    has_role,
)
from buckler.runtime import Scorer, load
from buckler.serving.bundle_registry import BundleRegistry
from buckler.teachers import Teacher, get_teacher
from buckler.teachers.budget import Budget
from buckler.teachers.labeling import Progress, label, plan
from buckler.training.promotion import Decision, decide
from buckler.training.targets import with_annotations

_MIN_FRESH = 20
_WEEK_S = 7 * 86_400


@dataclass(frozen=True)
class RefreshResult:
    """Outcome of a turn.

    Attributes
    ----------
    turn
        The turn.
    action
        ``promote``, ``refuse``, ``wait`` where too little is new, or ``dry run``.
    reason
        Reason, in a sentence.
    n_new
        New events of the stream.
    reasons
        Reason for asking -> number of events.
    drift
        AUROC of a classifier that tells the new events from those known before; 0.5 is none.
    cost_usd
        Cost of this call; of a dry run, the estimate.
    decision
        The comparison; None where none was made.
    """

    turn: Turn
    action: str
    reason: str
    n_new: int = 0
    reasons: tuple[tuple[str, int], ...] = ()
    drift: Estimate = UNKNOWN
    cost_usd: float = 0.0
    decision: Decision | None = None


def refresh(
    settings: RefreshSettings | Path,
    *,
    teacher: Teacher | None = None,
    now: datetime | None = None,
    dry_run: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> RefreshResult:
    """Do one turn of a stream: sample, annotate, retrain, compare, and promote or refuse.

    Parameters
    ----------
    settings
        Settings of the stream, or their file.
    teacher
        Teacher in place of the one that the settings name.
    now
        End of the turn; by default the present.
    dry_run
        True samples and estimates, and asks, trains and changes nothing.
    on_step, on_progress
        Called with the name of each step, and with events asked and dollars so far.

    Raises
    ------
    SettingsError
        If a setting makes no sense.
    InputError
        If events cannot be read, or the log is damaged.

    Examples
    --------
    >>> result = refresh(Path("stream.toml"))  # doctest: +SKIP
    >>> result.action, result.reason  # doctest: +SKIP
    ('promote', 'better on fresh events: …')
    """
    if isinstance(settings, Path):
        settings = RefreshSettings.read(settings)
    return _Loop(settings, teacher, on_step, on_progress).turn(now or datetime.now(UTC), dry_run)


class _Loop:
    """One stream: its settings, teacher, log and registry."""

    def __init__(
        self,
        settings: RefreshSettings,
        teacher: Teacher | None,
        on_step: Callable[[str], None],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._settings, self._on_step, self._on_progress = settings, on_step, on_progress
        self._registry = BundleRegistry(settings.registry, settings.name)
        self._log = TurnLog.read(settings.folder)
        self._trainer = CandidateTrainer(settings)
        self._task = self._trainer.task
        kind, path = settings.teacher.kind, settings.teacher.settings
        self._teacher = teacher or get_teacher(kind, path, self._task)
        self._teacher.check_budget(Budget(usd=settings.usd_per_week))

    def turn(self, now: datetime, dry_run: bool) -> RefreshResult:
        """Do a turn, or the rest of the one that was stopped."""
        log = self._log
        self._on_step("reading")
        stream = self._read_stream()
        with LabelStore(self._settings.store) as store:
            ledger = Ledger(store, self._task, self._teacher.annotator)
            spent = ledger.spent().cost_usd
            turn = log.open_turn
            if turn is not None and dry_run:
                return RefreshResult(turn, "dry run", "the last turn was stopped, and is resumed")
            sampled = None
            if turn is None:
                turn = log.next_turn(now.timestamp(), spent)
                sample = self._sample(stream, turn, dry_run)
                sampled = RefreshResult(
                    turn, "wait", "", sample.n_new, sample.reasons, sample.drift
                )
                if dry_run:
                    return self._estimate(sampled, sample, store)
                if not len(sample.chosen):
                    reason = f"{sample.n_new:,} new events; {MIN_NEW} are the least"
                    if sample.n_new >= MIN_NEW:
                        reason = "the events of this week are used up"
                    return replace(sampled, reason=reason)
                log.save_events(turn, sample.chosen)
                log.add("sample", turn, _sample_line(turn, sample))
            self._annotate(turn, store, ledger, spent)
            result = self._decide(turn, store, stream)
            cost_usd = ledger.spent().cost_usd - spent
        log.add("decide", turn, {"action": result.action, "reason": result.reason})
        if sampled is not None:
            result = replace(
                sampled, action=result.action, reason=result.reason, decision=result.decision
            )
        return replace(result, cost_usd=cost_usd)

    def _read_stream(self) -> Dataset:
        settings = self._settings
        columns = ColumnNames(
            settings.text_column, group=settings.group_column, keep=self._teacher.columns
        )
        with Quarantine() as quarantine:
            return read_dataset(
                settings.events,
                self._task,
                columns,
                format_name=settings.format,
                labeled=False,
                quarantine=quarantine,
            ).distinct()

    def _sample(self, stream: Dataset, turn: Turn, dry_run: bool) -> StreamSample:
        """Choose the events of a turn, within what is left of the week."""
        settings = self._settings
        champion = self._champion(dry_run)
        self._on_step("sampling")
        used, _ = self._log.spent_in_week(turn, turn.spent_usd)
        parts = [part for part in (self._frozen(), self._log.load_events(self._task)) if part]
        return sample_stream(
            stream.take(self._new_rows(stream, turn)),
            Dataset.concat([part.without_labels() for part in parts]) if parts else None,
            champion,
            settings,
            settings.events_per_week - used,
            np.random.default_rng([settings.seed, turn.number]),
        )

    def _new_rows(self, stream: Dataset, turn: Turn) -> npt.NDArray[np.intp]:
        """Return the rows of a turn: by time; of those without one, any not asked before."""
        asked = self._asked_ids()
        times = stream.times
        with np.errstate(invalid="ignore"):
            in_turn = (times > turn.since_s) & (times <= turn.until_s)
        is_asked = np.array([i in asked for i in stream.ids], bool)
        return np.flatnonzero((in_turn | np.isnan(times)) & ~is_asked)

    def _asked_ids(self) -> set[bytes]:
        asked = self._log.load_events(self._task)
        return set() if asked is None else set(asked.ids)

    def _estimate(
        self, sampled: RefreshResult, sample: StreamSample, store: LabelStore
    ) -> RefreshResult:
        cost = 0.0
        if self._teacher.is_paid and len(sample.chosen):
            cost = plan(sample.chosen, self._teacher, store).estimate.spending.cost_usd
        text = f"{len(sample.chosen):,} of {sample.n_new:,} new events would be asked about"
        return replace(sampled, action="dry run", reason=text, cost_usd=cost)

    def _annotate(self, turn: Turn, store: LabelStore, ledger: Ledger, spent: float) -> None:
        """Ask about the events of a turn, within what is left of the week's dollars."""
        self._on_step("asking")
        chosen, limit = self._events_of(turn), None
        if self._settings.usd_per_week is not None:
            _, in_week = self._log.spent_in_week(turn, spent)
            limit = max(0.0, self._settings.usd_per_week - in_week)
        store.add_events(chosen.ids, chosen.raw_texts, list(chosen.groups), list(chosen.sources))
        report = label(
            chosen,
            self._teacher,
            store,
            budget=Budget(usd=limit),
            on_progress=self._on_progress,
        )
        values = {
            "new_answers": report.new,
            "known_answers": report.known,
            "cost_usd": round(ledger.spent().cost_usd - spent, 6),
            "stopped": None if report.account is None else report.account.stopped,
        }
        self._log.add("annotate", turn, values)

    def _events_of(self, turn: Turn | None = None) -> Dataset:
        """Return the events of a turn, or of all."""
        number = None if turn is None else turn.number
        found = self._log.load_events(self._task, number or 1, number)
        if found is None:
            raise InputError(f"{self._log.folder}: the events of a turn are missing")
        return found

    def _decide(self, turn: Turn, store: LabelStore, stream: Dataset) -> RefreshResult:
        """Train the candidate, compare it, and promote or refuse it."""
        self._on_step("retraining")
        asked = self._events_of()
        answered, _ = with_annotations(asked, store, Merge.MEAN, required=False)
        sure = answered.targets.max(axis=1) > 0.5  # a tie says nothing
        answered = answered.take(np.flatnonzero((answered.labels >= 0) & sure))
        measures = has_role(answered, MEASURES)
        fresh = self._fresh(answered.take(np.flatnonzero(measures)), turn)
        known = set(asked.ids)
        others = stream.take(np.flatnonzero([i not in known for i in stream.ids]))
        others = others.take(np.flatnonzero(~(others.times > turn.until_s)))
        path = self._settings.folder / "candidate.buckler"
        taught = answered.take(np.flatnonzero(~measures))
        try:
            bundle = self._trainer.train(taught, others, path)
        except InputError as error:  # too few answers yet, or of one class
            return RefreshResult(turn, "wait", str(error))
        self._on_step("comparing")
        tests = [("fresh events", fresh)] if len(fresh) >= _MIN_FRESH else []
        if (frozen := self._frozen()) is not None:
            tests.append(("frozen tests", frozen))
        if not tests:
            reason = f"{len(fresh):,} fresh events measure; {_MIN_FRESH} are the least"
            return RefreshResult(turn, "wait", reason)
        found = decide(self._champion(dry_run=False), Scorer(bundle), tests)
        act = self._registry.promote if found.promote else self._registry.refuse
        entry = act(bundle, f"turn {turn.number}: {found.reason}")
        return RefreshResult(turn, str(entry.action), found.reason, decision=found)

    def _champion(self, dry_run: bool) -> Scorer:
        """Return the deployed bundle; where there is none, deploy the first one."""
        registry = self._registry
        if registry.find_deployed() is None:
            self._on_step("making the first bundle")
            first = self._trainer.first()
            if dry_run:
                return Scorer(first)
            registry.promote(first, "the first bundle of the stream")
        with registry.open_deployed() as path:
            return load(path)

    def _fresh(self, events: Dataset, turn: Turn) -> Dataset:
        """Return the measuring events of the last weeks."""
        oldest = turn.until_s - self._settings.fresh_weeks * _WEEK_S
        return events.take(np.flatnonzero(~(events.times <= oldest)))

    def _frozen(self) -> Dataset | None:
        settings = self._settings
        if not settings.frozen:
            return None
        columns = ColumnNames(settings.text_column, settings.label_column, settings.group_column)
        return read_dataset(
            settings.frozen, self._task, columns, format_name=settings.format
        ).only_labeled()


def _sample_line(turn: Turn, sample: StreamSample) -> dict[str, object]:
    return {
        "since_s": turn.since_s,
        "until_s": turn.until_s,
        "spent_usd": turn.spent_usd,
        "new_events": sample.n_new,
        "events": len(sample.chosen),
        "drift_auroc": None if np.isnan(sample.drift.value) else round(sample.drift.value, 4),
        **dict(sample.reasons),
    }
