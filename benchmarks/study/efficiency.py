"""Part 3: label efficiency, with events chosen at random or by the student's uncertainty."""

import numpy as np
import numpy.typing as npt

from benchmarks.study.results import Figures, Study, Table
from buckler.dataset import Dataset, read_dataset
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean
from buckler.students import Student, get_student
from buckler.tasks import get_task
from buckler.training.selection import SelectionMethod, choose_events

VERSION = 1
TASK = get_task("url-category")
START, BUDGETS = 300, (600, 1200, 2400)
_EPOCHS = 8

Rows = npt.NDArray[np.intp]


def run(study: Study) -> list[Table]:
    """Compute what is not known yet, and return the table."""
    world: list[tuple[Dataset, Dataset]] = []
    rows = []
    for method in SelectionMethod:
        found = []
        for seed in range(study.seeds):

            def compute(method: SelectionMethod = method, seed: int = seed) -> Figures:
                if not world:
                    url = study.data / "url"
                    everything = read_dataset([url / "category-labelled.parquet"], TASK)
                    world.append((everything, read_dataset([url / "category-test.parquet"], TASK)))
                study.on_step(f"label efficiency: {method.value}, seed {seed}")
                return _curve(*world[0], method, seed)

            key = {"part": "efficiency", "version": VERSION, "method": method.value, "seed": seed}
            found.append(study.results.once(compute, **key))
        rows.append(
            (f"`{method.value}`", *(str(Mean.of([f[str(n)] for f in found])) for n in BUDGETS))
        )
    start = Mean.of([f[str(START)] for f in found])
    note = (
        f"Accuracy on `category-test`. All start from the same {START} random labels ({start}); "
        "the labels of the others are hidden until the method asks for them."
    )
    return [Table("Label efficiency", note, ("labels known", *(f"{n:,}" for n in BUDGETS)), rows)]


def _curve(everything: Dataset, test: Dataset, method: SelectionMethod, seed: int) -> Figures:
    rng = np.random.default_rng(seed)
    known = np.sort(rng.permutation(len(everything))[:START])
    found: Figures = {}
    for n in (START, *BUDGETS):
        if n > len(known):
            pool = np.setdiff1d(np.arange(len(everything)), known)
            student = _student(everything, known, seed)
            chosen = choose_events(
                everything.take(pool),
                n - len(known),
                method,
                probabilities=_probabilities(student, everything.take(pool)),
                labeled=everything.take(known),
                seed=seed,
            )
            known = np.sort(np.concatenate([known, pool[chosen.rows]]))
        verdicts = _probabilities(_student(everything, known, seed), test).argmax(axis=1)
        found[str(n)] = float((verdicts == test.labels).mean())
    return found


def _student(everything: Dataset, known: Rows, seed: int) -> Student:
    """Train on the known labels."""
    student = get_student("ngram", {"epochs": _EPOCHS, "seed": seed})
    student.fit(everything.take(known))
    return student


def _probabilities(student: Student, some: Dataset) -> npt.NDArray[np.float64]:
    return probabilities_of(student.predict_logits(some.texts))
