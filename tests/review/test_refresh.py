"""A stream over a simulated year: the loop learns a new kind of attack, and resumes."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import buckler
from buckler.errors import InputError, SettingsError
from buckler.labels import Annotation, Annotator
from buckler.review.refresh import refresh
from buckler.review.refresh_settings import RefreshSettings, TurnLog
from buckler.serving.bundle_registry import BundleRegistry
from buckler.tasks import get_task
from buckler.teachers.teacher import Teacher
from tests.support.cli import buckler as command
from tests.support.cli import refused
from tests.support.made_up import made_up_table, made_up_url

START = datetime(2025, 1, 1, tzinfo=UTC)
TURNS = 5  # of ten weeks


def new_attack(rng):
    """Return an URL that the start takes for ordinary."""
    return f"{made_up_url(False, rng)}/harbor?claim={rng.choice(['crane', 'vessel'])}"


class Oracle(Teacher):
    """A teacher that knows the truth, and may stop after some events."""

    kind = "oracle"
    annotator = Annotator("oracle", "1", "model")
    columns = ("truth",)

    def __init__(self, stops_after=None):
        self.asked, self.stops_after = [], stops_after

    @classmethod
    def from_file(cls, path, task):
        return cls()

    def label(self, events, job):
        if self.stops_after is not None and len(events) > self.stops_after:
            super().label(events.take(np.arange(self.stops_after)), job)
            raise InputError("the teacher went away")
        return super().label(events, job)

    def annotate(self, events):
        self.asked += events.ids
        return [
            Annotation(i, (0.03, 0.97) if truth == "phishing" else (0.97, 0.03))
            for i, truth in zip(events.ids, events.column("truth"), strict=True)
        ]


@pytest.fixture
def stream(url_bundle, tmp_path):
    """A year of URLs: from the third turn on, half of the phishing is of a new kind."""
    rng, rows = np.random.default_rng(4), []
    for turn in range(TURNS):
        for number in range(300):
            positive = bool(rng.random() < 0.4)
            is_new = positive and turn >= 2 and rng.random() < 0.6
            url = new_attack(rng) if is_new else made_up_url(positive, rng)
            at = START + timedelta(days=70 * turn, hours=int(number * 70 * 24 / 300))
            rows.append(
                {
                    "url": url,
                    "ts": int(at.timestamp()),
                    "truth": "phishing" if positive else "benign",
                }
            )
    (tmp_path / "logs").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "logs" / "year.parquet")
    pq.write_table(made_up_table(400, np.random.default_rng(77)), tmp_path / "frozen.parquet")
    (tmp_path / "stream.toml").write_text(
        f'name = "proxy"\nstart = "{url_bundle}"\nevents = ["logs"]\nfrozen = ["frozen.parquet"]\n'
        'events_per_week = 100\n[teacher]\nkind = "recorded"\nsettings = "answers.toml"\n'
    )
    answers = [{"url": row["url"], "label": row["truth"]} for row in rows]
    pq.write_table(pa.Table.from_pylist(answers), tmp_path / "answers.parquet")
    (tmp_path / "answers.toml").write_text(
        'file = "answers.parquet"\nannotator = "big"\nlabel_column = "label"\nconfidence = 0.97\n'
    )
    return tmp_path / "stream.toml"


def end_of(turn):
    return START + timedelta(days=70 * (turn + 1))


def log_of(stream):
    return [
        json.loads(line) for line in (stream.parent / "refresh/log.jsonl").read_text().splitlines()
    ]


def test_a_year_of_a_stream(stream, url_scorer):
    results = [refresh(stream, now=end_of(turn)) for turn in range(TURNS)]
    actions = [result.action for result in results]
    assert actions[:2] == ["refuse", "refuse"]  # nothing is new, so nothing is gained
    assert "promote" in actions[2:]
    assert results[2].drift.low > 0.55
    assert dict(results[2].reasons)["measures"] == 40
    assert sum(count for _, count in results[2].reasons) == 100
    assert len({"novel", "uncertain", "near the threshold"} & dict(results[2].reasons).keys()) > 0
    rng = np.random.default_rng(99)
    attacks = [new_attack(rng) for _ in range(200)]
    registry = BundleRegistry(stream.parent / "registry", "proxy")
    with registry.open_deployed() as path:
        deployed = buckler.load(path)
    assert url_scorer.score(attacks).label_indices.mean() < 0.3
    assert deployed.score(attacks).label_indices.mean() > 0.8
    entries = registry.history()
    assert entries[0].reason == "the first bundle of the stream"
    assert len(entries) == 1 + TURNS
    lines = log_of(stream)
    assert [line["step"] for line in lines] == ["sample", "annotate", "decide"] * TURNS
    assert [line["action"] for line in lines if line["step"] == "decide"] == actions
    assert all(line["reason"] for line in lines if line["step"] == "decide")


def test_no_event_that_measures_teaches_and_none_is_asked_twice(stream):
    teacher = Oracle()
    for turn in (1, 2, 3):
        refresh(stream, teacher=teacher, now=end_of(turn))
    assert len(teacher.asked) == len(set(teacher.asked)) == 300
    settings = RefreshSettings.read(stream)
    log = TurnLog.read(settings.folder)
    events = log.load_events(get_task("url-threat"))
    measures = events.column("role") == "measures"
    assert measures.sum() == 3 * 40
    assert not set(events.groups[measures]) & set(events.groups[~measures])


def test_a_stopped_turn_resumes(stream):
    teacher = Oracle(stops_after=50)
    with pytest.raises(InputError, match="went away"):
        refresh(stream, teacher=teacher, now=end_of(0))
    assert [line["step"] for line in log_of(stream)] == ["sample"]
    assert refresh(stream, dry_run=True).reason == "the last turn was stopped, and is resumed"
    after = Oracle()
    done = refresh(stream, teacher=after, now=end_of(5))  # the rest of the turn that was open
    assert done.turn.until_s == end_of(0).timestamp()
    assert len(after.asked) == 50
    assert not set(after.asked) & set(teacher.asked)
    assert [line["step"] for line in log_of(stream)] == ["sample", "annotate", "decide"]


def test_a_dry_run_changes_nothing(stream):
    teacher = Oracle()
    now = end_of(2) - timedelta(minutes=1)
    found = refresh(stream, teacher=teacher, now=now, dry_run=True)
    assert found.action == "dry run"
    assert found.reason == "100 of 900 new events would be asked about"
    assert teacher.asked == []
    assert not (stream.parent / "refresh").exists()
    assert not (stream.parent / "registry").exists()


def test_the_budget_is_that_of_the_week(stream):
    teacher = Oracle()
    refresh(stream, teacher=teacher, now=end_of(0))
    again = refresh(stream, teacher=teacher, now=end_of(0) + timedelta(hours=20))
    assert again.action == "wait"  # the events of this week are used up
    assert len(teacher.asked) == 100
    assert refresh(stream, teacher=teacher, now=end_of(1)).action in ("refuse", "promote")
    with pytest.raises(SettingsError, match="ends later"):
        refresh(stream, teacher=teacher, now=end_of(0))


def test_a_recipe_is_trained_again(stream, tmp_path):
    table = made_up_table(1500, np.random.default_rng(0)).drop_columns(["source"])
    pq.write_table(table, tmp_path / "train.parquet")
    (tmp_path / "buckler.toml").write_text(
        'task = "url-threat"\n[data]\ntrain = ["train.parquet"]\ntest = ["frozen.parquet"]\n'
        '[split]\non_leak = "drop"\n[student]\ntable_bits = 12\nfolds = 2\n'
        "[evaluation]\noperating_point = {fpr = 0.01}\n"
    )
    text = stream.read_text()
    start = next(line for line in text.splitlines() if line.startswith("start"))
    text = text.replace(start, 'recipe = "buckler.toml"\nfresh_weeks = 60')
    stream.write_text(text.replace("events_per_week = 100", "events_per_week = 300"))
    action = refresh(stream, now=end_of(4)).action
    assert action == "promote"
    with BundleRegistry(stream.parent / "registry", "proxy").open_deployed() as path:
        deployed = buckler.load(path)
    rng = np.random.default_rng(99)
    assert deployed.score([new_attack(rng) for _ in range(100)]).label_indices.mean() > 0.6


def test_the_command_says_what_it_decided(stream):
    done = command("refresh", stream, "--now", "2025-03-12")
    assert done.returncode == 0, done.stderr
    assert "turn 1, 2025-W11" in done.stdout
    assert "refuse: no sure gain" in " ".join(done.stdout.split())
    refused(command("refresh", stream, "--now", "someday"), "ISO 8601", "--now")


def test_settings_that_make_no_sense_are_refused(stream):
    text = stream.read_text()
    stream.write_text(text.replace("start =", "begin ="))
    with pytest.raises(SettingsError, match="begin"):
        refresh(stream)
    stream.write_text("\n".join(line for line in text.splitlines() if "start" not in line))
    with pytest.raises(SettingsError, match="name either start"):
        refresh(stream)


def test_a_damaged_log_is_refused(stream):
    (stream.parent / "refresh").mkdir()
    for text in ('{"step": "sample"}\n', "{", '{"step": "sample", "turn": "x", "week": ""}\n'):
        (stream.parent / "refresh/log.jsonl").write_text(text)
        with pytest.raises(InputError, match="damaged log"):
            refresh(stream)
