"""The label store: annotations a second into SQLite, out of it, and merged."""

import resource
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import table
from benchmarks.models import FOLDER
from buckler.labels import Annotator, LabelStore
from buckler.labels.merging import Merge, merge_annotations
from buckler.tasks import get_task

ROWS = 1_000_000


def run(data: Path) -> None:  # noqa: ARG001 - made-up annotations: only their number matters
    task = get_task("url-threat")
    rng = np.random.default_rng(0)
    ids = [rng.bytes(16) for _ in range(ROWS // 2)]
    p = rng.random(ROWS // 2).astype(np.float32)
    both = np.stack([1 - p, p], axis=1)
    rows = []

    def add(name: str, n: int, started: float) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        rows.append((name, f"{n / (time.perf_counter() - started):,.0f}", f"{peak} MB"))

    with LabelStore(FOLDER / "labels.db") as store:
        started = time.perf_counter()
        for name in ("a", "b"):
            store.add_arrays(task, Annotator(name, "1", "model"), ids, both)
        add(f"insert {ROWS:,} annotations", ROWS, started)
        started = time.perf_counter()
        store.add_arrays(task, Annotator("a", "1", "model"), ids, both)
        add("insert again what is there", ROWS // 2, started)
        started = time.perf_counter()
        store.find_known(task, Annotator("a", "1", "model"), ids)
        add("ask which events are known", ROWS // 2, started)
        started = time.perf_counter()
        sum(len(batch) for batch in store.annotations(task))
        add("read all", ROWS, started)
        started = time.perf_counter()
        merge_annotations(store.annotations(task), store.annotators(), Merge.DAWID_SKENE)
        add("read and merge by Dawid-Skene", ROWS, started)
    table(("label store, SQLite", "annotations/s", "peak memory so far"), rows)
