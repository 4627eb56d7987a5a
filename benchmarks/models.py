"""Bundles of the real tasks, trained once for all sections."""

import os
import tempfile
from functools import cache
from pathlib import Path

from buckler.dataset import Dataset, read_dataset
from buckler.dataset.splits import deduplicate
from buckler.runtime import Scorer, load
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted

# A folder that is kept lets a later run time what an earlier one trained.
FOLDER = Path(os.environ.get("BUCKLER_BENCH") or tempfile.mkdtemp(prefix="buckler-bench-"))
FOLDER.mkdir(parents=True, exist_ok=True)


@cache
def events(data: Path, task: str, name: str) -> Dataset:
    return read_dataset([data / "url" / f"{name}.parquet"], get_task(task))


@cache
def bundle(data: Path, task: str, *names: str, **settings: object) -> Path:
    found = deduplicate(Dataset.concat([events(data, task, n) for n in names]), near=False).events
    parts = "-".join([*names, *(f"{k}{v}" for k, v in sorted(settings.items()))])
    path = FOLDER / f"{task}-{parts}.buckler"
    write_fitted(path, fit_student(found, StudentSpec("ngram", dict(settings))))
    return path


def scorer(data: Path, task: str, *names: str, **settings: object) -> Scorer:
    return load(bundle(data, task, *names, **settings))
