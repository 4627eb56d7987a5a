"""Adapting a bundle to a stream whose events are written in another way than those it learned."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import buckler
from buckler.dataset import Dataset, read_dataset
from buckler.errors import InputError, SettingsError
from buckler.labels import Annotation, Annotator
from buckler.pipeline import own_events
from buckler.pipeline.adapt import task_to_adapt
from buckler.pipeline.own_events import AdaptOptions
from buckler.runtime import load
from buckler.runtime.scorer import load_with_content
from buckler.students.ngram import NgramStudent
from buckler.students.ngram_adaptation import NgramAdapter
from buckler.tasks import get_task
from buckler.teachers.recorded import RecordedTeacher
from buckler.teachers.teacher import Teacher
from buckler.training.selection import choose_events
from tests.support.cli import buckler as command
from tests.support.made_up import made_up_url

WORDS = ["pallet", "freight", "customs", "harbor", "crane", "vessel", "berth", "cargo"]
BAIT = ["invoice", "refund", "parcel", "toll"]


def own_url(positive: bool, rng: np.random.Generator) -> str:
    """Return an URL of a company whose ordinary pages look like phishing to the start."""
    word, number = rng.choice(WORDS), rng.integers(1000)
    if positive:
        return f"http://{rng.choice(BAIT)}-{word}{number}.example/{rng.choice(WORDS)}/{number}"
    return f"https://login-{word}{number}.example/verify.php?u={rng.choice(WORDS)}{number}"


def is_bait(url: bytes) -> bool:
    return any(f"//{bait}".encode() in url for bait in BAIT)


class Oracle(Teacher):
    """A teacher that knows the truth, and counts the events that it is asked about."""

    kind = "oracle"
    annotator = Annotator("oracle", "1", "model")

    def __init__(self):
        self.asked = 0

    @classmethod
    def from_file(cls, path, task):
        return cls()

    def annotate(self, events):
        self.asked += len(events)
        return [
            Annotation(i, (0.05, 0.95) if is_bait(text) else (0.95, 0.05), 1.0, None, 0.0, 0)
            for i, text in zip(events.ids, events.raw_texts, strict=True)
        ]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A stream without labels, and held-out events of it with labels."""
    rng = np.random.default_rng(5)
    folder = tmp_path_factory.mktemp("own")
    for name, n in (("stream", 900), ("test", 600)):
        positive = rng.random(n) < 0.3
        urls = [own_url(bool(p), rng) for p in positive]
        labels = ["phishing" if p else "benign" for p in positive]
        columns = {"url": urls} if name == "stream" else {"url": urls, "label": labels}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def figures(bundle, own):
    return buckler.evaluate(bundle, [own / "test.parquet"], own / "report").assessment


def options(tmp_path, **changes):
    return AdaptOptions(store=str(tmp_path / "labels.db"), **{"asks": 60, **changes})


def test_a_teacher_fits_a_bundle_to_the_stream(url_bundle, own, tmp_path):
    seen, teacher = [], Oracle()
    result = buckler.adapt(
        url_bundle,
        [own / "stream.parquet"],
        tmp_path / "mine.buckler",
        teacher,
        options(tmp_path),
        on_progress=seen.append,
    )
    assert teacher.asked == result.n_labeled == 60
    assert result.n_measured >= 20
    assert seen[-1].done == seen[-1].total == 60
    assert result.before.auroc.value < 0.3
    assert result.after.auroc.value > 0.9
    before, after = figures(url_bundle, own), figures(result.bundle, own)
    assert before.figures["auroc"].value < 0.3
    assert after.figures["auroc"].value > 0.95
    assert after.thresholds[0].false_positives.value <= 0.015
    manifest = load(result.bundle).manifest
    assert manifest.deployed_fpr == 0.01
    assert manifest.provenance["adapted_from"] == "url"
    assert manifest.provenance["answered_by"] == "oracle 1"
    assert "AUROC" in manifest.provenance["after"]


def test_the_report_tells_what_was_asked_and_what_it_brought(url_bundle, own, tmp_path):
    result = buckler.adapt(
        url_bundle,
        [own / "stream.parquet"],
        tmp_path / "mine.buckler",
        Oracle(),
        options(tmp_path, test=[own / "test.parquet"], report=tmp_path / "report"),
    )
    assert result.n_test == 600
    assert result.test_before.auroc.value < 0.3
    assert result.test_after.auroc.value > 0.95
    assert result.report.json == tmp_path / "report" / "report.json"
    report = json.loads(result.report.json.read_bytes())
    assert report["n_rows"] == 600
    assert report["provenance"]["adapted_from"] == "url"
    assert [point["n_events"] for point in report["learning"]] == [8, 15, 30, 60]
    rows = [row for row in report["comparison"] if "AUROC" in row["figure"]]
    assert [row["figure"] for row in rows] == ["own events: AUROC", "test: AUROC"]
    assert all(row["before"] < row["after"] for row in rows)
    page = result.report.html.read_text()
    assert "60 own events with an answer (oracle 1): AUROC" in page
    assert "Own events and quality" in page
    assert "<script" not in page


def test_what_the_test_holds_is_never_learned(url_bundle, own, tmp_path):
    stream = [own / "stream.parquet", own / "test.parquet"]
    result = buckler.adapt(
        url_bundle, stream, tmp_path / "m.buckler", Oracle(),
        options(tmp_path, test=[own / "test.parquet"]),
    )  # fmt: skip
    assert result.n_stream <= 900
    assert result.report.json == tmp_path / "m.json"


def test_a_second_run_asks_nothing_again_and_a_larger_one_asks_the_rest(url_bundle, own, tmp_path):
    def adapt(asks):
        teacher = Oracle()
        path = tmp_path / "mine.buckler"
        stream = [own / "stream.parquet"]
        buckler.adapt(url_bundle, stream, path, teacher, options(tmp_path, asks=asks))
        return teacher.asked, load(path).score(["http://a.example/"]).scores[0]

    first, again = adapt(60), adapt(60)
    assert (first[0], again[0], adapt(80)[0]) == (60, 0, 20)
    assert first[1] == again[1]


def test_recorded_answers_are_the_only_ones_asked_for(url_bundle, own, tmp_path, monkeypatch):
    """A teacher that knows a tenth of the stream: no rounds through all the rest."""
    stream, rounds = own / "stream.parquet", []
    events = read_dataset([stream], get_task("url-threat"))
    some = events.take(np.arange(0, len(events), 10))
    answers = {one.event_id: one for one in Oracle().annotate(some)}
    teacher = RecordedTeacher(Annotator("recorded", "1", "llm"), answers)
    assert len(answers) <= teacher.can_answer(events).sum() < len(events) / 5

    def choose(*arguments, **named):
        rounds.append(len(arguments[0]))
        return choose_events(*arguments, **named)

    monkeypatch.setattr(own_events, "choose_events", choose)
    result = buckler.adapt(
        url_bundle, [stream], tmp_path / "mine.buckler", teacher, options(tmp_path, asks=500)
    )
    assert result.n_labeled == len(answers)
    assert len(rounds) <= 10


def test_labels_of_files_do_without_a_teacher(url_bundle, own, tmp_path):
    labeled = tmp_path / "labeled.csv"
    rows = pq.read_table(own / "test.parquet").slice(0, 100).to_pylist()
    labeled.write_text("url,label\n" + "".join(f"{r['url']},{r['label']}\n" for r in rows))
    result = buckler.adapt(
        url_bundle,
        [own / "stream.parquet"],
        tmp_path / "mine.buckler",
        options=options(tmp_path, labels=[labeled]),
    )
    assert (result.n_labeled, result.answered_by) == (100, "labels of files")
    assert result.after.auroc.value > 0.95


def test_an_ordinary_stream_lowers_its_own_false_positives(url_bundle, own, tmp_path):
    rng = np.random.default_rng(6)
    pq.write_table(
        pa.table({"url": [own_url(False, rng) for _ in range(300)]}), tmp_path / "s.parquet"
    )
    result = buckler.adapt(
        url_bundle,
        [tmp_path / "s.parquet"],
        tmp_path / "mine.buckler",
        options=options(tmp_path, benign_except=0.02),
    )
    assert result.before.false_positives.value > 0.5
    assert result.after.false_positives.value <= 0.03
    scorer = load(result.bundle)
    known = [made_up_url(True, rng) for _ in range(200)]
    ordinary = [own_url(False, rng) for _ in range(200)]
    assert scorer.score(ordinary).detected.mean() <= 0.03
    assert scorer.score(known).scores.mean() > scorer.score(ordinary).scores.mean()


def test_ordinary_events_alone_that_were_no_false_positives_keep_the_start(url_bundle, tmp_path):
    rng = np.random.default_rng(9)
    urls = [made_up_url(False, rng) for _ in range(80)]
    pq.write_table(pa.table({"url": urls, "label": ["benign"] * 80}), tmp_path / "own.parquet")
    result = buckler.adapt(
        url_bundle,
        [],
        tmp_path / "m.buckler",
        options=options(tmp_path, labels=[tmp_path / "own.parquet"]),
    )
    assert result.before.false_positives.value == 0
    assert not result.is_better
    assert (tmp_path / "m.buckler").read_bytes() == url_bundle.read_bytes()


def test_a_task_of_ones_own_starts_from_nothing(own, tmp_path):
    task = tmp_path / "bait.toml"
    task.write_text(
        'name = "bait"\npositive = ["bait"]\ntext_columns = ["url"]\n'
        '[classes]\nordinary = "An ordinary page."\nbait = "A bait."\n'
    )
    result = buckler.adapt(
        task, [own / "stream.parquet"], tmp_path / "b.buckler", Oracle(), options(tmp_path)
    )
    assert result.before is None
    assert result.after.auroc.value > 0.9
    assert load(result.bundle).manifest.task == "bait"


class Contrary(Oracle):
    annotator = Annotator("contrary", "1", "model")

    def annotate(self, events):
        """Answer at random: nothing can be learned from it."""
        self.asked += len(events)
        return [
            Annotation(i, (0.95, 0.05) if i[0] % 2 else (0.05, 0.95), 1.0, None, 0.0, 0)
            for i in events.ids
        ]


def test_a_start_that_is_better_is_kept(url_bundle, tmp_path, monkeypatch):
    from buckler.pipeline import adapt as module

    real = module.adapt_student

    def worse(*args, **settings):
        found = real(*args, **settings)
        return replace(
            found, after=replace(found.before, auroc=replace(found.before.auroc, value=0))
        )

    rng = np.random.default_rng(7)
    urls = [made_up_url(bool(i % 2), rng) for i in range(200)]
    pq.write_table(pa.table({"url": urls}), tmp_path / "s.parquet")
    monkeypatch.setattr(module, "adapt_student", worse)
    result = buckler.adapt(
        url_bundle, [tmp_path / "s.parquet"], tmp_path / "m.buckler", Contrary(), options(tmp_path)
    )
    assert not result.is_better
    assert (tmp_path / "m.buckler").read_bytes() == url_bundle.read_bytes()


def test_what_cannot_be_done_is_said(url_bundle, own, tmp_path):
    stream, out = [own / "stream.parquet"], tmp_path / "m.buckler"
    with pytest.raises(SettingsError, match="needs answers"):
        buckler.adapt(url_bundle, stream, out)
    with pytest.raises(SettingsError, match="nothing is assumed"):
        buckler.adapt(url_bundle, stream, out, Oracle(), options(tmp_path, benign_except=0.0))
    with pytest.raises(InputError, match="are too few"):
        buckler.adapt(url_bundle, stream, out, Oracle(), options(tmp_path, asks=10))
    assert not out.exists()


def test_the_command_line_prints_before_and_after(url_bundle, own, tmp_path):
    recorded, task = tmp_path / "answers.jsonl", get_task("url-threat")
    urls = pq.read_table(own / "stream.parquet").column("url").to_pylist()[:300]
    events = Dataset.from_texts([url.encode() for url in urls], task)
    lines = [
        f'{{"event_id": "{i.hex()}", "annotator": "llm", "p_benign": {1 - p}, "p_phishing": {p}}}\n'
        for i, p in zip(
            events.ids, [0.9 if is_bait(u.encode()) else 0.1 for u in urls], strict=True
        )
    ]
    recorded.write_text("".join(lines))
    done = command(
        "adapt", url_bundle, "--events", own / "stream.parquet", "-o", tmp_path / "m.buckler",
        "--teacher", "recorded", "--settings", recorded, "--store", tmp_path / "l.db",
        "--asks", "60",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "60 of them labeled (llm)" in done.stdout
    assert "AUROC" in done.stdout


@pytest.mark.parametrize("segments", ["none", "mean", "max"])
def test_a_student_adapted_to_nothing_new_stays_as_it_was(segments):
    rng = np.random.default_rng(3)
    task = get_task("url-threat")
    events = Dataset.from_texts([made_up_url(False, rng).encode() for _ in range(50)], task)
    student = NgramStudent(table_bits=12, epochs=2, segments=segments)
    labels = (np.arange(50) % 2).astype(np.int32)
    student.fit(events.with_labels(labels))
    logits = student.predict_logits(events.texts)
    adapter = NgramAdapter(student, events.texts)
    p = 1 / (1 + np.exp(-logits[:, 0]))
    correction = adapter.fit(np.arange(50), np.stack([1 - p, p], 1), np.ones(50))
    np.testing.assert_allclose(
        adapter.student(correction).predict_logits(events.texts), logits, atol=0.1
    )
    rows = np.arange(10)
    np.testing.assert_allclose(adapter.predict_logits(correction, rows), logits[:10], atol=0.1)


def test_a_start_of_features_alone_learns_text_too():
    rng, task = np.random.default_rng(6), get_task("url-threat")
    labels = (np.arange(300) % 2).astype(np.int32)
    known = Dataset.from_texts([made_up_url(bool(y), rng).encode() for y in labels], task)
    start = NgramStudent(table_bits=14, max_order=0, epochs=3).fit(known.with_labels(labels))
    words = np.array(["pallet", "harbor"])[labels]
    urls = [f"https://{word}{n:03}.example/{n}/index".encode() for n, word in enumerate(words)]
    own, rows = Dataset.from_texts(urls, task), np.arange(200)
    adapter = NgramAdapter(start, own.texts)
    correction = adapter.fit(rows, np.eye(2, dtype=np.float32)[labels[rows]], np.ones(200))
    logits = adapter.student(correction).predict_logits(own.texts)[200:, 0]
    assert np.array_equal(logits > 0, labels[200:] == 1)
    again = NgramAdapter(start, known.texts)
    before = start.predict_logits(known.texts)[:, 0]
    after = again.start.predict_logits(known.texts)[:, 0]
    assert np.corrcoef(before, after)[0, 1] > 0.9


def test_pages_are_adapted_to_by_their_text(tmp_path):
    form, rows = "<form action=x.php><input type=password></form>", []
    for i in range(80):
        word, label = (("parcel", "benign"), ("letter", "phishing"))[i % 2]
        rows.append({"html": f"<title>Post {i}</title>{form}<p>{word} {i} {word}", "label": label})
    for name, part in (("own", rows[:50]), ("test", rows[50:])):
        pq.write_table(pa.Table.from_pylist(part), tmp_path / f"{name}.parquet")
    asked = options(tmp_path, labels=[tmp_path / "own.parquet"], test=[tmp_path / "test.parquet"])
    result = buckler.adapt("html", [], tmp_path / "mine.buckler", None, asked)
    assert result.test_after.auroc.value > 0.95
    scorer, content = load_with_content(result.bundle)
    assert any("letter" in piece.text for piece in scorer.explain(rows[1]["html"]).contributions)
    # The form of an adapted bundle is its own, not the task's.
    again = task_to_adapt(get_task("html"), content)
    assert again.normalizer == scorer.manifest.normalizer == "html-structure-text-v1"
