"""The dashboard's metrics: progress of the queue, quality of the bundle and of its teachers."""

import time
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from sqlalchemy import and_, func, select

from buckler.dataset.dataset import number_groups
from buckler.evaluation.agreement import Agreement, cohens_kappa
from buckler.evaluation.intervals import Rate, rate, wilson
from buckler.labels.database import rows_with_ids
from buckler.labels.label_tables import ANNOTATIONS
from buckler.monitoring.quality import SampledQuality, sample_quality
from buckler.review.queue import Queue
from buckler.review.review_tables import BATCHES, ITEMS, LABELS, USERS, State, Stratum

DAYS = 30
GOALS = (0.1, 0.05, 0.02)  # half widths of the interval of precision, one after the other
_MAX_LABELS = 200_000


@dataclass(frozen=True)
class TeacherMetrics:
    """Accuracy of an annotator on events that an analyst has labeled.

    Attributes
    ----------
    of_class
        Class -> accuracy on the events of this class, by the analysts.
    """

    name: str
    kind: str
    whole: Rate
    of_class: dict[str, Rate]


@dataclass(frozen=True)
class Dashboard:
    """The metrics of one queue.

    Attributes
    ----------
    states
        State -> items.
    by_day
        Day -> analyst -> labels, in the last 30 days.
    labels, covered
        Labels in force, and the events that they cover.
    median_s
        Median time of a label, in seconds; labels without a time do not count.
    sampled
        Metrics of the deployed bundle on random samples.
    minutes_saved
        Time that near-duplicates and families have saved.
    """

    states: dict[State, int]
    by_day: dict[str, dict[str, int]]
    labels: int
    covered: int
    median_s: float
    minutes_saved: float
    agreement: Agreement
    sampled: SampledQuality
    teachers: list[TeacherMetrics]
    costs: list[tuple[str, int, float]]


def compute_dashboard(queue: Queue) -> Dashboard:
    """Compute the metrics from the store."""
    in_force = and_(LABELS.c.task_id == queue.task_id, LABELS.c.undone_s.is_(None))
    with queue.store.reading() as connection:
        n, covered = connection.execute(
            select(func.count(), func.sum(LABELS.c.covers)).where(in_force)
        ).one()
        seconds = [
            float(s)
            for s in connection.scalars(
                select(LABELS.c.seconds)
                .where(in_force, LABELS.c.seconds > 0)
                .order_by(LABELS.c.id.desc())
                .limit(2000)
            )
        ]
    median = float(np.median(seconds)) if seconds else float("nan")
    saved = (int(covered or 0) - n) * median / 60 if seconds else 0.0
    return Dashboard(
        states=queue.counts(),
        by_day=_by_day(queue),
        labels=int(n),
        covered=int(covered or 0),
        median_s=median,
        minutes_saved=saved,
        agreement=_agreement(queue),
        sampled=measure_samples(queue),
        teachers=_teacher_metrics(queue),
        costs=[
            (str(annotator), annotations, cost_usd)
            for task, annotator, annotations, cost_usd in queue.store.counts()
            if task == queue.task.name and cost_usd
        ],
    )


@dataclass(frozen=True)
class PrecisionProgress:
    """Progress of the labels that measure precision.

    Attributes
    ----------
    precision
        Precision so far.
    goal
        Half width of the interval to reach: the first of `GOALS` that is not reached.
    to_go
        Number of further random detections to label for it.
    """

    precision: Rate
    goal: float
    to_go: int

    @property
    def half_width(self) -> float:
        """Half width of the interval so far."""
        return (self.precision.high - self.precision.low) / 2


def precision_progress(precision: Rate) -> PrecisionProgress:
    """Return how many further labels a narrower interval takes, if the share stays as it is."""
    n, share = precision.n_rows, precision.value if precision.n_rows else 0.5
    so_far = PrecisionProgress(precision, GOALS[-1], 0)
    # Rows of few groups say less than as many of many.
    widening = so_far.half_width / _half_width(share, n) if n else 1.0
    goal = next((goal for goal in GOALS if not n or so_far.half_width > goal), GOALS[-1])
    more = bisect_left(
        range(_MAX_LABELS), -goal, key=lambda k: -widening * _half_width(share, max(1, n + k))
    )
    return replace(so_far, goal=goal, to_go=more)


def _half_width(share: float, n: int) -> float:
    found = wilson(share * n, n)
    return (found.high - found.low) / 2


def _by_day(queue: Queue) -> dict[str, dict[str, int]]:
    today = datetime.fromtimestamp(time.time(), UTC).date()
    days = [str(today - timedelta(days=back)) for back in range(DAYS - 1, -1, -1)]
    found: dict[str, dict[str, int]] = {day: {} for day in days}
    start = int(time.time()) - DAYS * 86_400
    query = (
        select(LABELS.c.created_s, USERS.c.name)
        .join(USERS, USERS.c.id == LABELS.c.user_id)
        .where(
            LABELS.c.task_id == queue.task_id,
            LABELS.c.undone_s.is_(None),
            LABELS.c.created_s >= start,
        )
        .limit(_MAX_LABELS)
    )
    with queue.store.reading() as connection:
        for created_s, name in connection.execute(query):
            day = str(datetime.fromtimestamp(created_s, UTC).date())
            if day in found:
                found[day][name] = found[day].get(name, 0) + 1
    return found


def _agreement(queue: Queue) -> Agreement:
    """Compare the first two analysts of every event that two have labeled."""
    twice = (
        select(LABELS.c.item_id)
        .where(LABELS.c.task_id == queue.task_id, LABELS.c.undone_s.is_(None))
        .group_by(LABELS.c.item_id)
        .having(func.count(func.distinct(LABELS.c.user_id)) > 1)
        .limit(_MAX_LABELS)
        .subquery()
    )
    query = (
        select(LABELS.c.item_id, LABELS.c.user_id, LABELS.c.label)
        .join(twice, twice.c.item_id == LABELS.c.item_id)
        .where(LABELS.c.undone_s.is_(None))
        .order_by(LABELS.c.id)
    )
    labels: dict[int, dict[int, int]] = defaultdict(dict)
    with queue.store.reading() as connection:
        for item_id, user_id, label in connection.execute(query):
            labels[item_id].setdefault(user_id, label)
    pairs = [tuple(of.values())[:2] for of in labels.values() if len(of) > 1]
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return cohens_kappa(both[:, 0], both[:, 1], len(queue.task.classes))


def measure_samples(queue: Queue) -> SampledQuality:
    """Measure the deployed bundle on the labeled random samples."""
    positive = queue.task.positive_indices
    columns = (ITEMS.c.stratum, ITEMS.c.score, ITEMS.c.analyst_label, ITEMS.c.group_name)
    query = select(*columns).where(
        ITEMS.c.task_id == queue.task_id,
        ITEMS.c.stratum.in_((Stratum.DETECTION_SAMPLE, Stratum.REST_SAMPLE)),
        ITEMS.c.state.in_((State.DONE, State.SECOND)),
    )
    totals = select(func.sum(BATCHES.c.events), func.sum(BATCHES.c.detections)).where(
        BATCHES.c.task_id == queue.task_id
    )
    with queue.store.reading() as connection:
        rows = connection.execute(query.limit(_MAX_LABELS)).all()
        events, detections = connection.execute(totals).one()
    n_detections = int(detections or 0)
    return sample_quality(
        np.array([row.score for row in rows], np.float64),
        np.array([row.stratum == Stratum.DETECTION_SAMPLE for row in rows], bool),
        np.array([row.analyst_label in positive for row in rows], bool),
        number_groups(pa.array([row.group_name for row in rows], pa.string())),
        n_detections,
        int(events or 0) - n_detections,
    )


def _teacher_metrics(queue: Queue) -> list[TeacherMetrics]:
    """Compare every annotator but humans with the analysts' last labels."""
    labeled = select(ITEMS.c.event_id, ITEMS.c.analyst_label, ITEMS.c.group_name).where(
        ITEMS.c.task_id == queue.task_id,
        ITEMS.c.state == State.DONE,
        ITEMS.c.analyst_label.is_not(None),
    )
    # Only events that an analyst has seen count, not those of families and near-duplicates.
    labeled = labeled.where(
        select(LABELS.c.id)
        .where(LABELS.c.item_id == ITEMS.c.id, LABELS.c.undone_s.is_(None))
        .exists()
    ).limit(_MAX_LABELS)
    with queue.store.reading() as connection:
        events = connection.execute(labeled).all()
        label_of = {bytes(event.event_id): int(event.analyst_label) for event in events}
        names = pa.array([event.group_name for event in events], pa.string())
        groups = number_groups(names).tolist()
        group_of = dict(zip(label_of, groups, strict=True))
        annotators = queue.store.annotators()
        hits: dict[int, list[tuple[int, int, bool]]] = defaultdict(list)
        query = select(ANNOTATIONS).where(ANNOTATIONS.c.task_id == queue.task_id)
        for row in rows_with_ids(connection, query, ANNOTATIONS.c.event_id, label_of):
            if annotators[row.annotator_id].kind != "human":
                event_id = bytes(row.event_id)
                truth = label_of[event_id]
                hits[row.annotator_id].append((truth, group_of[event_id], truth == row.label))
    names = queue.task.class_names
    metrics = []
    for annotator_id, found in sorted(hits.items()):
        annotator = annotators[annotator_id]
        truths, codes, answers = np.array(found).T
        right = answers.astype(bool)
        classes = {
            names[k]: rate(right[truths == k], codes[truths == k])
            for k in sorted(set(truths.tolist()))
        }
        name = str(annotator)
        metrics.append(TeacherMetrics(name, annotator.kind, rate(right, codes), classes))
    return metrics
