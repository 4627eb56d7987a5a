"""Annotators that are withdrawn or left out: stored, and not counted."""

import pytest

from buckler.dataset import event_id
from buckler.errors import InputError
from buckler.labels import Annotation, Annotator, LabelStore
from buckler.labels.exchange import export_annotations
from buckler.labels.inspection import describe_event, find_conflicts, summarize
from buckler.labels.withdrawal import find_annotators, withdraw_annotator
from buckler.tasks import get_task
from tests.support.cli import buckler

TASK = get_task("url-threat")
TEXTS = [f"http://{n}.example/" for n in range(30)]
IDS = [event_id(text.encode(), TASK) for text in TEXTS]
GOOD, BAD, OLD_BAD = (
    Annotator("good", "1"),
    Annotator("bad", "2", "llm"),
    Annotator("bad", "1", "llm"),
)


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.db") as opened:
        opened.add(TASK, GOOD, [Annotation(i, (0.9, 0.1)) for i in IDS])
        opened.add(TASK, BAD, [Annotation(i, (0.0, 1.0)) for i in IDS])
        opened.add(TASK, OLD_BAD, [Annotation(IDS[0], (0.0, 1.0))])
        yield opened


def targets(store):
    return summarize(store, TASK).targets


def n_annotations(store, **options):
    return sum(len(batch) for batch in store.annotations(TASK, **options))


def test_a_withdrawn_annotator_stays_and_does_not_count(store, tmp_path):
    assert find_conflicts(store, TASK, 5)[1] == 30
    digest = store.digest(TASK)
    assert withdraw_annotator(store, TASK, "bad", reason="wrong prompt") == [BAD, OLD_BAD]
    assert targets(store) == {"benign": 30} and n_annotations(store) == 30
    assert n_annotations(store, with_withdrawn=True) == 61
    assert store.digest(TASK) != digest and find_conflicts(store, TASK, 5)[1] == 0
    shown = describe_event(store, TASK, IDS[0])
    assert [one.counts for one in shown.annotations] == [True, False, False]
    assert shown.target == "benign"
    assert export_annotations(store, TASK, tmp_path / "out.parquet") == 30
    assert store.find_known(TASK, BAD, IDS) == set(IDS)  # and it is not paid again
    withdraw_annotator(store, TASK, "bad", withdrawn=False)
    assert store.digest(TASK) == digest


def test_one_version_is_withdrawn_alone(store):
    assert withdraw_annotator(store, TASK, "bad@1") == [OLD_BAD]
    assert n_annotations(store) == 60


def test_annotators_are_left_out_for_one_question(store):
    assert summarize(store, TASK, ["bad"]).targets == {"benign": 30}
    assert n_annotations(store, leave_out=["bad@2"]) == 31
    with pytest.raises(InputError, match="did you mean 'good'"):
        find_annotators(store, TASK, ["god"])
    other = get_task("command-line")
    with pytest.raises(InputError, match="there are: none"):
        find_annotators(store, other, ["good"])


def test_withdrawals_are_never_changed(store):
    withdraw_annotator(store, TASK, "bad")
    for statement in ("DELETE FROM withdrawals", "UPDATE withdrawals SET withdrawn = 0"):
        with pytest.raises(Exception, match="never changed"), store.writing() as connection:
            connection.exec_driver_sql(statement)


def test_commands_withdraw_restore_and_leave_out(tmp_path):
    data = tmp_path / "rows.csv"
    data.write_text("url,label\n" + "".join(f"{text},phishing\n" for text in TEXTS))
    where = ("--task", "url-threat", "--store", tmp_path / "labels.db")
    assert buckler("labels", "import", data, *where, "--annotator", "feed").returncode == 0
    found = buckler("labels", "withdraw", "feed", *where, "--reason", "stale")
    assert found.returncode == 0 and "feed: withdrawn" in found.stdout, found.stderr
    stats = buckler("labels", "stats", *where).stdout
    assert "withdrawn, does not count: feed: stale" in stats and "targets: \n" in stats
    assert "counts again" in buckler("labels", "restore", "feed", *where).stdout
    assert "phishing 30" in buckler("labels", "stats", *where).stdout
    without = buckler("labels", "stats", *where, "--leave-out", "feed")
    assert "0 events" in without.stdout, without.stderr
    wrong = buckler("labels", "withdraw", "fed", *where)
    assert wrong.returncode == 2 and "did you mean 'feed'" in wrong.stderr
