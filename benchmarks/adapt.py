"""Adapting to streams that the start has not seen: AUROC and false positives on held-out events.

Each stream is a collection that is left out of the start's training. A part of it, cut by group, is
held out; the rest is asked about. A language model's recorded answers stand for the teacher, the
collection's labels for the truth on held-out events (recorded answers where it has none).
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.measure import table
from benchmarks.models import FOLDER
from buckler.dataset import ColumnNames, Dataset, UnknownLabels, read_dataset
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean
from buckler.labels import Annotation, Annotator
from buckler.operating_point import OperatingPoint
from buckler.pipeline.adapt import gather_answers, own_events, start_student
from buckler.pipeline.own_events import AdaptOptions
from buckler.runtime.scorer import load_with_content
from buckler.tasks import get_task
from buckler.teachers.recorded import RecordedTeacher
from buckler.training.adaptation import StartScores, adapt_student, own_figures
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted

Bools = npt.NDArray[np.bool_]
SEEDS = range(int(os.environ.get("BUCKLER_SEEDS", "3")))
ASKS = tuple(int(n) for n in os.environ.get("BUCKLER_ASKS", "30,100,300,1000").split(","))
HELD_OUT = 0.35
MAX_STREAM, MAX_HELD_OUT = 2_500, 1_500
TARGET_FPR = 0.01


@dataclass(frozen=True)
class Collections:
    """Events of a task, the answers of the teacher, and the start's settings.

    Attributes
    ----------
    events
        Labeled events of every collection.
    answers
        Event -> probability of a positive class.
    settings
        Settings of the start's student.
    """

    events: Dataset
    answers: dict[bytes, float]
    settings: dict[str, object]


@dataclass(frozen=True)
class Stream:
    """A stream to adapt to.

    Attributes
    ----------
    name
        Name in the table.
    collections
        Function that reads the task's events.
    own
        Beginnings of the sources that are the stream.
    left_out
        Beginnings of further sources that the start does not learn.
    by_time
        True holds the newest events out, instead of groups.
    from_nothing
        True starts from weights that are zero.
    """

    name: str
    collections: Callable[[Path], Collections]
    own: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    by_time: bool = False
    from_nothing: bool = False


def run(data: Path) -> None:
    """Print a table for each stream that ``BUCKLER_STREAMS`` names; by default for all."""
    wanted = os.environ.get("BUCKLER_STREAMS", "")
    for stream in STREAMS:
        if not wanted or any(word in stream.name for word in wanted.split(",")):
            rows = measure(stream, data)
            print(f"\n### {stream.name}\n", flush=True)
            table(("asked", "AUROC", "detection at FPR 0.01", "detection", "false positives"), rows)


def measure(stream: Stream, data: Path) -> list[tuple[str, ...]]:
    """Return a row for the start, and one for each number of events asked and way to choose."""
    found = stream.collections(data)
    start = train_start(stream, found)
    scorer, content = load_with_content(start)
    task = found.events.task
    student = start_student(task, None if stream.from_nothing else content)
    own = found.events.take(np.flatnonzero(begins_with(found.events, stream.own)))
    figures: dict[str, list[tuple[float, ...]]] = {}
    for seed in SEEDS:
        test, pool = cut(own, stream.by_time, np.random.default_rng(seed))
        probabilities = scorer.score(test.raw).probabilities.astype(np.float32)
        if not stream.from_nothing:
            figures.setdefault("none", []).append(figures_of(test, probabilities, scorer.threshold))
        teacher = recorded(found, pool)
        n_answers = sum(event_id in found.answers for event_id in pool.ids)
        for asks in ASKS:
            if asks > n_answers and asks != min(a for a in ASKS if a >= n_answers):
                continue
            for name, share in (("random", 0.999), ("selected", 1 / 3)):
                with tempfile.TemporaryDirectory() as folder:
                    options = AdaptOptions(
                        asks=min(asks, n_answers),
                        random_share=share,
                        store=str(Path(folder) / "labels.db"),
                        target_fpr=TARGET_FPR,
                        seed=seed,
                    )
                    answers = gather_answers(student, pool.without_labels(), teacher, options)
                    mine = own_events(answers, options)
                    logits = student.predict_logits(mine.labeled.texts)
                    before = StartScores(probabilities_of(logits).astype(np.float32), None)
                    adapted = adapt_student(student, mine, before, target_fpr=TARGET_FPR, seed=seed)
                deployed = adapted.fitted.operating_curve.threshold(OperatingPoint(fpr=TARGET_FPR))
                after = probabilities_of(adapted.fitted.student.predict_logits(test.texts))
                row = figures_of(test, after.astype(np.float32), deployed)
                shown = "all" if asks > n_answers else f"{asks:,}"
                figures.setdefault(f"{shown} {name}", []).append(row)
    return [
        (name, *(str(Mean.of(column)) for column in zip(*rows, strict=True)))
        for name, rows in figures.items()
    ]


def figures_of(
    events: Dataset, probabilities: npt.NDArray[np.float32], threshold: float | None
) -> tuple[float, ...]:
    """Return AUROC, detection at the target rate on the test itself, and both rates deployed."""
    found = own_figures(events, probabilities, np.inf if threshold is None else threshold)
    scores = probabilities[:, events.task.positive_indices].sum(axis=1)
    others = np.sort(scores[~events.is_positive])[::-1]
    at = others[int(TARGET_FPR * len(others))] if len(others) else np.inf
    best = float((scores[events.is_positive] > at).mean()) if events.is_positive.any() else np.nan
    return found.auroc.value, best, found.detection.value, found.false_positives.value


def train_start(stream: Stream, found: Collections) -> Path:
    """Return the bundle of everything but the stream and what is left out with it."""
    out = (*stream.own, *stream.left_out)
    name = "-".join([found.events.task.name, *(part.replace("/", "_")[:12] for part in out)])
    path = FOLDER / f"{name}.buckler"
    if not path.exists():
        rest = found.events.take(np.flatnonzero(~begins_with(found.events, out)))
        spec = StudentSpec("ngram", found.settings, folds=3, source_balance=0.5)
        write_fitted(path, fit_student(rest, spec), operating_point=OperatingPoint(fpr=TARGET_FPR))
    return path


def cut(own: Dataset, by_time: bool, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
    """Return the events that are held out, and the others, in random order."""
    rows = rng.permutation(len(own))
    if by_time:
        rows = rows[np.argsort(-own.times[rows], kind="stable")]
        border = own.times[rows[int(HELD_OUT * len(rows))]]
        held_out = own.times > border
    else:
        codes = own.group_codes()
        counts = np.bincount(codes)
        held_out, size = np.zeros(len(own), bool), 0
        for code in rng.permutation(np.unique(codes)):
            if size < HELD_OUT * len(own) and counts[code] < len(own) / 4:
                held_out |= codes == code
                size += counts[code]
    test, pool = (
        rng.permutation(np.flatnonzero(held_out)),
        rng.permutation(np.flatnonzero(~held_out)),
    )
    return own.take(test[:MAX_HELD_OUT]), own.take(pool[:MAX_STREAM])


def recorded(found: Collections, pool: Dataset) -> RecordedTeacher:
    """Return a teacher that repeats the recorded answers."""
    annotations = {}
    positive, n = found.events.task.positive_indices, len(found.events.task.classes)
    for event_id in pool.ids:
        if event_id in found.answers:
            p = np.full(n, (1 - found.answers[event_id]) / (n - len(positive)))
            p[positive] = found.answers[event_id] / len(positive)
            annotations[event_id] = Annotation(event_id, tuple(p), 1.0, None, 0.0, 0)
    return RecordedTeacher(Annotator("frontier-llm", "1", "model"), annotations)


def begins_with(events: Dataset, beginnings: tuple[str, ...]) -> Bools:
    """Tell which events are of a source with one of these beginnings."""
    return np.array([str(source).startswith(beginnings) for source in events.sources], bool)


# --- the collections ------------------------------------------------------------------------------


def kept(name: str, read: Callable[[], Dataset], task: str) -> Dataset:
    """Read once: parsing pages takes minutes."""
    path = FOLDER / f"{name}.arrow"
    if not path.exists():
        read().save(path)
    return Dataset.load(path, get_task(task))


def by_sha1(events: Dataset, path: Path, column: str) -> dict[bytes, float]:
    """Return the answers to events that a file names by the SHA-1 of their text."""
    table = pq.read_table(path)
    answers = dict(zip(table["sha1"].to_pylist(), table[column].to_pylist(), strict=True))
    pairs = zip(events.ids, events.raw_texts, strict=True)
    found = {event_id: answers.get(sha1(text).hexdigest()) for event_id, text in pairs}  # noqa: S324
    return {event_id: p for event_id, p in found.items() if p is not None}


def mails(data: Path) -> Collections:
    """Return the mails of the recipe, without collections whose labels are in doubt."""
    folder = data / "email"
    doubtful = ("thinganhado/e-phishGen:PEST", "Fengchao-531:Greco", "Shadha0624:Greco",
                "Fengchao-531:SpearBot")  # fmt: skip

    def read() -> Dataset:
        files = [folder / f"{name}.parquet" for name in ("train", "modern", "ai-written")]
        columns = ColumnNames(unknown_labels=UnknownLabels.SET_ASIDE)
        events = read_dataset(files, get_task("email"), columns).only_labeled()
        return events.take(np.flatnonzero(~begins_with(events, doubtful)))

    events = kept("mails", read, "email")
    answers = by_sha1(events, data / "teacher" / "email.parquet", "p_bad")
    return Collections(events, answers, {"min_order": 3, "dropout": 0.3, "table_bits": 15})


def pages(data: Path) -> Collections:
    """Return the pages, without parked ones and those under both labels."""

    def read() -> Dataset:
        columns = ColumnNames(keep=("junk", "mixed_dup"))
        events = read_dataset([data / "html" / "pages.parquet"], get_task("html"), columns)
        bad = [
            "true" in (str(a).lower(), str(b).lower())
            for a, b in zip(events.column("junk"), events.column("mixed_dup"), strict=True)
        ]
        return events.take(np.flatnonzero(~np.array(bad))).only_labeled()

    events = kept("pages", read, "html")
    answers = by_sha1(events, data / "teacher" / "html.parquet", "p_phishing")
    return Collections(events, answers, {"min_order": 3, "dropout": 0.3})


def urls(data: Path) -> Collections:
    """Return the URLs of the recipe and those with an answer of the field's collections."""
    task = get_task("url-threat")
    table = pq.read_table(data / "teacher" / "url-threat.parquet")
    answered = dict(zip(table["url"].to_pylist(), table["p_phishing"].to_pylist(), strict=True))

    def read() -> Dataset:
        training = read_dataset([data / "url" / "threat-train.parquet"], task)
        field = read_dataset([data / "url" / "field.parquet"], task)
        known = [raw.decode("utf-8", "replace") in answered for raw in field.raw_texts]
        return Dataset.concat([training, field.take(np.flatnonzero(known))]).only_labeled()

    events = kept("urls", read, "url-threat")
    pairs = zip(events.ids, events.raw_texts, strict=True)
    found = {i: answered.get(raw.decode("utf-8", "replace")) for i, raw in pairs}
    answers = {i: p for i, p in found.items() if p is not None}
    settings = {"dropout": 0.3, "table_bits": 19, "class_weights": "balanced"}
    return Collections(events, answers, settings)


def command_lines(data: Path) -> Collections:
    """Return the labeled lines, and telemetry whose recorded answers are the truth."""
    folder, task = data / "command_line", get_task("command-line")
    table = pq.read_table(data / "teacher" / "command-line.parquet")
    answered = dict(zip(table["text"].to_pylist(), table["p_malicious"].to_pylist(), strict=True))

    def read() -> Dataset:
        labeled = read_dataset(
            [folder / "labelled.parquet", folder / "field.parquet"], task
        ).only_labeled()
        telemetry = read_dataset([folder / "telemetry-unlabelled.parquet"], task, labeled=False)
        p = np.array([answered.get(line_of(raw), 0.5) for raw in telemetry.raw_texts])
        sure = np.flatnonzero(p != 0.5)
        telemetry = telemetry.take(sure).with_labels((p[sure] > 0.5).astype(np.int32))
        names = [f"telemetry/{name}" for name in telemetry.sources]
        return Dataset.concat([labeled, telemetry.with_column("source", names)])

    events = kept("lines", read, "command-line")
    pairs = zip(events.ids, events.raw_texts, strict=True)
    found = {i: answered.get(line_of(raw)) for i, raw in pairs}
    return Collections(events, {i: p for i, p in found.items() if p is not None}, {})


def line_of(raw: bytes) -> str:
    """Return the command line of an event, without the fields behind it."""
    return raw.partition(b"\x1f")[0].decode("utf-8", "replace")


ACCOUNT = ("account pages",)
STREAMS = (
    Stream("mail: foff-milter, other senders", mails, ("mwstowe/",)),
    Stream("mail: foff-milter, later", mails, ("mwstowe/",), by_time=True),
    Stream("pages: setfit", pages, ("watanabe-baketsu/",), ("scrapinghub/",)),
    Stream(
        "pages: Formasaurus and phishing-pages-ethical",
        pages,
        ("scrapinghub/", "maxamin/"),
        ("watanabe-baketsu/",),
    ),
    Stream("command lines: telemetry", command_lines, ("telemetry/",)),
    Stream("URLs: account pages and JPCERT", urls, (*ACCOUNT, "JPCERTCC")),
    Stream("URLs: Hacker News and JPCERT, later", urls, ("Hacker News", "JPCERTCC"), by_time=True),
    Stream("from nothing: mail", mails, ("mwstowe/",), from_nothing=True),
    Stream("from nothing: pages", pages, ("watanabe-baketsu/",), from_nothing=True),
)
