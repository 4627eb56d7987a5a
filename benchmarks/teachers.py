"""Accuracy and calibration of every teacher that runs here, on held-out data."""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.measure import table, use_all_cores
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.evaluation.evaluation import Predictions, evaluate_predictions
from buckler.labels import LabelStore
from buckler.tasks import get_task
from buckler.teachers.encoder import EncoderSettings, EncoderTeacher
from buckler.teachers.labeling import label
from buckler.teachers.llm.gguf import GgufSettings, GgufTeacher
from buckler.teachers.sigma import SigmaSettings, SigmaTeacher
from buckler.teachers.teacher import Teacher

GGUF_ROWS = 300
CASES = (
    # task, labeled data, test data, labels used, epochs, learning rate
    ("url-category", "url/category-labelled", "url/category-test", 8_695, 5, 2e-4),
    ("url-threat", "url/threat-train", "url/threat-test", 12_000, 3, 1e-4),
    ("command-line", "command_line/labelled", "command_line/test", 10_000, 3, 1e-4),
)


def run(data: Path) -> None:
    use_all_cores()
    rows = []
    for name, labeled, tested, n_labels, epochs, rate in CASES:
        task = get_task(name)
        test = read_dataset(
            [data / f"{tested}.parquet"], task, ColumnNames(keep=SigmaTeacher.columns)
        )
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            few = _few(data / f"{labeled}.parquet", n_labels, work)
            encoder = EncoderSettings(train=[few], work=work, epochs=epochs, learning_rate=rate)
            teachers: list[tuple[str, Teacher, int]] = [
                (f"encoder, {n_labels:,} labels", EncoderTeacher(encoder, task), len(test)),
                ("gguf, SmolLM2 135M", GgufTeacher(task, GgufSettings()), GGUF_ROWS),
                (
                    "gguf, 6 examples shown",
                    GgufTeacher(task, GgufSettings(few_shot=6, examples=few)),
                    GGUF_ROWS,
                ),
            ]
            if name == "command-line":
                rules = [data / "command_line" / "sigma-process-creation.parquet"]
                sigma = SigmaTeacher(SigmaSettings(rules=rules), task)
                teachers.append(("sigma, 1,100 rules from medium", sigma, len(test)))
            for title, teacher, n in teachers:
                rows.append((Path(tested).name, title, *_figures(teacher, test, n, work)))
                print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    table(
        (
            "test data",
            "teacher",
            "answered",
            "accuracy",
            "ECE",
            "AUROC",
            "TPR at FPR 1e-2",
            "at 1e-3",
            "rows/s",
        ),
        rows,
    )


def _few(path: Path, n: int, work: Path) -> Path:
    """Draw some of the labels, the same each time."""
    everything = pq.read_table(path)
    rows = np.sort(np.random.default_rng(0).permutation(len(everything))[:n])
    pq.write_table(everything.take(rows), work / "few.parquet")
    return work / "few.parquet"


def _figures(teacher: Teacher, test: Dataset, n: int, work: Path) -> tuple[str, ...]:
    task = test.task
    if n < len(test):
        test = test.take(np.sort(np.random.default_rng(1).permutation(len(test))[:n]))
    if isinstance(teacher, EncoderTeacher):
        teacher.prepare()  # training is not labeling
    with LabelStore(work / f"{teacher.kind}-{teacher.annotator.version}.db") as store:
        started = time.perf_counter()
        label(test, teacher, store)
        seconds = time.perf_counter() - started
        annotations = {
            event_id: batch.probabilities[row]
            for batch in store.annotations(task)
            for row, event_id in enumerate(batch.event_ids)
        }
    ids = test.ids
    n_answers = len(annotations)
    if teacher.annotator.kind == "rule":  # silence is taken for benign
        silent = np.array([0.95, 0.05], np.float32)
        annotations = {i: annotations.get(i, silent) for i in ids}
    answered = np.array([row for row, i in enumerate(ids) if i in annotations], np.intp)
    p = np.stack([annotations[ids[row]] for row in answered])
    predictions = Predictions(
        p,
        test.labels[answered],
        test.take(answered).group_codes(),
        classes=tuple(task.class_names),
        positive=tuple(task.class_index(name) for name in task.positive),
    )
    found = evaluate_predictions(predictions, n_resamples=300)
    figures = found.figures
    return (
        f"{n_answers:,} of {n:,}",
        str(figures["accuracy"]),
        f"{found.ece:.3f}",
        str(figures.get("auroc", "")),
        str(figures.get("tpr@fpr=0.01", "")),
        str(figures.get("tpr@fpr=0.001", "")),
        f"{n / seconds:,.1f}",
    )
