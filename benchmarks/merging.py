"""Merging annotations: each way beside the mean, on simulated annotators with known errors.

A student then learns from labels of a file and a teacher's annotations.
"""

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measure import table
from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.labels import Annotator, LabelStore
from buckler.labels.merging import Merge
from buckler.runtime import load
from buckler.tasks import Task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from buckler.training.targets import with_annotations
from tests.support.annotators import class_shares, compare_with_mean, crowds

N_EVENTS = 1000
TASK = Task("made-up", {"ham": "", "spam": "", "phishing": ""}, positive=("phishing",))
_SHARES = (0.7, 0.2, 0.1)
_COMMON = [f"word{i}" for i in range(200)]
_OWN = {name: [f"{name}{i}" for i in range(60)] for name in TASK.classes}


def run(data: Path) -> None:  # noqa: ARG001 - the annotations are simulated
    _compare_with_mean()
    _count_rare()
    _learn()


def _compare_with_mean() -> None:
    rows = []
    for n_classes, rare in ((2, 0.01), (2, 0.05), (2, 0.3), (3, 0.2), (8, 0.3), (29, 0.7)):
        chosen = crowds([class_shares(n_classes, rare)])
        for method in (Merge.DAWID_SKENE, Merge.MAJORITY):
            errors, briers, n_worse, n_refused = [], [], 0, 0
            for seed, crowd in enumerate(chosen):
                try:
                    found = compare_with_mean(crowd, N_EVENTS, method, seed)
                except InputError:
                    n_refused += 1
                    continue
                errors.append(found.error)
                briers.append(found.brier)
                n_worse += found.is_worse
            rows.append(
                (
                    f"{n_classes} classes, {rare:.0%} rare",
                    method.value,
                    f"{np.mean(errors):+.4f} ({max(errors):+.3f})",
                    f"{np.mean(briers):+.4f} ({max(briers):+.3f})",
                    f"{n_worse} of {len(chosen)}",
                    f"{n_refused}",
                )
            )
    heading = ("events", "merge", "wrong classes", "Brier score", "worse", "refused")
    print("Difference to the mean: over all crowds, and the worst in brackets.")
    table(heading, rows)


def _count_rare() -> None:
    """Count the rare class in the targets of one annotator who is always right."""
    rows = []
    for share in (0.02, 0.05, 0.1):
        labels = np.zeros(5000, np.int32)
        labels[: int(5000 * share)] = 2
        events = _events(labels, np.random.default_rng(0)).with_labels(np.full(5000, -1))
        found = [
            int((_annotated(events, labels, method, 1.0).labels == 2).sum()) for method in Merge
        ]
        rows.append((f"{share:.0%} of 5,000", int(5000 * share), *found))
    print("Events of the rare class, and how many keep it: one annotator, always right.")
    table(("rare class", "events", *(method.value for method in Merge)), rows)


def _learn() -> None:
    """Measure students on events that none of them learned from."""
    rng = np.random.default_rng(0)
    test = _events(rng.choice(3, 4000, p=_SHARES), rng)
    truth = rng.choice(3, 4000, p=_SHARES).astype(np.int32)
    train = _events(truth, rng)
    few = np.where(np.arange(len(truth)) < 120, truth, -1)
    cases = [("120 labels alone", train.with_labels(few).take(np.arange(120)))]
    good = _answers(truth, 0.9, rng)
    cases += [
        (f"120 labels, a teacher right on 90 % ({method.value})", _merged(train, few, good, method))
        for method in Merge
    ]
    poor = _answers(truth, 0.29, rng)
    cases.append(("4,000 labels alone", train))
    cases += [
        (
            f"4,000 labels, a teacher right on 29 % (label_share {share:g})",
            _annotated(train, poor, Merge.MEAN, share),
        )
        for share in (1.0, 0.5, 0.0)
    ]
    print("Accuracy of the student on 4,000 other events, three classes (70, 20 and 10 %).")
    table(("training", "accuracy"), [(name, f"{_accuracy(e, test):.3f}") for name, e in cases])


def _merged(
    train: Dataset, labels: npt.NDArray[np.int32], answers: npt.NDArray[np.int32], method: Merge
) -> Dataset:
    return _annotated(train.with_labels(labels), answers, method, 1.0)


def _events(labels: npt.NDArray[np.int32], rng: np.random.Generator) -> Dataset:
    names = TASK.class_names
    texts = []
    for label in labels:
        own = rng.random(10) < 0.15
        picks = [rng.choice(_OWN[names[label]]) if mine else rng.choice(_COMMON) for mine in own]
        texts.append(" ".join([*picks, f"{rng.integers(1 << 40):x}"]).encode())
    return Dataset.from_texts(texts, TASK, labels=[names[label] for label in labels])


def _answers(
    truth: npt.NDArray[np.int32], accuracy: float, rng: np.random.Generator
) -> npt.NDArray[np.int32]:
    wrong = (truth + rng.integers(1, 3, len(truth))) % 3
    return np.where(rng.random(len(truth)) < accuracy, truth, wrong).astype(np.int32)


def _annotated(
    events: Dataset, answers: npt.NDArray[np.int32], method: Merge, label_share: float
) -> Dataset:
    with tempfile.TemporaryDirectory() as folder, LabelStore(Path(folder) / "labels.db") as store:
        p = np.eye(3, dtype=np.float32)[answers]
        store.add_arrays(TASK, Annotator("teacher", "1", "model"), events.ids, p)
        return with_annotations(events, store, method, label_share=label_share)[0]


def _accuracy(train: Dataset, test: Dataset) -> float:
    fitted = fit_student(train, StudentSpec("ngram", {"table_bits": 16}, folds=3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made-up.buckler"
        write_fitted(path, fitted)
        found = load(path).score(list(test.texts)).label_indices
    return float((found == test.labels).mean())
