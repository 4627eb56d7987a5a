"""Events that people have judged: some to learn from, the rest to measure with, parted by group."""

from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.splits import unlike
from buckler.labels import LabelStore
from buckler.labels.merging import Merge, merge_annotations
from buckler.pipeline.recipe import VerdictsSection
from buckler.tasks import Task

_LEARNED, _HELD_OUT = "learned.arrow", "held-out.arrow"
_PARTS = 10_000


def judged_events(store: LabelStore, task: Task) -> Dataset | None:
    """Return the events that a human has judged and whose texts are kept; None if there are none.

    The label is what humans say together; events that they cannot agree on are left out.
    """
    merged = merge_annotations(store.annotations(task), store.annotators(), Merge.MEAN)
    rows = np.flatnonzero(merged.human & (merged.probabilities.max(axis=1) > 0.5))
    label_of = {merged.event_ids[row]: int(merged.probabilities[row].argmax()) for row in rows}
    stored = store.events(label_of)
    if not stored:
        return None
    names = task.class_names
    ids = sorted(stored)
    texts = [stored[i].text for i in ids]
    return Dataset.from_texts(
        texts,
        task,
        ids=ids,
        labels=[names[label_of[i]] for i in ids],
        groups=[stored[i].group for i in ids],
        sources=[stored[i].source for i in ids],
    ).with_groups()


def held_out_rows(events: Dataset, share: float) -> npt.NDArray[np.bool_]:
    """Return which events measure and are never learned from: always those of the same groups."""
    groups, ids = events.groups, events.ids
    drawn = [
        int.from_bytes(blake2b(_key(group, i), digest_size=4, person=b"held out").digest(), "big")
        for group, i in zip(groups, ids, strict=True)
    ]
    return np.array([number % _PARTS < share * _PARTS for number in drawn], bool)


def _key(group: str | None, event_id: bytes) -> bytes:
    return event_id if group is None else b"group " + group.encode("utf-8", "replace")


def part_verdicts(
    folder: Path, store: LabelStore, read: Path, task: Task, section: VerdictsSection
) -> dict[str, Any]:
    """Part what was judged into what is learned and what measures; write both.

    What is learned shares no group and no near-duplicate with what measures, tests included.
    """
    judged = judged_events(store, task)
    if judged is None:
        return {"judged": 0}
    held = held_out_rows(judged, section.hold_out)
    learned, measured = judged.take(np.flatnonzero(~held)), judged.take(np.flatnonzero(held))
    against = [measured] if len(measured) else []
    if (read / "test.arrow").exists():
        against.append(Dataset.load(read / "test.arrow", task))
    if against and len(learned):
        learned = learned.take(unlike(learned, Dataset.concat(against)))
    learned.save(folder / _LEARNED)
    measured.save(folder / _HELD_OUT)
    return {
        "judged": len(judged),
        "learned_from": len(learned),
        "held_out": len(measured),
        "too_like_a_test": len(judged) - len(learned) - len(measured),
    }


def without_judged(training: Dataset, folder: Path) -> Dataset:
    """Leave out of training what people have judged, and what is like that which measures."""
    if not (folder / _LEARNED).exists():
        return training
    learned, held = (Dataset.load(folder / name, training.task) for name in (_LEARNED, _HELD_OUT))
    judged = set(learned.ids)
    ids = training.ids
    training = training.take(np.flatnonzero([i not in judged for i in ids]))
    return training.take(unlike(training, held)) if len(held) else training


def verdict_examples(folder: Path, task: Task, section: VerdictsSection) -> Dataset | None:
    """Return what is learned as examples beside the training rows.

    They are no ground for calibration and thresholds: they were chosen because they are hard.
    """
    if not (folder / _LEARNED).exists():
        return None
    events = Dataset.load(folder / _LEARNED, task)
    if not len(events):
        return None
    return events.with_weights(section.weight)


def held_out_verdicts(folder: Path, task: Task) -> Dataset | None:
    """Return what measures; None where there is nothing."""
    if not (folder / _HELD_OUT).exists():
        return None
    events = Dataset.load(folder / _HELD_OUT, task)
    return events if len(events) else None
