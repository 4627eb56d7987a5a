"""The label store: opinions a second into SQLite, out of it, and merged."""

import resource
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import table
from benchmarks.models import FOLDER
from buckler.labels import Labeler, LabelStore
from buckler.labels.merging import Merge, merge_opinions
from buckler.tasks import get_task

ROWS = 1_000_000


def run(data: Path) -> None:  # noqa: ARG001 - made-up opinions: only their number matters
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
            store.add_arrays(task, Labeler(name, "1", "model"), ids, both)
        add(f"insert {ROWS:,} opinions", ROWS, started)
        started = time.perf_counter()
        store.add_arrays(task, Labeler("a", "1", "model"), ids, both)
        add("insert again what is there", ROWS // 2, started)
        started = time.perf_counter()
        store.known(task, Labeler("a", "1", "model"), ids)
        add("ask which events are known", ROWS // 2, started)
        started = time.perf_counter()
        sum(len(batch) for batch in store.opinions(task))
        add("read all", ROWS, started)
        started = time.perf_counter()
        merge_opinions(store.opinions(task), store.labelers(), Merge.DAWID_SKENE)
        add("read and merge by Dawid-Skene", ROWS, started)
    table(("label store, SQLite", "opinions/s", "peak memory so far"), rows)
