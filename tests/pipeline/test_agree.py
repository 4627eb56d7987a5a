"""A bundle in place of its teacher: the bound on their agreement, and the cascade it allows."""

import csv
import json
from io import StringIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import buckler
from buckler.errors import InputError, SettingsError
from buckler.labels import Annotation, Annotator
from buckler.pipeline.agree import AgreeOptions
from buckler.teachers import Budget
from buckler.teachers.teacher import Teacher
from tests.support.cli import buckler as command
from tests.support.cli import refused
from tests.support.made_up import made_up_url


class Opinionated(Teacher):
    """A teacher that knows the truth but for some events, and counts those it is asked about."""

    kind = "opinionated"
    columns = ("truth",)

    def __init__(self, wrong_about="", undecided_about="\0", version="1"):
        self.wrong, self.undecided, self.asked = wrong_about, undecided_about, []
        self.annotator = Annotator("opinionated", version, "model")

    @classmethod
    def from_file(cls, path, task):
        return cls()

    def annotate(self, events):
        self.asked += events.raw_texts
        found = []
        for i, text, truth in zip(
            events.ids, events.raw_texts, events.column("truth"), strict=True
        ):
            positive = truth == "phishing"
            if self.wrong and self.wrong in text.decode():
                positive = not positive
            p = 0.5 if self.undecided in text.decode() else 0.05 + 0.9 * positive
            found.append(Annotation(i, (1 - p, p), 1.0, f"=because {text.decode()}", 0.0, 0))
        return found


@pytest.fixture(scope="module")
def unseen(tmp_path_factory):
    """Unlabeled events, of which a third is labeled at random: no model can know that class."""
    rng = np.random.default_rng(9)
    rows = []
    for number in range(1200):
        positive = bool(rng.random() < 0.4)
        if number % 3:
            url = made_up_url(positive, rng)
        else:
            positive, url = bool(rng.random() < 0.5), f"http://plain{number}.example/page{number}"
        rows.append({"url": url, "truth": "phishing" if positive else "benign"})
    path = tmp_path_factory.mktemp("unseen") / "unseen.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def options(tmp_path, **changes):
    return AgreeOptions(store=str(tmp_path / "labels.db"), **changes)


def test_the_bundle_answers_what_it_agrees_on_and_the_rest_is_asked(url_bundle, unseen, tmp_path):
    teacher = Opinionated()
    found = buckler.agree(url_bundle, [unseen], tmp_path / "out", teacher, options(tmp_path))
    bound = found.bound
    assert len(teacher.asked) == bound.overall.n
    assert bound.overall.low < 0.97 <= bound.agreement.value
    assert 0.4 < bound.answered.value < 0.8
    document = json.loads(found.report.json.read_bytes())
    assert document["classes"][0]["least"] == bound.classes[0].least
    done = buckler.escalate(
        url_bundle,
        [unseen],
        tmp_path / "answers.parquet",
        teacher,
        tmp_path / "out",
        options(tmp_path, budget=Budget(events=10**6)),
    )
    assert len(teacher.asked) == bound.overall.n  # the label store knows every answer
    assert done.n_by_bundle == round(bound.answered.value * bound.overall.n)
    assert (done.n_by_teacher, done.n_open) == (done.n_events - done.n_by_bundle, 0)
    rows = pq.read_table(tmp_path / "answers.parquet").to_pylist()
    assert {row["answered_by"] for row in rows} == {"bundle", "teacher"}
    truth = {row["url"]: row["truth"] for row in pq.read_table(unseen).to_pylist()}
    right = [row["class"] == truth[row["text"]] for row in rows]
    assert np.mean(right) > 0.97
    assert all(r for r, row in zip(right, rows, strict=True) if row["answered_by"] == "teacher")


def test_a_sure_answer_that_the_teacher_contradicts_is_listed(url_bundle, unseen, tmp_path):
    teacher = Opinionated(wrong_about="login", undecided_about="verify")
    found = buckler.agree(
        url_bundle, [unseen], tmp_path / "out", teacher, options(tmp_path, target=0.5)
    )
    assert found.disagreements
    assert found.n_undecided > 0
    assert all(one.by_bundle != one.by_teacher for one in found.disagreements)
    assert {"cannot tell"} < {one.by_teacher for one in found.disagreements}
    probabilities = [one.probability for one in found.disagreements]
    assert probabilities == sorted(probabilities, reverse=True)
    rows = list(csv.DictReader(StringIO((tmp_path / "out" / "disagreements.csv").read_text())))
    assert len(rows) == len(found.disagreements)
    assert rows[0]["rationale"].startswith("'=")  # no spreadsheet runs it
    page = found.report.html.read_text()
    assert "cannot tell" in page
    assert found.bound.sentence() in page


def test_a_class_that_the_teacher_sees_otherwise_is_never_answered(url_bundle, unseen, tmp_path):
    teacher = Opinionated(wrong_about="login")
    by_class = buckler.agree(
        url_bundle, [unseen], tmp_path / "out", teacher, options(tmp_path, per_class=True)
    ).bound
    benign, phishing = by_class.classes
    assert phishing.least > 1
    assert phishing.answered.n == 0
    assert benign.answered.low >= 0.97 or benign.answered.n == 0


def test_a_short_budget_goes_to_the_least_sure_events(url_bundle, unseen, tmp_path):
    teacher = Opinionated()
    buckler.agree(url_bundle, [unseen], tmp_path / "out", teacher, options(tmp_path))
    agreement = tmp_path / "out" / "agreement.json"

    class Paid(Opinionated):
        def label(self, events, job):
            rows = np.arange(min(len(events), job.budget.events))
            return super().label(events.take(rows), job)

    paid = Paid()
    done = buckler.escalate(
        url_bundle,
        [unseen],
        tmp_path / "answers.csv",
        paid,
        agreement,
        AgreeOptions(store=str(tmp_path / "other.db"), budget=Budget(events=30)),
    )
    assert (len(paid.asked), done.n_by_teacher) == (30, 30)
    assert done.n_open == done.n_events - done.n_by_bundle - 30
    rows = list(csv.DictReader(StringIO((tmp_path / "answers.csv").read_text())))
    left = [float(r["probability"]) for r in rows if r["answered_by"] == "bundle, unsure"]
    scorer = buckler.load(url_bundle)
    asked = scorer.score(paid.asked).probabilities.max(axis=1)
    assert asked.max() <= min(left) + 1e-5


def test_the_agreement_of_others_is_refused(url_bundle, unseen, tmp_path):
    buckler.agree(url_bundle, [unseen], tmp_path / "out", Opinionated(), options(tmp_path))
    path, target = tmp_path / "out" / "agreement.json", tmp_path / "answers.jsonl"
    with pytest.raises(SettingsError, match="another teacher"):
        buckler.escalate(url_bundle, [unseen], target, Opinionated(version="2"), path)
    document = json.loads(path.read_text())
    for broken, message in (
        ({**document, "bundle_sha256": "0"}, "another bundle"),
        ({**document, "classes": []}, "no agreement"),
        ([], "no agreement"),
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises((SettingsError, InputError), match=message):
            buckler.escalate(url_bundle, [unseen], target, Opinionated(), path)


def test_training_events_are_left_out(url_bundle, unseen, tmp_path):
    found = buckler.agree(
        url_bundle,
        [unseen],
        tmp_path / "out",
        Opinionated(),
        options(tmp_path, trained_on=[_half(unseen, tmp_path)]),
    )
    assert found.n_left_out >= 600
    assert found.bound.overall.n <= 600


def _half(unseen, tmp_path):
    path = tmp_path / "half.parquet"
    pq.write_table(pq.read_table(unseen).slice(0, 600), path)
    return path


def test_the_commands_say_the_bound_and_the_saving(url_bundle, unseen, tmp_path):
    rows = pq.read_table(unseen).to_pylist()
    answers = [{"url": row["url"], "label": row["truth"]} for row in rows]
    pq.write_table(pa.Table.from_pylist(answers), tmp_path / "answers.parquet")
    (tmp_path / "recorded.toml").write_text(
        'file = "answers.parquet"\nannotator = "big"\nlabel_column = "label"\n'
    )
    teacher = ("--teacher", "recorded", "--settings", "recorded.toml")
    done = command(
        *("agree", url_bundle, unseen, *teacher, "-o", "out", "--usd-per-event", 0.002),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "With 95% confidence, the student agrees with the teacher on at least 97.0%" in (
        " ".join(done.stdout.split())
    )
    assert "in place of 2,000.00 USD" in done.stdout
    done = command(
        "escalate", url_bundle, unseen, *teacher, "--agreement", "out", "-o", "all.jsonl",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert {line["answered_by"] for line in lines} == {"bundle", "teacher"}
    refused(
        command("escalate", url_bundle, unseen, *teacher, "--agreement", "out", "-o", "all.txt",
                cwd=tmp_path),
        ".parquet, .csv, .jsonl",
    )  # fmt: skip
