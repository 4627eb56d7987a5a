"""Labels of analysts: some events are learned, the rest measure, split by group."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.splits import draw_groups, unlike
from buckler.labels import LabelStore
from buckler.labels.merging import Merge, merge_annotations
from buckler.tasks import Task

_TRAINING, _HELD_OUT = "training.arrow", "held-out.arrow"


@dataclass(frozen=True)
class AnalystLabels:
    """Events that analysts have labeled.

    Attributes
    ----------
    training
        Events to learn; they share no group and no near-duplicate with those that measure.
    held_out
        Events that only measure.
    """

    training: Dataset
    held_out: Dataset

    def leave_out(self, events: Dataset) -> Dataset:
        """Return training events without labeled ones, and without any like the held-out ones."""
        labeled = {*self.training.ids, *self.held_out.ids}
        events = events.take(np.flatnonzero([i not in labeled for i in events.ids]))
        return events.take(unlike(events, self.held_out)) if len(self.held_out) else events

    def save(self, folder: Path) -> None:
        """Write both datasets into a folder."""
        self.training.save(folder / _TRAINING)
        self.held_out.save(folder / _HELD_OUT)

    @classmethod
    def load(cls, folder: Path, task: Task) -> "AnalystLabels":
        """Read what `save` wrote."""
        return cls(*(Dataset.load(folder / name, task) for name in (_TRAINING, _HELD_OUT)))


def read_analyst_labels(store: LabelStore, task: Task) -> Dataset:
    """Return the events that a person has labeled and whose texts are kept.

    The label is the one that people agree on; events that they cannot agree on are left out.
    """
    merged = merge_annotations(store.annotations(task), store.annotators(), Merge.MEAN)
    rows = np.flatnonzero(merged.human & (merged.probabilities.max(axis=1) > 0.5))
    label_of = {merged.event_ids[row]: int(merged.probabilities[row].argmax()) for row in rows}
    stored = store.events(label_of)
    ids = sorted(stored)
    return Dataset.from_texts(
        [stored[i].text for i in ids],
        task,
        ids=ids,
        labels=[task.class_names[label_of[i]] for i in ids],
        groups=[stored[i].group for i in ids],
        sources=[stored[i].source for i in ids],
    ).with_groups()


def split_analyst_labels(
    events: Dataset, tests: Sequence[Dataset], hold_out: float
) -> AnalystLabels:
    """Split labeled events into those to learn and those that measure.

    Parameters
    ----------
    events
        Events with labels of analysts.
    tests
        Further test events, which no event to learn may be like.
    hold_out
        Share of the groups that measures.
    """
    held = held_out_rows(events, hold_out)
    training, held_out = events.take(np.flatnonzero(~held)), events.take(np.flatnonzero(held))
    against = [test for test in (held_out, *tests) if len(test)]
    if against and len(training):
        training = training.take(unlike(training, Dataset.concat(against)))
    return AnalystLabels(training, held_out)


def held_out_rows(events: Dataset, share: float) -> npt.NDArray[np.bool_]:
    """Return the events that measure and are never learned: always those of the same groups."""
    return draw_groups(events, b"held out") < share
