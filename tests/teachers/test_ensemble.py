import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.dataset import read_dataset
from buckler.errors import SettingsError
from buckler.labels import LabelStore
from buckler.tasks import get_task
from buckler.teachers import get_teacher
from buckler.teachers.run import label_events
from tests.support.cli import buckler

TASK = get_task("url-threat")


def rules(name, pattern, label, confidence=0.9):
    return (
        f'name = "{name}"\n[[rule]]\nlabel = "{label}"\npattern = "{pattern}"\n'
        f"confidence = {confidence}\n"
    )


@pytest.fixture
def ensemble(tmp_path):
    (tmp_path / "a.toml").write_text(rules("ada", "login", "phishing"))
    (tmp_path / "b.toml").write_text(rules("bob", "login|news", "benign"))
    (tmp_path / "c.toml").write_text(rules("cyd", "login|news", "phishing", 0.99))
    path = tmp_path / "ensemble.toml"
    path.write_text(
        'name = "three"\n'
        + "".join(
            f'[[member]]\nteacher = "rules"\nsettings = "{n}.toml"\nweight = {w}\n'
            for n, w in (("a", 1), ("b", 1), ("c", 2))
        )
    )
    return path


def test_members_speak_for_themselves_and_together(tmp_path, ensemble):
    urls = ["http://login.example/", "http://news.example/", "http://quiet.example/"]
    pq.write_table(pa.table({"url": urls}), tmp_path / "e.parquet")
    events = read_dataset([tmp_path / "e.parquet"], TASK)
    who = get_teacher("ensemble", ensemble, TASK)
    with LabelStore(tmp_path / "a.db") as store:
        result = label_events(store, who, events)
        assert (result.new, result.silent) == (2, 1)
        assert [member.new for member in result.members.values()] == [1, 2, 2]
        said = {}
        annotators = store.annotators()
        for batch in store.annotations(TASK):
            for i, event_id in enumerate(batch.event_ids):
                name = annotators[int(batch.annotators[i])].name
                said[name, event_id] = (batch.probabilities[i], batch.confidence[i])
        ids = events.ids
        p, confidence = said["three", ids[0]]
        assert p[1] == pytest.approx((0.9 + 0.1 + 2 * 0.99) / 4, abs=1e-4)
        assert 0 < confidence < 1
        # Two that contradict each other are less sure than three of whom two agree.
        assert said["three", ids[1]][1] < confidence
        again = label_events(store, who, events)
        assert (again.known, again.new) == (2, 0)


def test_agreement_is_certain_and_contradiction_is_not(tmp_path):
    for name, label in (("a", "phishing"), ("b", "phishing"), ("c", "benign")):
        (tmp_path / f"{name}.toml").write_text(rules(name, "login", label, 1.0))
    pq.write_table(pa.table({"url": ["http://login.example/"]}), tmp_path / "e.parquet")
    events = read_dataset([tmp_path / "e.parquet"], TASK)
    for pair, expected in (("ab", 1.0), ("ac", 0.0)):
        path = tmp_path / "ensemble.toml"
        path.write_text(
            "".join(f'[[member]]\nteacher = "rules"\nsettings = "{n}.toml"\n' for n in pair)
        )
        with LabelStore(tmp_path / f"{pair}.db") as store:
            who = get_teacher("ensemble", path, TASK)
            label_events(store, who, events)
            assert who.annotate(events)[0].confidence == pytest.approx(expected, abs=1e-4)


def test_from_the_command_line(tmp_path, ensemble):
    urls = [f"http://{'login' if i % 2 else 'news'}-{i}.example/" for i in range(40)]
    labels = ["phishing" if i % 2 else "benign" for i in range(40)]
    pq.write_table(pa.table({"url": urls, "label": labels}), tmp_path / "e.parquet")
    result = buckler(
        *("label", tmp_path / "e.parquet", "--task", "url-threat", "--teacher", "ensemble"),
        *("--settings", ensemble, "--store", tmp_path / "a.db"),
    )
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines() if "events," in line] == [
        *("ada", "bob", "cyd", "three"),
    ]
    assert "40 new annotations" in result.stdout


def test_a_ensemble_that_makes_no_sense(tmp_path, ensemble):
    for text, problem in (
        ('[[member]]\nteacher = "rules"\nsettings = "a.toml"\n', "at least 2"),
        (2 * '[[member]]\nteacher = "rules"\nsettings = "a.toml"\n', "the same teacher twice"),
        (2 * '[[member]]\nteacher = "ensemble"\n', "cannot sit on an ensemble"),
        (2 * '[[member]]\nteacher = "rules"\n', "needs settings"),
    ):
        ensemble.write_text(text)
        with pytest.raises(SettingsError, match=problem):
            get_teacher("ensemble", ensemble, TASK)
