"""Events as files between stages."""

from pathlib import Path

from pyarrow import feather

from buckler.dataset.dataset import Events, events_from_table, events_to_table
from buckler.tasks import Task


def save_events(events: Events, path: Path) -> None:
    """Write events with their normalized texts."""
    feather.write_feather(events_to_table(events), str(path), compression="lz4")


def load_events(path: Path, task: Task) -> Events:
    """Read what `save_events` wrote."""
    return events_from_table(feather.read_table(str(path), memory_map=False), task)
