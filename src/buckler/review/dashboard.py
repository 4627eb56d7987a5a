"""What the verdicts add up to: how far the queue is, how good the bundle and its teachers are."""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import and_, func, select

from buckler.evaluation.agreement import Agreement, cohens_kappa
from buckler.evaluation.intervals import Rate, rate
from buckler.labels.database import IDS_PER_QUERY
from buckler.labels.schema import ANNOTATIONS
from buckler.monitoring.quality import Sampled, sampled
from buckler.review.queue import Queue
from buckler.review.schema import BATCHES, ITEMS, USERS, VERDICTS, Lane, State

DAYS = 30
_MOST_VERDICTS = 200_000


@dataclass(frozen=True)
class TeacherFigures:
    """How often an annotator was right where an analyst has judged.

    Attributes
    ----------
    of_class
        Class -> share right, of the events that analysts gave this class.
    """

    name: str
    kind: str
    whole: Rate
    of_class: dict[str, Rate]


@dataclass(frozen=True)
class Dashboard:
    """The figures of one queue.

    Attributes
    ----------
    states
        State -> items.
    by_day
        Day -> analyst -> verdicts, of the last 30 days.
    verdicts, served
        Verdicts that stand, and the events that they served.
    median_s
        Of a verdict, among those that took at least a moment.
    honest
        What events drawn by lot say of the deployed bundle.
    minutes_saved
        By near-duplicates and families: what judging each event alone would have taken besides.
    """

    states: dict[State, int]
    by_day: dict[str, dict[str, int]]
    verdicts: int
    served: int
    median_s: float
    minutes_saved: float
    agreement: Agreement
    honest: Sampled
    teachers: list[TeacherFigures]
    costs: list[tuple[str, int, float]] = field(default_factory=list)


def gather(queue: Queue) -> Dashboard:
    """Return the figures as they are now."""
    states: Counter[State] = Counter()
    for (state, _), n in queue.counts().items():
        states[state] += n
    standing = and_(VERDICTS.c.task_id == queue.task_id, VERDICTS.c.undone_s.is_(None))
    with queue.store.reading() as connection:
        n, served = connection.execute(
            select(func.count(), func.sum(VERDICTS.c.serves)).where(standing)
        ).one()
        seconds = [
            float(s)
            for s in connection.scalars(
                select(VERDICTS.c.seconds)
                .where(standing, VERDICTS.c.seconds > 0)
                .order_by(VERDICTS.c.id.desc())
                .limit(2000)
            )
        ]
    median = float(np.median(seconds)) if seconds else float("nan")
    saved = (int(served or 0) - n) * median / 60 if seconds else 0.0
    return Dashboard(
        dict(states),
        _by_day(queue),
        int(n),
        int(served or 0),
        median,
        saved,
        _agreement(queue),
        _honest(queue),
        _teachers(queue),
        [
            (f"{who.name} {who.version}".strip(), annotations, cost)
            for task, who, annotations, cost in queue.store.counts()
            if task == queue.task.name and cost
        ],
    )


def _by_day(queue: Queue) -> dict[str, dict[str, int]]:
    today = datetime.fromtimestamp(time.time(), UTC).date()
    days = [str(today - timedelta(days=back)) for back in range(DAYS - 1, -1, -1)]
    found: dict[str, dict[str, int]] = {day: {} for day in days}
    start = int(time.time()) - DAYS * 86_400
    query = (
        select(VERDICTS.c.created_s, USERS.c.name)
        .join(USERS, USERS.c.id == VERDICTS.c.user_id)
        .where(
            VERDICTS.c.task_id == queue.task_id,
            VERDICTS.c.undone_s.is_(None),
            VERDICTS.c.created_s >= start,
        )
        .limit(_MOST_VERDICTS)
    )
    with queue.store.reading() as connection:
        for created_s, name in connection.execute(query):
            day = str(datetime.fromtimestamp(created_s, UTC).date())
            if day in found:
                found[day][name] = found[day].get(name, 0) + 1
    return found


def _agreement(queue: Queue) -> Agreement:
    """Compare the first two analysts of every event that two have judged."""
    twice = (
        select(VERDICTS.c.item_id)
        .where(VERDICTS.c.task_id == queue.task_id, VERDICTS.c.undone_s.is_(None))
        .group_by(VERDICTS.c.item_id)
        .having(func.count(func.distinct(VERDICTS.c.user_id)) > 1)
        .limit(_MOST_VERDICTS)
        .subquery()
    )
    query = (
        select(VERDICTS.c.item_id, VERDICTS.c.user_id, VERDICTS.c.label)
        .join(twice, twice.c.item_id == VERDICTS.c.item_id)
        .where(VERDICTS.c.undone_s.is_(None))
        .order_by(VERDICTS.c.id)
    )
    said: dict[int, dict[int, int]] = defaultdict(dict)
    with queue.store.reading() as connection:
        for item_id, user_id, label in connection.execute(query):
            said[item_id].setdefault(user_id, label)
    pairs = [tuple(of.values())[:2] for of in said.values() if len(of) > 1]
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return cohens_kappa(both[:, 0], both[:, 1], len(queue.task.classes))


def _honest(queue: Queue) -> Sampled:
    positive = queue.task.positive_indices
    query = select(ITEMS.c.lane, ITEMS.c.score, ITEMS.c.verdict).where(
        ITEMS.c.task_id == queue.task_id,
        ITEMS.c.lane.in_((Lane.SAMPLE_DETECTION, Lane.SAMPLE_REST)),
        ITEMS.c.state.in_((State.DONE, State.SECOND)),
    )
    totals = select(func.sum(BATCHES.c.events), func.sum(BATCHES.c.detections)).where(
        BATCHES.c.task_id == queue.task_id
    )
    with queue.store.reading() as connection:
        rows = connection.execute(query.limit(_MOST_VERDICTS)).all()
        events, detections = connection.execute(totals).one()
    n_detections = int(detections or 0)
    return sampled(
        np.array([row.score for row in rows], np.float64),
        np.array([row.lane == Lane.SAMPLE_DETECTION for row in rows], bool),
        np.array([row.verdict in positive for row in rows], bool),
        n_detections,
        int(events or 0) - n_detections,
    )


def _teachers(queue: Queue) -> list[TeacherFigures]:
    """Compare every annotator but humans with the analysts' last verdicts."""
    judged = select(ITEMS.c.event_id, ITEMS.c.verdict).where(
        ITEMS.c.task_id == queue.task_id,
        ITEMS.c.state == State.DONE,
        ITEMS.c.verdict.is_not(None),
    )
    # Families and near-duplicates were not looked at; only what was judged itself counts here.
    judged = judged.where(
        select(VERDICTS.c.id)
        .where(VERDICTS.c.item_id == ITEMS.c.id, VERDICTS.c.undone_s.is_(None))
        .exists()
    ).limit(_MOST_VERDICTS)
    with queue.store.reading() as connection:
        verdict_of = {bytes(e): int(v) for e, v in connection.execute(judged)}
        annotators = queue.store.annotators()
        hits: dict[int, list[tuple[int, bool]]] = defaultdict(list)
        ids = list(verdict_of)
        for start in range(0, len(ids), IDS_PER_QUERY):
            query = select(
                ANNOTATIONS.c.event_id, ANNOTATIONS.c.annotator_id, ANNOTATIONS.c.label
            ).where(
                ANNOTATIONS.c.task_id == queue.task_id,
                ANNOTATIONS.c.event_id.in_(ids[start : start + IDS_PER_QUERY]),
            )
            for event_id, annotator_id, label in connection.execute(query):
                if annotators[annotator_id].kind != "human":
                    truth = verdict_of[bytes(event_id)]
                    hits[annotator_id].append((truth, truth == label))
    names = queue.task.class_names
    found = []
    for annotator_id, of in sorted(hits.items()):
        who = annotators[annotator_id]
        right = np.array([hit for _, hit in of], bool)
        truths = np.array([truth for truth, _ in of])
        classes = {names[k]: rate(right[truths == k]) for k in sorted(set(truths.tolist()))}
        name = f"{who.name} {who.version}".strip()
        found.append(TeacherFigures(name, who.kind, rate(right), classes))
    return found
