"""Does a teacher help the student? Categories: labels, an LLM's opinions, an encoder, the pool."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import table, use_all_cores
from benchmarks.models import events
from buckler.evaluation.calibration import probabilities_of
from buckler.events import Events, collect_events
from buckler.events.splitting import find_leaks
from buckler.learning.cross_fit import Extra, cross_fit
from buckler.learning.distill import Distillation, distil, pooled
from buckler.learning.fit import fit_student
from buckler.learning.rounds import RoundSettings, run_rounds
from buckler.tasks import get_task
from buckler.teachers.encoder import EncoderSettings, EncoderTeacher

TASK = get_task("url-category")
LABELS = (1000, 8695)
CLASSES = len(TASK.classes)
LLM_CONFIDENCE = 0.8  # its agreement with the lists, as the data's README states it


def run(data: Path) -> None:
    use_all_cores()
    everything = events(data, "url-category", "category-labelled")
    test = events(data, "url-category", "category-test")
    pool = events(data, "url-category", "category-pool")
    keep = np.ones(len(pool), bool)
    keep[find_leaks(pool, test).training_rows] = False
    pool = pool.take(np.flatnonzero(keep))
    llm = collect_events([data / "teacher" / "url-category.parquet"], TASK)
    llm = llm.take(np.flatnonzero(~np.isin(_ids(llm), _ids(test))))
    rows = []
    for n in LABELS:
        few = everything.take(np.sort(np.random.default_rng(0).permutation(len(everything))[:n]))
        for title, figure in _rows(few, pool, llm, test):
            rows.append((f"{n:,}", title, figure))
            print(*rows[-1], sep=" | ", flush=True)
    table(("labels", "accuracy on category-test of", ""), rows)


def _rows(few: Events, pool: Events, llm: Events, test: Events) -> list[tuple[str, str]]:
    found = []

    def add(title: str, p: np.ndarray) -> None:
        found.append((title, f"{(p.argmax(axis=1) == test.labels).mean():.4f}"))

    add("ngram, labels only", _student(few, None, test))
    opinions = Extra(llm, _soft(llm.labels), np.ones(len(llm), np.float32))
    add("ngram, and 1,100 opinions of the LLM", _student(few, opinions, test))
    rounds = run_rounds(
        few, pool, TASK, "ngram", {}, taught=opinions, rounds=RoundSettings(max_rounds=2), folds=3
    )
    fitted = fit_student(
        few, TASK, "ngram", rounds.settings, extra=rounds.extra, crossed=rounds.crossed, folds=3
    )
    add(
        f"ngram, opinions, and rounds over the pool (best: {rounds.best.number})",
        probabilities_of(fitted.student.predict_logits(test.texts)),
    )
    with tempfile.TemporaryDirectory() as folder:
        # The LLM's opinions teach the encoder too.
        both = Path(folder) / "few.parquet"
        pq.write_table(_table(few, llm), both)
        settings = EncoderSettings(
            train=[both], work=Path(folder), epochs=5, learning_rate=2e-4, held_out=0.1
        )
        encoder = EncoderTeacher(settings, TASK)
        on_test, on_pool = (encoder.probabilities(e) for e in (test, pool))
    add("encoder, labels and opinions", on_test)
    crossed = cross_fit(few, TASK, "ngram", {}, extra=opinions, folds=3)
    student = fit_student(few, TASK, "ngram", {}, extra=opinions, crossed=crossed, folds=3).student
    ngram_test, ngram_pool = (
        probabilities_of(student.predict_logits(e.texts)) for e in (test, pool)
    )
    committee = pooled([on_test, ngram_test])
    add("committee of both", committee)
    # Both members are calibrated on labels that they did not see.
    teacher = pooled([on_pool, ngram_pool])
    said = {i: row for row, i in enumerate(_ids(llm).tolist())}
    for row, i in enumerate(_ids(pool).tolist()):
        if i in said:
            teacher[row] = pooled([teacher[row : row + 1], opinions.targets[said[i]][None]])[0]
    for settings in (
        Distillation(weight=0.5),
        Distillation(weight=1.0),
        Distillation(weight=1.0, temperature=0.5),
    ):
        taught = distil(few, pool, None, teacher, settings)
        how = f"weight {settings.weight:g}, T {settings.temperature:g}"
        title = f"ngram, distilled from it over the pool ({how})"
        add(title, _student(few, taught.extra, test))
    return found


def _student(few: Events, extra: Extra | None, test: Events) -> np.ndarray:
    fitted = fit_student(few, TASK, "ngram", {}, extra=extra, folds=3)
    return probabilities_of(fitted.student.predict_logits(test.texts))


def _soft(labels: np.ndarray) -> np.ndarray:
    rest = (1 - LLM_CONFIDENCE) / (CLASSES - 1)
    soft = np.full((len(labels), CLASSES), rest, np.float32)
    soft[np.arange(len(labels)), labels] = LLM_CONFIDENCE
    return soft


def _ids(some: Events) -> np.ndarray:
    return np.array([i.hex() for i in some.table.column("id").to_pylist()], object)


def _table(few: Events, llm: Events) -> object:
    columns = ["text", "label", "group"]
    return pa.concat_tables([few.table.select(columns), llm.table.select(columns)])
