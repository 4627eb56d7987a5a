"""Labeled events that are similar to the one on screen."""

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select

from buckler.dataset.hashed_vectors import hashed_vectors
from buckler.labels.database import IDS_PER_QUERY, rows_with_ids
from buckler.normalize import NormalizedTexts
from buckler.review.queue import Queue
from buckler.review.review_tables import ITEMS, LABELS

_MAX_LABELED = 5000
_DIMENSIONS = 1024
_MIN_SIMILARITY = 0.35
_MIN_CENTERED = 20  # labeled events needed to subtract their mean
MAX_SHOWN_EVENTS = 5


@dataclass(frozen=True)
class SimilarEvent:
    """A labeled event.

    Attributes
    ----------
    similarity
        0 to 1: cosine of hashed 3-grams, centered on the mean of all labeled events.
    """

    item_id: int
    text: str
    label: int
    similarity: float


class LabeledEvents:
    """The newest labeled events of a queue, as vectors; updated by each query."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._vectors: dict[int, tuple[npt.NDArray[np.float32], str]] = {}

    def most_similar(self, normalized: bytes, but: int) -> list[SimilarEvent]:
        """Return the labeled events most similar to this text, except item `but`."""
        if self._queue.task.features:
            return []  # rows of features share no words
        labels = self._labels()
        labels.pop(but, None)
        if not labels:
            return []
        with self._lock:
            self._load([i for i in labels if i not in self._vectors])
            ids = [i for i in labels if i in self._vectors]
            known = [self._vectors[i] for i in ids]
            if len(self._vectors) > 2 * _MAX_LABELED:
                self._vectors = dict(zip(ids, known, strict=True))
        if not ids:
            return []
        similarity = _similarity(
            np.stack([vector for vector, _ in known]),
            hashed_vectors(NormalizedTexts.from_bytes([normalized]), _DIMENSIONS)[0],
        )
        best = np.argsort(-similarity, kind="stable")[:MAX_SHOWN_EVENTS]
        return [
            SimilarEvent(ids[at], known[at][1], labels[ids[at]], float(similarity[at]))
            for at in best.tolist()
            if similarity[at] >= _MIN_SIMILARITY
        ]

    def _labels(self) -> dict[int, int]:
        newest = (
            select(LABELS.c.item_id, func.max(LABELS.c.id).label("last"))
            .where(LABELS.c.task_id == self._queue.task_id, LABELS.c.undone_s.is_(None))
            .group_by(LABELS.c.item_id)
            .order_by(func.max(LABELS.c.id).desc())
            .limit(_MAX_LABELED)
            .subquery()
        )
        query = select(LABELS.c.item_id, LABELS.c.label).join(newest, newest.c.last == LABELS.c.id)
        with self._queue.store.reading() as connection:
            return {int(i): int(k) for i, k in connection.execute(query)}

    def _load(self, ids: list[int]) -> None:
        task = self._queue.task
        for start in range(0, len(ids), IDS_PER_QUERY):  # in parts: mails and pages are large
            with self._queue.store.reading() as connection:
                part = ids[start : start + IDS_PER_QUERY]
                event_of = {
                    row.id: bytes(row.event_id)
                    for row in rows_with_ids(connection, select(ITEMS), ITEMS.c.id, part)
                }
            texts = self._queue.store.texts(event_of.values())
            kept = [(i, texts[e]) for i, e in event_of.items() if e in texts]
            normalized = [task.text_normalizer.normalize(raw, task.max_bytes) for _, raw in kept]
            vectors = hashed_vectors(NormalizedTexts.from_bytes(normalized), _DIMENSIONS)
            for (item_id, raw), vector in zip(kept, vectors, strict=True):
                self._vectors[item_id] = (vector, task.readable(raw)[:300])


def _similarity(
    labeled: npt.NDArray[np.float32], own: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the cosine of each labeled event with this one.

    Any two long texts of a language are similar, so the mean of all is subtracted first.
    """
    if len(labeled) >= _MIN_CENTERED:
        mean = labeled.mean(axis=0)
        labeled, own = labeled - mean, own - mean
        labeled = labeled / np.maximum(np.linalg.norm(labeled, axis=1, keepdims=True), 1e-9)
        own = own / max(float(np.linalg.norm(own)), 1e-9)
    return np.asarray(labeled @ own, np.float32)
