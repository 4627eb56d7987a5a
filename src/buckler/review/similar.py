"""Events that were judged already and look like this one."""

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select

from buckler.normalize import NormalizedTexts
from buckler.readers.features import hashed_vectors
from buckler.review.queue import Queue
from buckler.review.schema import ITEMS, VERDICTS

_MOST = 5000
_DIMENSIONS = 1024
_LEAST_LIKE = 0.35
_ENOUGH = 20  # judged events from which on what all have in common is left aside
SHOWN = 5


@dataclass(frozen=True)
class Similar:
    """A judged event.

    Attributes
    ----------
    likeness
        0 to 1: cosine of hashed 3-grams, what all judged events have in common left aside.
    """

    item_id: int
    text: str
    label: int
    likeness: float


class JudgedEvents:
    """The newest judged events of a queue, as vectors; brought up to date when it is asked."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._vectors: dict[int, tuple[npt.NDArray[np.float32], str]] = {}

    def like(self, normalized: bytes, but: int) -> list[Similar]:
        """Return the judged events most like this one, likest first, without item `but`."""
        if self._queue.task.features:
            return []  # packed numbers have no words in common
        labels = self._labels()
        labels.pop(but, None)
        if not labels:
            return []
        with self._lock:
            self._load([i for i in labels if i not in self._vectors])
            ids = [i for i in labels if i in self._vectors]
            known = [self._vectors[i] for i in ids]
            if len(self._vectors) > 2 * _MOST:
                self._vectors = dict(zip(ids, known, strict=True))
        if not ids:
            return []
        likeness = _likeness(
            np.stack([vector for vector, _ in known]),
            hashed_vectors(NormalizedTexts.from_bytes([normalized]), _DIMENSIONS)[0],
        )
        best = np.argsort(-likeness, kind="stable")[:SHOWN]
        return [
            Similar(ids[at], known[at][1], labels[ids[at]], float(likeness[at]))
            for at in best.tolist()
            if likeness[at] >= _LEAST_LIKE
        ]

    def _labels(self) -> dict[int, int]:
        newest = (
            select(VERDICTS.c.item_id, func.max(VERDICTS.c.id).label("last"))
            .where(VERDICTS.c.task_id == self._queue.task_id, VERDICTS.c.undone_s.is_(None))
            .group_by(VERDICTS.c.item_id)
            .order_by(func.max(VERDICTS.c.id).desc())
            .limit(_MOST)
            .subquery()
        )
        query = select(VERDICTS.c.item_id, VERDICTS.c.label).join(
            newest, newest.c.last == VERDICTS.c.id
        )
        with self._queue.store.reading() as connection:
            return {int(i): int(k) for i, k in connection.execute(query)}

    def _load(self, ids: list[int]) -> None:
        for start in range(0, len(ids), 500):
            query = select(ITEMS.c.id, ITEMS.c.event_id).where(
                ITEMS.c.id.in_(ids[start : start + 500])
            )
            with self._queue.store.reading() as connection:
                event_of = {int(i): bytes(e) for i, e in connection.execute(query)}
            texts = self._queue.store.texts(event_of.values())
            there = [(i, texts[e]) for i, e in event_of.items() if e in texts]
            task = self._queue.task
            forms = [task.text_normalizer.normalize(raw, task.max_bytes) for _, raw in there]
            vectors = hashed_vectors(NormalizedTexts.from_bytes(forms), _DIMENSIONS)
            for (item_id, raw), vector in zip(there, vectors, strict=True):
                self._vectors[item_id] = (vector, task.readable(raw)[:300])


def _likeness(
    judged: npt.NDArray[np.float32], own: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the cosine of each judged event with this one.

    Any two long texts of a language are alike; so the mean of all is taken away first.
    """
    if len(judged) >= _ENOUGH:
        mean = judged.mean(axis=0)
        judged, own = judged - mean, own - mean
        judged = judged / np.maximum(np.linalg.norm(judged, axis=1, keepdims=True), 1e-9)
        own = own / max(float(np.linalg.norm(own)), 1e-9)
    return np.asarray(judged @ own, np.float32)
