"""Made-up events with a pattern that can be learned, for tests without real data."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from buckler.dataset.dataset import Dataset, dataset_from_table
from buckler.normalize.features import MARK, category_number
from buckler.runtime import Scorer, load
from buckler.tasks import Task, get_task
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted

_WORDS = ["news", "shop", "garden", "music", "travel", "book", "river", "stone", "cloud", "paper"]
_BAIT = ["login", "verify", "account", "secure", "update", "wallet"]


def made_up_url(positive: bool, rng: np.random.Generator) -> str:
    word, other = rng.choice(_WORDS), rng.choice(_WORDS)
    number = rng.integers(1000)
    if positive:
        return (
            f"https://{rng.choice(_BAIT)}-{word}{number}.example/{rng.choice(_BAIT)}.php?u={number}"
        )
    return f"http://www.{word}-{other}{number}.example/{rng.choice(_WORDS)}/{number}"


def made_up_table(n: int, rng: np.random.Generator) -> pa.Table:
    positive = rng.random(n) < 0.4
    urls = [made_up_url(bool(b), rng) for b in positive]
    return pa.table(
        {
            "url": urls,
            "label": ["phishing" if b else "benign" for b in positive],
            "group": [f"g{i % (n // 2)}" for i in range(n)],
            "ts": pa.array(1_700_000_000 + np.arange(n) * 7200),
            "source": ["a" if i % 3 else "b" for i in range(n)],
        }
    )


def made_up_events(n: int, rng: np.random.Generator, task: Task | None = None) -> Dataset:
    table = made_up_table(n, rng)
    stored = pa.table(
        {
            "id": pa.array([i.to_bytes(16, "little") for i in range(n)], pa.binary(16)),
            "text": table["url"].cast(pa.large_binary()),
            "label": table["label"],
            "group": table["group"],
            "ts": table["ts"],
            "source": table["source"],
        }
    )
    return dataset_from_table(stored, task or get_task("url-threat"))


def made_up_bundle(path: Path, seed: int, bits: int = 10) -> Scorer:
    task = get_task("url-threat")
    events = made_up_events(600, np.random.default_rng(seed))
    write_fitted(path, fit_student(events, task, "ngram", {"table_bits": bits}, folds=2), task)
    return load(path)


def made_up_rows(n: int, rng: np.random.Generator) -> tuple[Dataset, Task]:
    """Rows of three numbers and a category, some missing; the label needs two of them."""
    task = Task(
        "rows",
        {"good": "x", "positive": "y"},
        ("positive",),
        "features-v1",
        16,
        medium="row",
        numbers=("size", "entropy", "noise"),
        categories=("packer",),
    )
    values = rng.normal(size=(n, 3)).astype(np.float32)
    packer = rng.choice(["upx", "none", "aspack"], n)
    positive = (values[:, 0] + values[:, 1] > 0.3) ^ (packer == "upx")
    values[rng.random((n, 3)) < 0.05] = np.nan
    texts = [
        MARK + np.array([*row, category_number(name)], "<f4").tobytes()
        for row, name in zip(values, packer, strict=True)
    ]
    table = pa.table(
        {
            "id": pa.array([i.to_bytes(16, "little") for i in range(n)], pa.binary(16)),
            "text": pa.array(texts, pa.large_binary()),
            "label": pa.array(np.where(positive, "positive", "good"), pa.string()),
            "group": pa.array([f"g{i}" for i in range(n)], pa.string()),
            "ts": pa.nulls(n, pa.int64()),
            "source": pa.nulls(n, pa.string()),
        }
    )
    return dataset_from_table(table, task), task
