"""Part 3: labels and annotations bought at random, or chosen by what the student is unsure of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.study.categories import read_annotations
from benchmarks.study.results import Figures, Loader, Study, Table
from buckler.dataset import Dataset, read_dataset
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean
from buckler.students import Student, get_student
from buckler.tasks import get_task
from buckler.training.selection import SelectionMethod, choose_events

VERSION = 1
TASK = get_task("url-category")
_EPOCHS = 8

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class _Purchase:
    """Labels or annotations that can be bought.

    Attributes
    ----------
    part
        Name in the key of the figures.
    start, budgets
        Random events to start from, and the numbers after each purchase.
    read
        Reader of all events with their answers.
    """

    part: str
    start: int
    budgets: tuple[int, ...]
    read: Callable[[Path, Dataset], Dataset]


def _read_labels(data: Path, _: Dataset) -> Dataset:
    return read_dataset([data / "url" / "category-labelled.parquet"], TASK)


LABELS = _Purchase("efficiency", 300, (600, 1200, 2400), _read_labels)
ANNOTATIONS = _Purchase("bought", 100, (300, 1000, 3000, 7000, 14_000), read_annotations)


def run(study: Study) -> list[Table]:
    """Compute what is not known yet, and return the tables."""
    note = "Accuracy on `category-test`. All start from the same {} random {} ({}). The {} of the "
    note += "others are hidden until the method asks for them."
    kinds = (("labels", LABELS, "Label efficiency"), ("annotations", ANNOTATIONS, "Annotations"))
    tables = []
    for what, purchase, title in kinds:
        rows, start = _rows(study, purchase)
        head = (f"{what} known", *(f"{n:,}" for n in purchase.budgets))
        text = note.format(purchase.start, what, start, what)
        tables.append(Table(title, text, head, rows))
    return tables


def _rows(study: Study, purchase: _Purchase) -> tuple[list[tuple[str, ...]], Mean]:
    """Return a row for each method, and the accuracy that all start from."""
    loader = Loader(lambda: _read(study.data, purchase))
    rows = []
    for method in SelectionMethod:
        found = []
        for seed in range(study.seeds):

            def compute(method: SelectionMethod = method, seed: int = seed) -> Figures:
                study.on_step(f"{purchase.part}: {method.value}, seed {seed}")
                return _curve(*loader.world, purchase, method, seed)

            key = {"part": purchase.part, "version": VERSION, "method": method.value, "seed": seed}
            found.append(study.results.once(compute, **key))
        cells = (str(Mean.of([f[str(n)] for f in found])) for n in purchase.budgets)
        rows.append((f"`{method.value}`", *cells))
    return rows, Mean.of([f[str(purchase.start)] for f in found])


def _read(data: Path, purchase: _Purchase) -> tuple[Dataset, Dataset]:
    test = read_dataset([data / "url" / "category-test.parquet"], TASK)
    return purchase.read(data, test), test


def _curve(
    everything: Dataset, test: Dataset, purchase: _Purchase, method: SelectionMethod, seed: int
) -> Figures:
    rng = np.random.default_rng(seed)
    known = np.sort(rng.permutation(len(everything))[: purchase.start])
    found: Figures = {}
    student = _student(everything, known, seed)
    for n in (purchase.start, *purchase.budgets):
        if n > len(known):
            pool = np.setdiff1d(np.arange(len(everything)), known)
            chosen = choose_events(
                everything.take(pool),
                n - len(known),
                method,
                probabilities=_probabilities(student, everything.take(pool)),
                labeled=everything.take(known),
                seed=seed,
            )
            known = np.sort(np.concatenate([known, pool[chosen.rows]]))
            student = _student(everything, known, seed)
        verdicts = _probabilities(student, test).argmax(axis=1)
        found[str(n)] = float((verdicts == test.labels).mean())
    return found


def _student(everything: Dataset, known: Rows, seed: int) -> Student:
    """Train on what is known."""
    student = get_student("ngram", {"epochs": _EPOCHS, "seed": seed})
    student.fit(everything.take(known))
    return student


def _probabilities(student: Student, some: Dataset) -> npt.NDArray[np.float64]:
    return probabilities_of(student.predict_logits(some.texts))
