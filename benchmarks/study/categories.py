"""Part 1, after Vörös et al. 2023: site categories from few labels, with and without a teacher.

`annotations` trains the student alone on every number of labels and annotations. `categories` adds
the encoder, the ensemble and the pool.
"""

import re
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import blake2b
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.study.results import Figures, Loader, Study, Table
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.splits import unlike
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean
from buckler.files import atomic_writer
from buckler.labels.answer_columns import AnswerColumns, read_answers
from buckler.students import Student
from buckler.tasks import get_task
from buckler.teachers.encoder import EncoderSettings, EncoderTeacher
from buckler.training.class_prior import ClassPrior
from buckler.training.cross_validation import StudentSpec
from buckler.training.distillation import Distillation, Floats, distill, join
from buckler.training.fit import FittedStudent, fit_student
from buckler.training.packaging import weights_of

VERSION = 6
TASK = get_task("url-category")
ALL = 8695
LABELS = (0, 100, 300, 1000, ALL)
ANNOTATIONS = (0, 1_100, 7_100, 14_300)  # in the order in which they were bought
TAUGHT = (0, 100, 1000, ALL)  # numbers of labels for which encoders teach
ENCODERS = 3  # that learn annotations alone; of those that learn labels too, one
FOLDS = 3
LLM_CONFIDENCE = 0.8  # of the annotations that state none: their agreement with the lists
ANNOTATION_WEIGHT = 0.5  # beside a label; better than 1 and 2 in cross-validation on the labels
DISTILLED = {"learning_rate": 0.1}  # the pool is ten times as large as the annotations
_HOST = re.compile(r"https?://(?:www\.)?((?:[a-z0-9-]+\.)+[a-z][a-z0-9-]+)(?:[/:?#]|$)", re.I)
_ROWS = {
    "labels": "`ngram`, labels only",
    "annotations": "`ngram`, and 14,300 annotations",
    "encoder": "an encoder on annotations, and on all labels where they are known",
    "ensemble": "encoders (three; with all labels, one) and `ngram`: the teacher",
    "distilled": "`ngram`, distilled from the ensemble over the pool",
}


def run_annotations(study: Study) -> list[Table]:
    """Compute the figures of the student alone that are not known yet, and return the table."""
    loader = Loader(lambda: World(study.data))

    def cell(n: int, n_annotations: int, *, shifted: bool) -> str:
        found = []
        for seed in range(study.seeds if n + n_annotations else 0):

            def compute(seed: int = seed) -> Figures:
                study.on_step(f"annotations: {n_annotations:,} and {n:,} labels, seed {seed}")
                prior = _prior_for(n) if shifted else ClassPrior.LEARNED
                fitted = loader.world.fit(n, n_annotations, seed, prior=prior)
                return {"accuracy": loader.world.accuracy(loader.world.answer(fitted))}

            key = {"part": "annotations", "version": 3, "labels": n, "seed": seed}
            key |= {"annotations": n_annotations, "shifted": shifted}
            found.append(study.results.once(compute, **key)["accuracy"])
        return str(Mean.of(found))

    rows = [
        (f"{a:,} annotations", *(cell(n, a, shifted=False) for n in LABELS)) for a in ANNOTATIONS
    ]
    most = ANNOTATIONS[-1]
    rows.append((f"{most:,}, another prior", *(cell(n, most, shifted=True) for n in LABELS)))
    note = (
        "Accuracy of `ngram` on `category-test`. The rows add the annotations of the recorded LLM "
        "in the order in which they were bought, with confidence and runner-up. The last row "
        "supposes other shares of the classes: the same for all where no label is known, else what "
        "held-out labels bear out."
    )
    return [Table("Labels and annotations", note, ("human labels", *_counts(LABELS)), rows)]


def run(study: Study) -> list[Table]:
    """Compute the figures with encoders that are not known yet, and return the table."""
    loader = Loader(lambda: World(study.data))
    found: dict[tuple[int, int], Figures] = {}
    for n in TAUGHT:
        for seed in range(study.seeds):

            def compute(n: int = n, seed: int = seed) -> Figures:
                study.on_step(f"categories: {n:,} labels, seed {seed}")
                return _figures(loader.world, n, seed, study.work, study.on_step)

            key = {"part": "categories", "version": VERSION, "labels": n, "seed": seed}
            found[n, seed] = study.results.once(compute, **key)

    def means(figure: Callable[[Figures], float]) -> list[Mean]:
        return [Mean.of([figure(found[n, s]) for s in range(study.seeds)]) for n in TAUGHT]

    rows = [(title, *map(str, means(itemgetter(name)))) for name, title in _ROWS.items()]
    gains = means(lambda f: f["distilled"] / f["labels"] - 1)
    cells = (f"{g.value:+.1%}" if n else "-" for n, g in zip(TAUGHT, gains, strict=True))
    rows.append(("distilled against labels only, relative", *cells))
    losses = means(lambda f: 100 * (f["distilled"] - f["ensemble"]))
    rows.append(("distilled against its teacher, points", *(f"{x.value:+.1f}" for x in losses)))
    speeds = means(lambda f: f["speed_ratio"])
    rows.append(
        ("speed of the student against one encoder", *(f"{s.value:,.0f} times" for s in speeds))
    )
    one = found[TAUGHT[0], 0]
    note = (
        "Accuracy on `category-test` (6,256 sites of groups that no training saw, 29 classes). "
        f"Student: {one['student_bytes']:,.0f} bytes; encoder: {one['encoder_parameters']:,.0f} "
        f"parameters, {one['encoder_bytes']:,.0f} bytes with 8-bit weights. Speed: one machine, "
        "one run, the student on one thread, the encoder on all cores."
    )
    return [Table("Site categories", note, ("human labels", *_counts(TAUGHT)), rows)]


class World:
    """Labels, annotations, pool and test."""

    def __init__(self, data: Path) -> None:
        self._url = data / "url"
        self._labeled = read_dataset([self._url / "category-labelled.parquet"], TASK)
        self.test = read_dataset([self._url / "category-test.parquet"], TASK)
        self.annotations = read_annotations(data, self.test)

    @cached_property
    def pool(self) -> Dataset:
        """Unlabeled sites that do not resemble the test: a pool, and hosts of ordinary URLs."""
        pool = read_dataset([self._url / "category-pool.parquet"], TASK, labeled=False)
        pool = pool.take(unlike(pool, self.test)).without_labels()
        hosts = self._ordinary_hosts()
        known = Dataset.concat([self.test, self._labeled]).without_labels()
        return Dataset.concat([pool, hosts.take(unlike(hosts, known))]).distinct()

    def _ordinary_hosts(self) -> Dataset:
        names = set()
        for name in ("field", "threat-train"):
            rows = pq.read_table(self._url / f"{name}.parquet", columns=["url", "label"])
            urls = rows.filter(pc.equal(rows["label"], "benign"))["url"].to_pylist()
            names |= {match[1].encode() for match in map(_HOST.match, urls) if match}
        return Dataset.from_texts(sorted(names), TASK).with_groups()

    def labels(self, n: int, seed: int) -> Dataset:
        """Return so many labeled sites, drawn at random."""
        order = np.random.default_rng(seed).permutation(len(self._labeled))
        return self._labeled.take(np.sort(order[:n]))

    def first_annotations(self, n: int) -> Dataset:
        """Return the sites among the first n that were annotated."""
        return self.annotations.take(np.flatnonzero(self.annotations.column("number") < n))

    def fit(
        self,
        n: int,
        n_annotations: int,
        seed: int,
        *,
        pool: Dataset | None = None,
        settings: Mapping[str, object] = MappingProxyType({}),
        prior: ClassPrior | None = None,
    ) -> FittedStudent:
        """Train on labels, and on annotations or a distilled pool; 0 labels are no labels.

        Without labels, the pool or the annotations are what is cross-validated. The labels hold
        all classes alike, the others do not.
        """
        prior = prior or _prior_for(n)
        spec = StudentSpec("ngram", settings, folds=FOLDS, seed=seed, class_prior=prior)
        if pool is None and (n_annotations or not n):
            pool = self.first_annotations(n_annotations or ANNOTATIONS[-1])
        if n or pool is None:
            return fit_student(self.labels(n, seed), spec, additional=pool)
        likeliest = pool.targets.argmax(axis=1).astype(np.int32)
        events = pool.with_labels(likeliest).with_targets(pool.targets).with_weights(1.0)
        return fit_student(events, spec)

    def answer(self, fitted: FittedStudent, events: Dataset | None = None) -> Floats:
        """Return the probabilities that a student gives to the test, or to other events."""
        texts = (self.test if events is None else events).texts
        return probabilities_of(fitted.student.predict_logits(texts))

    def teach(self, encoder: EncoderTeacher, folder: Path) -> tuple[Floats, Floats]:
        """Return the answers of an encoder on test and pool.

        They take minutes, and are kept beside the encoder's weights.
        """
        found = []
        for name, events in (("test", self.test), ("pool", self.pool)):
            digest = blake2b(b"".join(events.ids), digest_size=8).hexdigest()
            path = folder / f"{encoder.annotator.version}-{name}-{digest}.npy"
            if not path.exists():
                p = encoder.probabilities(events)
                with atomic_writer(path) as file:
                    np.save(file, p)
            found.append(np.load(path, allow_pickle=False))
        return found[0], found[1]

    def accuracy(self, p: Floats) -> float:
        """Return the share of the test that is right."""
        return float((p.argmax(axis=1) == self.test.labels).mean())


def read_annotations(data: Path, test: Dataset) -> Dataset:
    """Read the annotations of the LLM as soft targets, without sites that resemble the test."""
    columns = AnswerColumns("category", None, "confidence", "second")
    path = data / "teacher" / "url-category.parquet"
    events = read_dataset([path], TASK, ColumnNames(keep=(*columns.names, "draw")))
    events = events.with_column("number", np.arange(len(events)).tolist())
    answers = read_answers(events.table, TASK, columns, LLM_CONFIDENCE)
    events = events.with_targets(answers.probabilities.astype(np.float32))
    return events.take(unlike(events, test)).with_weights(ANNOTATION_WEIGHT)


def _figures(
    world: World, n: int, seed: int, work: Path, on_step: Callable[[str], None]
) -> Figures:
    found: Figures = {"labels": float("nan")}
    if n:
        labels_only = world.fit(n, 0, seed, prior=ClassPrior.LEARNED)
        found["labels"] = world.accuracy(world.answer(labels_only))
    with_annotations = world.fit(n, ANNOTATIONS[-1], seed)
    found["annotations"] = world.accuracy(world.answer(with_annotations))
    # A thousand labels beside 14,300 annotations hardly move the encoders, which take minutes.
    encoders = [
        _encoder(world, n if n == ALL else 0, one, work, on_step)
        for one in ([seed] if n == ALL else range(ENCODERS))
    ]
    answers = [world.teach(encoder, _folder(work)) for encoder in encoders]

    def shifted(p: Floats) -> Floats:
        """Encoders learned classes of the same shares as the student, and take the same shift."""
        return probabilities_of(np.log(p) + with_annotations.class_shift)

    on_test, on_pool = (shifted(join(list(p))) for p in zip(*answers, strict=True))
    found["encoder"] = float(np.mean([world.accuracy(shifted(p)) for p, _ in answers]))
    found["ensemble"] = world.accuracy(join([on_test, world.answer(with_annotations)]))
    both = join([on_pool, world.answer(with_annotations, world.pool)])
    distilled = distill(world.pool, both, Distillation(weight=1.0))
    fitted = world.fit(n, 0, seed, pool=distilled, settings=DISTILLED)
    found["distilled"] = world.accuracy(world.answer(fitted))
    return found | _costs(encoders[0], fitted.student, world)


def _prior_for(n: int) -> ClassPrior:
    """Return the shares of the classes to suppose: no labels bear out any."""
    return ClassPrior.LABELS if n else ClassPrior.UNIFORM


def _encoder(
    world: World, n: int, seed: int, work: Path, on_step: Callable[[str], None]
) -> EncoderTeacher:
    folder = _folder(work)
    annotations, labels = folder / "annotations.parquet", folder / "labels.parquet"
    columns = ["text", "group", "category", "confidence", "second"]
    pq.write_table(world.annotations.table.select(columns), annotations)
    if n:
        few = world.labels(n, seed)
        names = pa.array(few.label_names, pa.string())
        pq.write_table(few.table.select(["text", "group"]).append_column("label", names), labels)
    settings = EncoderSettings(
        train=[labels] if n else [],
        annotations=[annotations],
        annotation_confidence=LLM_CONFIDENCE,
        confidence_column="confidence",
        runner_up_column="second",
        work=folder,
        epochs=4 if n else 6,
        batch_rows=64,
        learning_rate=3e-4,
        max_tokens=64,
        seed=seed + 1,
    )
    return EncoderTeacher(settings, TASK, on_note=on_step)


def _folder(work: Path) -> Path:
    folder = work / "encoders"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _costs(encoder: EncoderTeacher, student: Student, world: World) -> Figures:
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


def _counts(numbers: tuple[int, ...]) -> list[str]:
    return [f"{n:,}" for n in numbers]
