import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.dataset import read_dataset
from buckler.errors import InputError, SettingsError
from buckler.labels import Annotation, Annotator, LabelStore, export_annotations
from buckler.labels.ledger import Call, CallResult
from buckler.tasks import get_task
from buckler.teachers import Account, Budget, Spending, Teacher, get_teacher
from buckler.teachers.labeling import compare, label
from tests.support.cli import buckler
from tests.support.made_up import made_up_events, made_up_table

TASK = get_task("url-threat")
RULES = """\
name = "lures"

[[rule]]
name = "lure in the host"
label = "phishing"
pattern = '^(login|verify|account|secure|update|wallet)-'
confidence = 0.9

[[rule]]
label = "phishing"
pattern = '\\.php\\x1f'
confidence = 0.7

[[rule]]
label = "benign"
pattern = '/[0-9]+\\x1f\\x1f'
"""


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return path


def urls(tmp_path, *texts):
    pq.write_table(pa.table({"url": list(texts)}), tmp_path / "urls.parquet")
    return read_dataset([tmp_path / "urls.parquet"], TASK)


def test_rules_speak_where_they_match_and_say_why(tmp_path, rules):
    events = urls(
        tmp_path,
        "http://LOGIN-a.example/x.php?u=1",
        "http://login-a.example/",
        "http://news.example/river/7",
        "http://quiet.example/",
    )
    both, one, benign, silent = get_teacher("rules", rules, TASK).annotate(events)
    assert both.probabilities[1] == pytest.approx(0.9 * 0.7 / (0.9 * 0.7 + 0.1 * 0.3), abs=1e-4)
    assert both.rationale == "lure in the host, \\.php\\x1f"
    assert one.probabilities[1] == pytest.approx(0.9, abs=1e-4)
    assert benign.probabilities[0] == pytest.approx(0.8, abs=1e-4)
    assert silent is None


def test_the_version_of_rules_is_their_content(rules):
    before = get_teacher("rules", rules, TASK).annotator
    rules.write_text(RULES.replace("0.7", "0.6"))
    after = get_teacher("rules", rules, TASK).annotator
    assert (before.name, before.kind) == ("lures", "rule")
    assert before.version != after.version


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("'/[0-9]+\\x1f\\x1f'", "'(unclosed'"), "rule 3.*no RE2 pattern"),
        (("'/[0-9]+\\x1f\\x1f'", "'(a)\\1'"), "no RE2 pattern"),
        (("'/[0-9]+\\x1f\\x1f'", "''"), "rule.2.pattern"),
        (('label = "benign"', 'label = "odd"'), "'odd' is not a class"),
        (("confidence = 0.9", "confidence = 2"), "confidence"),
        (('name = "lures"', "name = "), "not valid TOML"),
        (('name = "lures"', 'name = "lures"\nspeed = 1'), "speed"),
    ],
)
def test_rules_that_make_no_sense_are_named(rules, change, words):
    rules.write_text(RULES.replace(*change))
    with pytest.raises(SettingsError, match=words):
        get_teacher("rules", rules, TASK)


@settings(max_examples=80, deadline=None)
@given(st.text(min_size=1, max_size=40), st.binary(max_size=300))
def test_any_pattern_is_matched_or_refused(tmp_path_factory, pattern, data):
    folder = tmp_path_factory.mktemp("r")
    quoted = json.dumps(pattern)
    (folder / "r.toml").write_text(
        f'name = "x"\n[[rule]]\nlabel = "phishing"\npattern = {quoted}\n'
    )
    events = made_up_events(4, np.random.default_rng(0))
    try:
        answers = get_teacher("rules", folder / "r.toml", TASK).annotate(events)
    except SettingsError:
        return
    assert len(answers) == 4


def test_an_explosive_pattern_takes_no_explosive_time(tmp_path):
    # A backtracking matcher would need longer than the age of the universe.
    path = tmp_path / "r.toml"
    path.write_text('name = "x"\n[[rule]]\nlabel = "phishing"\npattern = "(x+x+)+y"\n')
    events = urls(tmp_path, "http://a.example/" + "x" * 400)
    assert get_teacher("rules", path, TASK).annotate(events) == [None]


class Counting(Teacher):
    """Wraps a teacher and counts the events that it is asked about."""

    def __init__(self, inner, fail_after=None):
        self.inner, self.annotator = inner, inner.annotator
        self.asked, self.fail_after = 0, fail_after

    @classmethod
    def from_file(cls, path, task):
        raise NotImplementedError

    def annotate(self, events):
        if self.fail_after is not None and self.asked >= self.fail_after:
            raise KeyboardInterrupt
        self.asked += len(events)
        return self.inner.annotate(events)


def test_nothing_is_asked_twice_and_nothing_is_lost(tmp_path, rules, monkeypatch):
    monkeypatch.setattr("buckler.teachers.teacher.BATCH_ROWS", 100)
    events = made_up_events(1000, np.random.default_rng(0))
    inner = get_teacher("rules", rules, TASK)
    with LabelStore(tmp_path / "l.db") as store:
        stopped = Counting(inner, fail_after=300)
        with pytest.raises(KeyboardInterrupt):
            label(events, stopped, store)
        assert stopped.asked == 300
        rest = Counting(inner)
        result = label(events, rest, store)
        assert result.known + result.new + result.silent == result.events == 1000
        assert rest.asked == 1000 - result.known
        again = label(events, Counting(inner), store)
        assert again.new == 0 and again.known == result.known + result.new
        assert 0.9 < (result.probabilities.argmax(axis=1) == result.labels).mean() <= 1


class PerEventTeacher(Teacher):
    """A paid teacher as a third party writes it: a dollar an event."""

    is_paid = True

    def __init__(self):
        self.annotator = Annotator("per-event", "1", "model")

    @classmethod
    def from_file(cls, path, task):
        raise NotImplementedError

    def annotate(self, events):
        return [Annotation(event_id, (0.5, 0.5)) for event_id in events.ids]

    def label(self, events, job):
        account = Account(spent=job.budget.spent)
        for row in range(len(events)):
            if not job.budget.admits(Spending(1, cost_usd=1.0)):
                account.stopped = "the budget is spent"
                break
            annotations = self.annotate(events.take([row]))
            job.keep([CallResult(annotations, call=Call(1, 1, 0, 0, 1.0))])
            job.budget.settle(Spending(), Spending(1, cost_usd=1.0))
            account.calls += 1
        account.spent = job.budget.spent
        return account


def test_a_teacher_from_outside_keeps_to_a_budget(tmp_path):
    events = made_up_events(20, np.random.default_rng(0))
    with LabelStore(tmp_path / "l.db") as store:
        first = label(events, PerEventTeacher(), store, budget=Budget(usd=7))
        assert (first.new, first.account.stopped) == (7, "the budget is spent")
        assert first.total.cost_usd == 7
        second = label(events, PerEventTeacher(), store)
        assert second.known == 7 and second.known + second.new == second.events
        assert second.total.cost_usd == second.events


def test_recorded_annotations_repeat_a_run_to_the_letter(tmp_path, rules):
    events = made_up_events(300, np.random.default_rng(0))
    with LabelStore(tmp_path / "a.db") as store:
        label(events, get_teacher("rules", rules, TASK), store)
        for suffix in (".parquet", ".jsonl"):
            export_annotations(store, TASK, tmp_path / f"o{suffix}")
            recorded = get_teacher("recorded", tmp_path / f"o{suffix}", TASK)
            with LabelStore(tmp_path / f"b{suffix}.db") as copy:
                label(events, recorded, copy)
                assert copy.digest(TASK) == store.digest(TASK)
                assert copy.annotators() == store.annotators()


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        "{}",
        '{"event_id": "zz", "annotator": "a", "p_benign": 0.5, "p_phishing": 0.5}',
        '{"event_id": "00", "annotator": "a", "p_benign": 0.5, "p_phishing": 0.5}',
        '{"event_id": "' + "0" * 32 + '", "annotator": "a", "p_benign": 0.5, "p_phishing": 0.9}',
        '{"event_id": "' + "0" * 32 + '", "annotator": "a", "p_benign": "x", "p_phishing": 0.5}',
    ],
)
def test_a_damaged_recording_is_refused(tmp_path, line):
    (tmp_path / "o.jsonl").write_text(line)
    with pytest.raises((SettingsError, InputError), match=r"o\.jsonl"):
        get_teacher("recorded", tmp_path / "o.jsonl", TASK)


def test_label_from_the_command_line(tmp_path, rules):
    pq.write_table(made_up_table(500, np.random.default_rng(0)), tmp_path / "a.parquet")
    arguments = [
        "label",
        tmp_path / "a.parquet",
        "-t",
        "url-threat",
        "--teacher",
        "rules",
        "--settings",
        rules,
        "-s",
        tmp_path / "l.db",
    ]
    done = buckler(*arguments)
    assert done.returncode == 0, done.stderr
    assert "0 annotated before" in done.stdout and "agrees with" in done.stdout
    assert " 0 new annotations" in buckler(*arguments).stdout
    unknown = buckler(*arguments[:5], "oracle", *arguments[6:])
    assert unknown.returncode == 2 and "there are: anthropic, chat" in unknown.stderr


def answers(labels, share_right, rng):
    """Return probabilities that name the label with this chance, and the other class else."""
    named = np.where(rng.random(len(labels)) < share_right, labels, 1 - labels)
    return np.eye(2)[named] * 0.8 + 0.1


def test_a_useless_teacher_is_called_useless():
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.3).astype(np.int32)
    alone = np.arange(2000)
    coin = compare(np.eye(2)[rng.integers(0, 2, 400)], labels, alone[:400], TASK).warning
    assert "worse than always saying benign (7" in coin
    assert coin.endswith("no better than chance: it is useless here")
    constant = compare(np.tile([0.9, 0.1], (400, 1)), labels, alone[:400], TASK).warning
    assert "no better than chance" in constant
    rare = (rng.random(2000) < 0.02).astype(np.int32)
    weak = compare(answers(rare, 0.9, rng), rare, alone, TASK).warning
    assert "worse than always saying benign (97%), though better than chance" in weak
    found = compare(answers(labels, 0.95, rng), labels, alone[:400], TASK)
    assert found.warning == ""
    few = slice(0, 20)
    assert compare(answers(labels[few], 0.1, rng), labels[few], alone[few], TASK).warning == ""


def test_agreement_on_few_groups_is_less_certain():
    labels = np.tile(np.array([0, 1], np.int32), 200)
    probabilities = np.eye(2)[np.where(np.arange(400) % 10 < 8, labels, 1 - labels)] * 0.8 + 0.1
    rows = compare(probabilities, labels, np.arange(400), TASK)
    # Whole campaigns of a hundred rows are right or wrong together.
    campaigns = compare(
        np.eye(2)[np.where(np.arange(400) < 320, labels, 1 - labels)] * 0.8 + 0.1,
        labels,
        np.arange(400) // 80,
        TASK,
    )
    assert campaigns.accuracy.value == rows.accuracy.value == 0.8
    assert campaigns.accuracy.low < 0.5 < 0.75 < rows.accuracy.low


def test_the_command_warns_of_a_useless_teacher(tmp_path):
    table = made_up_table(300, np.random.default_rng(0))
    pq.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "rules.toml").write_text(
        'name = "coin"\n[[rule]]\nlabel = "phishing"\npattern = "[02468]"\nconfidence = 0.9\n'
        '[[rule]]\nlabel = "benign"\npattern = "."\nconfidence = 0.8\n'
    )
    done = buckler(
        *("label", "a.parquet", "-t", "url-threat", "--teacher", "rules", "--settings"),
        *("rules.toml", "-s", "l.db"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    printed = " ".join(done.stderr.split())
    assert "WARNING: coin" in printed and "useless here" in printed
    assert "labels.leave_out" in printed
