import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.errors import InputError
from buckler.labels import Annotator, AnswerColumns, LabelStore, export_annotations, import_labels
from buckler.labels.answer_columns import read_answers
from buckler.tasks import get_task
from buckler.teachers import get_teacher

SITES, MAIL = get_task("url-category"), get_task("email")
LLM = Annotator("big-model", "prompt-2", "llm")
COLUMNS = AnswerColumns("category", None, "confidence", "second", "why")


def answers(rows, columns=COLUMNS, task=SITES):
    return read_answers(pa.Table.from_pylist(rows), task, columns, 0.8)


def site(category, confidence, second, why=None):
    return {"category": category, "confidence": confidence, "second": second, "why": why}


def test_confidence_and_runner_up_make_the_soft_target():
    found = answers([site("games", 0.6, "sports", "a league"), site("games", None, None)])
    of = {name: found.probabilities[:, i] for i, name in enumerate(SITES.classes)}
    assert of["games"] == pytest.approx([0.6, 0.8])
    assert of["sports"] == pytest.approx([0.2, 0.2 / 28])
    assert found.probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert found.confidence == pytest.approx([0.6, 0.8])
    assert found.rationales == ["a league", None]


def test_a_runner_up_never_outweighs_the_label():
    for confidence in (0.05, 0.32, 0.5, 1.0):
        p = answers([site("games", confidence, "sports")]).probabilities[0]
        assert p[SITES.class_index("sports")] <= p[SITES.class_index("games")] == confidence


def test_a_probability_is_spread_over_the_classes_of_its_side():
    columns = AnswerColumns(probability="p_bad")
    p = answers([{"p_bad": 0.9}], columns, MAIL).probabilities[0]
    assert dict(zip(MAIL.classes, p, strict=True)) == pytest.approx(
        {"ham": 0.1, "spam": 0.45, "phishing": 0.45}
    )


def test_a_row_without_a_label_has_no_answer():
    assert answers([site("games", 0.9, None), site(None, 0.9, None)]).rows.tolist() == [0]


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (site("games", 1.5, None), "0 to 1"),
        (site("no such class", 0.9, None), "not a class"),
        (site("games", 0.9, "no such class"), "not a class"),
        ({"category": "games"}, "no column named"),
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(row, match):
    with pytest.raises(InputError, match=match):
        answers([row])


def write_sites(tmp_path):
    rows = [{"url": f"site{i}.example", **site("games", 0.6, "sports", "a league")} for i in "ab"]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "sites.parquet")
    return tmp_path / "sites.parquet"


def test_imported_and_recorded_answers_are_the_same_and_survive_an_export(tmp_path):
    path, target = write_sites(tmp_path), tmp_path / "o.jsonl"
    events = read_dataset([path], SITES, ColumnNames(keep=COLUMNS.names))
    with LabelStore(tmp_path / "l.db") as store:
        import_labels(store, events, LLM, columns=COLUMNS)
        assert export_annotations(store, SITES, target) == 2
    line = json.loads(target.read_text().splitlines()[0])
    assert (line["label"], line["runner_up"], line["confidence"]) == ("games", "sports", 0.6)
    assert line["rationale"] == "a league"
    settings = tmp_path / "teacher.toml"
    settings.write_text(
        'file = "sites.parquet"\nannotator = "big-model"\nversion = "prompt-2"\n'
        'label_column = "category"\nconfidence_column = "confidence"\n'
        'runner_up_column = "second"\nrationale_column = "why"\n'
    )
    for teacher in (get_teacher("recorded", p, SITES) for p in (settings, target)):
        assert teacher.annotator == LLM
        for one in teacher.annotate(events):
            assert (one.confidence, one.rationale) == (0.6, "a league")
            assert one.probabilities[SITES.class_index("sports")] == pytest.approx(0.2)


def test_recorded_answers_may_stand_in_the_usual_column_of_labels(tmp_path):
    (tmp_path / "labels.csv").write_text("url,label\nhttp://a.example,phishing\nb.example,benign\n")
    settings = tmp_path / "teacher.toml"
    settings.write_text('file = "labels.csv"\nannotator = "feed"\nlabel_column = "label"\n')
    task = get_task("url-threat")
    events = Dataset.from_texts([b"http://a.example", b"http://c.example"], task)
    found = get_teacher("recorded", settings, task).annotate(events)
    assert [one and one.probabilities for one in found] == [(0.0, 1.0), None]


def test_recorded_answers_are_found_by_the_digest_of_the_event(tmp_path):
    mails = [b"Subject: a\n\nhello", b"Subject: b\n\nwin a prize"]
    digests = [
        hashlib.sha1(mails[0], usedforsecurity=False).hexdigest(),
        hashlib.sha256(mails[1]).hexdigest(),
    ]
    pq.write_table(pa.table({"digest": digests, "p_bad": [0.1, 0.8]}), tmp_path / "a.parquet")
    settings = tmp_path / "teacher.toml"
    settings.write_text(
        'file = "a.parquet"\nannotator = "m"\ndigest_column = "digest"\n'
        'probability_column = "p_bad"\n'
    )
    events = Dataset.from_texts([*mails, b"Subject: c\n\nnever asked"], MAIL)
    found = get_teacher("recorded", settings, MAIL).annotate(events)
    assert [one and one.event_id for one in found] == [*events.ids[:2], None]
    assert [1 - one.probabilities[0] for one in found[:2]] == pytest.approx([0.1, 0.8])
    settings.write_text(settings.read_text().replace('"digest"', '"nothing"'))
    with pytest.raises(InputError, match="no column named nothing"):
        get_teacher("recorded", settings, MAIL)


def test_soft_targets_of_many_answers_are_probabilities():
    rng = np.random.default_rng(0)
    names = rng.choice(list(SITES.classes), (200, 2))
    rows = [site(a, c, b) for (a, b), c in zip(names, rng.uniform(0, 1, 200), strict=True)]
    p = answers(rows).probabilities
    assert (p >= 0).all()
    assert np.allclose(p.sum(axis=1), 1)
