"""The bound on agreement with a language model, checked on annotations that nothing has seen.

Half of the groups of the recorded annotations teach a student, a quarter choose the threshold under
the bound, and the last quarter shows the agreement that the threshold really has.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.measure import table
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.evaluation.agreement_bound import bound_agreement, is_answered
from buckler.evaluation.calibration import probabilities_of
from buckler.labels.answer_columns import AnswerColumns, read_answers
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student

TARGETS = (0.8, 0.9, 0.95, 0.97)
TASKS = {
    "url-threat": AnswerColumns(probability="p_phishing"),
    "url-category": AnswerColumns("answer", None, "confidence", "second"),
}


def run(data: Path) -> None:
    """Print a table for each task."""
    for name, columns in TASKS.items():
        print(f"\n### {name}\n", flush=True)
        rows = measure(_read(data / "teacher" / f"{name}.parquet", name, columns))
        table(("target", "hold in", "answered", "answered, unseen", "agreement, unseen"), rows)


def measure(events: Dataset, seed: int = 0) -> list[tuple[object, ...]]:
    """Return a row for each target, for all answers together and within each class."""
    codes = events.group_codes()
    part_of = np.random.default_rng(seed).random(int(codes.max()) + 1)[codes]
    taught = events.take(np.flatnonzero(part_of < 0.5))
    student = fit_student(taught, StudentSpec("ngram", folds=3, seed=seed)).student
    bounding, unseen = (
        events.take(np.flatnonzero((part_of >= low) & (part_of < low + 0.25)))
        for low in (0.5, 0.75)
    )
    answers = [probabilities_of(student.predict_logits(part.texts)) for part in (bounding, unseen)]
    rows: list[tuple[object, ...]] = []
    for target in TARGETS:
        for per_class in (False, True):
            bound = bound_agreement(
                answers[0],
                bounding.labels,
                bounding.group_codes(),
                tuple(events.task.class_names),
                target=target,
                per_class=per_class,
            )
            answered = is_answered(answers[1], bound.least)
            agrees = (answers[1].argmax(axis=1) == unseen.labels)[answered]
            shown = f"{agrees.mean():.3f}" if len(agrees) else "-"
            name = "each class" if per_class else "all"
            rows.append(
                (target, name, f"{bound.answered.value:.3f}", f"{answered.mean():.3f}", shown)
            )
    return rows


def _read(path: Path, task_name: str, columns: AnswerColumns) -> Dataset:
    """Return the annotated events, with the annotations as labels and targets."""
    task = get_task(task_name)
    table_of = pq.read_table(path)
    if columns.label is not None:
        table_of = table_of.rename_columns(
            [columns.label if name == "category" else name for name in table_of.column_names]
        )
    answers = read_answers(table_of, task, columns, 0.75)
    events = read_dataset([path], task, ColumnNames(text="url"), labeled=False)
    row_of = {text: row for row, text in enumerate(table_of.column("url").to_pylist())}
    rows = np.array([row_of[text.decode()] for text in events.raw_texts], np.intp)
    targets = answers.probabilities[rows].astype(np.float32)
    return events.with_labels(targets.argmax(axis=1).astype(np.int32)).with_targets(targets)
