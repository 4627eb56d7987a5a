"""Part 1, after Vörös et al. 2023: site categories from few labels, with and without a teacher."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.study.results import Figures, Study, Table
from buckler.dataset import Dataset, read_dataset
from buckler.dataset.splits import unlike
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean
from buckler.students import Student
from buckler.tasks import get_task
from buckler.teachers.encoder import EncoderSettings, EncoderTeacher
from buckler.training.cross_validation import StudentSpec
from buckler.training.distillation import Distillation, Floats, distill, join
from buckler.training.fit import fit_student
from buckler.training.packaging import weights_of

VERSION = 1
TASK = get_task("url-category")
LABELS = (100, 300, 1000, 8695)
FOLDS = 3
LLM_CONFIDENCE = 0.8  # its agreement with the lists, as the data's README states it
SMALL = {"table_bits": 15}
_ENCODERS = {1000: 2}  # else 1: each takes minutes
_EPOCHS = {100: 6, 300: 6, 8695: 2}  # else 8
_ROWS = {
    "labels": "`ngram`, labels only",
    "annotations": "`ngram`, and 1,100 annotations of the recorded LLM",
    "encoder": "encoder on labels and annotations",
    "ensemble": "ensemble of encoder(s) and `ngram`: the teacher",
    "distilled": "`ngram`, distilled from the ensemble over the pool",
    "distilled_small": "the same in an eighth of the size",
}


def run(study: Study) -> list[Table]:
    """Compute what is not known yet, and return the tables."""
    found: dict[tuple[int, int], Figures] = {}
    world: _World | None = None
    for n in LABELS:
        for seed in range(study.seeds):

            def compute(n: int = n, seed: int = seed) -> Figures:
                nonlocal world
                world = world or _World(study.data)
                study.on_step(f"categories: {n:,} labels, seed {seed}")
                return _figures(world, n, seed, study.work, study.on_step)

            key = {"part": "categories", "version": VERSION, "labels": n, "seed": seed}
            found[n, seed] = study.results.once(compute, **key)
    rows = [
        (title, *(str(Mean.of([found[n, s][name] for s in range(study.seeds)])) for n in LABELS))
        for name, title in _ROWS.items()
    ]
    gains = [
        Mean.of([found[n, s]["distilled"] / found[n, s]["labels"] - 1 for s in range(study.seeds)])
        for n in LABELS
    ]
    rows.append(("distilled against labels only, relative", *(f"{g.value:+.1%}" for g in gains)))
    speed = [
        Mean.of([found[n, s]["speed_ratio"] for s in range(study.seeds)]).value for n in LABELS
    ]
    rows.append(("speed of the student against one encoder", *(f"{s:,.0f} times" for s in speed)))
    one = found[LABELS[0], 0]
    note = (
        "Accuracy on `category-test` (6,256 sites of groups that no training saw, 29 classes). "
        f"Student: {one['student_bytes']:,.0f} bytes; encoder: {one['encoder_parameters']:,.0f} "
        f"parameters, {one['encoder_bytes']:,.0f} bytes with 8-bit weights. Speed: one machine, "
        "one run, the student on one thread, the encoder on all cores."
    )
    head = ("human labels", *(f"{n:,}" for n in LABELS))
    return [Table("Site categories", note, head, rows)]


class _World:
    """The data, read once."""

    def __init__(self, data: Path) -> None:
        url = data / "url"
        self.labeled = read_dataset([url / "category-labelled.parquet"], TASK)
        self.test = read_dataset([url / "category-test.parquet"], TASK)
        pool = read_dataset([url / "category-pool.parquet"], TASK, labeled=False)
        self.pool = pool.take(unlike(pool, self.test))
        llm = read_dataset([data / "teacher" / "url-category.parquet"], TASK)
        llm = llm.take(unlike(llm, self.test))
        self.annotations = llm.with_targets(llm.smoothed_targets(LLM_CONFIDENCE))

    def accuracy(self, p: Floats) -> float:
        """Return the share of the test that is right."""
        return float((p.argmax(axis=1) == self.test.labels).mean())


def _figures(
    world: _World, n: int, seed: int, work: Path, on_step: Callable[[str], None]
) -> Figures:
    order = np.random.default_rng(seed).permutation(len(world.labeled))
    few = world.labeled.take(np.sort(order[:n]))
    found: Figures = {}
    found["labels"] = world.accuracy(_probabilities(_fit(few, None, seed), world.test))
    with_annotations = _fit(few, world.annotations, seed)
    on_test = [_probabilities(with_annotations, world.test)]
    on_pool = [_probabilities(with_annotations, world.pool)]
    found["annotations"] = world.accuracy(on_test[0])
    encoders = []
    # With all labels, seeds would else differ in the folds alone.
    varied = 10 * seed if n == LABELS[-1] else 0
    for member in range(_ENCODERS.get(n, 1)):
        encoder = _encoder(
            few, world.annotations, work / f"{n}-{seed}", member + varied, n, on_step
        )
        encoders.append(encoder.probabilities(world.test))
        on_test.append(encoders[-1])
        on_pool.append(encoder.probabilities(world.pool))
    found["encoder"] = float(np.mean([world.accuracy(p) for p in encoders]))
    found["ensemble"] = world.accuracy(join(on_test))
    distilled = distill(world.pool, join(on_pool), Distillation(weight=1.0))
    student = _fit(few, distilled, seed)
    found["distilled"] = world.accuracy(_probabilities(student, world.test))
    small = _fit(few, distilled, seed, SMALL)
    found["distilled_small"] = world.accuracy(_probabilities(small, world.test))
    return found | _costs(encoder, student, world)


def _fit(
    few: Dataset, extra: Dataset | None, seed: int, settings: dict[str, int] | None = None
) -> Student:
    own = dict(settings or {})
    return fit_student(
        few, StudentSpec("ngram", own, folds=FOLDS, seed=seed), additional=extra
    ).student


def _probabilities(student: Student, events: Dataset) -> Floats:
    return probabilities_of(student.predict_logits(events.texts))


def _encoder(
    few: Dataset, llm: Dataset, folder: Path, member: int, n: int, on_step: Callable[[str], None]
) -> EncoderTeacher:
    folder.mkdir(parents=True, exist_ok=True)
    for name, events in (("few", few), ("llm", llm)):
        table = events.table.select(["text", "group"])
        table = table.append_column("label", pa.array(events.label_names, pa.string()))
        pq.write_table(table, folder / f"{name}.parquet")
    settings = EncoderSettings(
        train=[folder / "few.parquet"],
        annotations=[folder / "llm.parquet"],
        annotation_confidence=LLM_CONFIDENCE,
        work=folder,
        epochs=_EPOCHS.get(n, 8),
        learning_rate=2e-4,
        max_tokens=64,
        seed=member + 1,
    )
    return EncoderTeacher(settings, TASK, on_note=on_step)


def _costs(encoder: EncoderTeacher, student: Student, world: _World) -> Figures:
    """Measure both on the same rows; the student's time counts normalizing too."""
    some = world.test.take(np.arange(2000))
    started = time.perf_counter()
    encoder.probabilities(some)
    encoder_s = time.perf_counter() - started
    many = world.pool
    started = time.perf_counter()
    texts = TASK.normalize(many.raw)
    student.predict_logits(texts)
    student_s = time.perf_counter() - started
    ratio = (len(many) / student_s) / (len(some) / encoder_s)
    return {
        "speed_ratio": ratio,
        "student_bytes": sum(map(len, weights_of(student.export()).values())),
        "encoder_parameters": encoder.n_parameters,
        "encoder_bytes": encoder.n_bytes,
    }
