"""Weights that only some sources teach are shrunk."""

import numpy as np
import pyarrow as pa
import pytest

from buckler.dataset import Dataset
from buckler.dataset.dataset import MADE_FROM
from buckler.dataset.sources import source_families
from buckler.errors import SettingsError
from buckler.normalize import NormalizedTexts
from buckler.students import get_student, source_agreement
from buckler.students.source_agreement import Agreement, sample_families
from buckler.tasks import Task

TASK = Task("t", {"benign": "", "bad": ""}, ("bad",), "text-v1", max_bytes=256)


def collections():
    """Four collections of each class; all positive ones say "evil", each says its own name too."""
    rng = np.random.default_rng(0)
    texts, labels, sources = [], [], []
    for number in range(8):
        label = number % 2
        for _ in range(60):
            words = rng.choice(["alpha", "beta", "gamma", "delta"], 4).tolist()
            words += ["evil"] * label + [f"{'qwzxkvjy'[number] * 5}", str(len(texts))]
            texts.append(" ".join(words).encode())
            labels.append(TASK.class_names[label])
            sources.append(f"collection {number}")
    return Dataset.from_texts(texts, TASK, labels=labels, sources=sources)


def logit(student, text):
    return float(student.predict_logits(NormalizedTexts.from_bytes([text]))[0, 0])


def test_a_sign_of_one_source_counts_less_than_a_sign_of_all():
    events = collections()
    share = {}
    for name, own in (
        ("one student", {}),
        ("joined", {"source_students": 8, "source_shrinkage": 8}),
    ):
        student = get_student("ngram", {"table_bits": 14, "epochs": 3, **own}).fit(events)
        plain = logit(student, b"alpha beta")
        told = logit(student, b"alpha beta wwwww") - plain  # the name of a positive source
        share[name] = told / (logit(student, b"alpha beta evil") - plain)
    assert share["one student"] > 1.3 * share["joined"] > 0


def test_half_of_the_families_of_each_class_are_drawn():
    events = collections()
    draws = list(sample_families(events, 6, np.random.default_rng(1)))
    assert len({tuple(np.unique(sample.sources)) for sample in draws}) > 2
    for sample in draws:
        chosen = set(zip(sample.labels, source_families(sample), strict=True))
        assert sorted(label for label, _ in chosen) == [0, 0, 1, 1]
        assert len(sample) == 240


def test_a_class_of_one_source_is_in_every_sample():
    events = collections()
    few = events.take(np.flatnonzero((events.labels == 0) | (events.sources == "collection 1")))
    for sample in sample_families(few, 4, np.random.default_rng(0)):
        assert (sample.labels == 1).sum() == 60
        assert (sample.labels == 0).sum() == 120


def test_a_large_source_counts_by_a_sample(monkeypatch):
    monkeypatch.setattr(source_agreement, "_MOST", 10)
    for sample in sample_families(collections(), 2, np.random.default_rng(0)):
        assert (sample.labels == 0).sum() == 20
        assert (sample.labels == 1).sum() == 120


def test_copies_stand_and_fall_with_their_origin(monkeypatch):
    monkeypatch.setattr(source_agreement, "_MOST", 10)
    events = collections()
    copies = events.with_column("source", ["synthetic"] * len(events)).with_weights(0.5)
    copies = copies.with_column(MADE_FROM, pa.array([[]] * len(events), pa.list_(pa.string())))
    both = Dataset.concat([events, copies])
    for sample in sample_families(both, 4, np.random.default_rng(0)):
        assert (sample.labels == 0).sum() == 2 * 20
        assert set(sample.sources) < set(events.sources)
        ids, counts = np.unique(np.array(sample.ids, object), return_counts=True)
        assert (counts == 2).all() and len(ids) == 140


def test_one_source_is_learned_as_without_samples():
    events = collections()
    one = Dataset.from_texts(events.texts, TASK, labels=events.label_names)
    settings = {"table_bits": 10, "epochs": 2}
    tables = [
        get_student("ngram", {**settings, "source_students": number}).fit(one).table_
        for number in (0, 4)
    ]
    assert np.array_equal(*tables)


def test_both_kinds_of_student_count_alike():
    events = collections()
    settings = {"table_bits": 14, "epochs": 3}
    one = get_student("ngram", settings).fit(events).predict_logits(events.texts)
    joined = get_student("ngram", {**settings, "source_students": 4}).fit(events)
    assert joined.predict_logits(events.texts).std() == pytest.approx(one.std(), rel=0.2)
    assert joined.best_epoch_ == 3


def test_weights_are_shrunk_by_the_reliability_of_their_mean():
    rng = np.random.default_rng(0)
    tables = rng.normal(size=(5, 40, 2)).astype(np.float32)
    biases = rng.normal(size=(5, 2)).astype(np.float32)
    tables[:, 0] = 0
    tables[:, 1] = 0.5
    agreement = Agreement()
    for table, bias in zip(tables, biases, strict=True):
        agreement.add(table, bias)
    mean, spread = tables.mean(axis=0), tables.std(axis=0)
    table, bias = agreement.shrunk(3)
    expected = mean * mean**2 / (mean**2 + 3 * spread**2 + 1e-30)
    assert table == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert (table[0] == 0).all()
    assert table[1] == pytest.approx(0.5)
    assert bias == pytest.approx(biases.mean(axis=0), abs=1e-6)
    assert agreement.shrunk(0)[0] == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("source_students", {"source_students": 1}),
        ("source_students", {"source_students": 4, "hidden": 16}),
        ("source_shrinkage", {"source_students": 4, "source_shrinkage": -1}),
    ],
)
def test_settings_that_make_no_sense_are_refused(field, settings):
    with pytest.raises(SettingsError, match=field) as caught:
        get_student("ngram", settings).fit(collections())
    assert caught.value.field == field
