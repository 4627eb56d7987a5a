"""Made-up events with a pattern that can be learned, for tests without real data."""

from email.message import EmailMessage
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.dataset import Dataset
from buckler.normalize import FeatureTable, NormalizedTexts
from buckler.normalize.feature_schema import category_number
from buckler.runtime import Scorer, load
from buckler.tasks import Task, get_task
from buckler.training.cross_validation import StudentSpec
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
    columns = made_up_table(n, rng).to_pydict()
    return Dataset.from_texts(
        [url.encode() for url in columns["url"]],
        task or get_task("url-threat"),
        ids=numbered_ids(n),
        labels=columns["label"],
        groups=columns["group"],
        sources=columns["source"],
        times=columns["ts"],
    )


def numbered_ids(n: int) -> list[bytes]:
    return [i.to_bytes(16, "little") for i in range(n)]


def dataset_of(
    texts: NormalizedTexts, labels: npt.NDArray[np.int32], n_classes: int = 2
) -> Dataset:
    """Events whose texts are normalized already, of a task of so many classes."""
    classes = {f"class {number}": "" for number in range(n_classes)}
    task = Task("made-up", classes, normalizer="none", max_bytes=1 << 20)
    return Dataset.from_texts(list(texts), task).with_labels(labels)


def made_up_bundle(path: Path, seed: int, bits: int = 10) -> Scorer:
    events = made_up_events(600, np.random.default_rng(seed))
    write_fitted(path, fit_student(events, StudentSpec("ngram", {"table_bits": bits}, folds=2)))
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
    categories = np.array([category_number(name) for name in packer], np.float32)
    rows = FeatureTable(task.features, np.column_stack([values, categories]))
    events = Dataset.from_texts(
        rows.to_arrow(), task, ids=numbered_ids(n), groups=[f"g{i}" for i in range(n)]
    )
    return events.with_labels(positive.astype(np.int32)), task


def made_up_mail(number: int, words: str = "the report is attached") -> bytes:
    """A plain mail; its sender, subject and text hold the number."""
    message = EmailMessage()
    message["From"], message["Subject"] = f"a{number}@s{number}.example", f"note {number}"
    message.set_content(f"{words} {number}\n")
    return message.as_bytes()
