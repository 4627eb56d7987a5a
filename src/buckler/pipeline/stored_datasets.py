"""Events as files between stages."""

from pathlib import Path

from pyarrow import feather

from buckler.dataset.dataset import Dataset, dataset_from_table, dataset_to_table
from buckler.tasks import Task


def save_dataset(events: Dataset, path: Path) -> None:
    """Write events with their normalized texts."""
    feather.write_feather(dataset_to_table(events), str(path), compression="lz4")


def load_dataset(path: Path, task: Task) -> Dataset:
    """Read what `save_dataset` wrote."""
    return dataset_from_table(feather.read_table(str(path), memory_map=False), task)
