from dataclasses import replace

import numpy as np
import pytest

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.normalize import NormalizedTexts
from buckler.normalize.segments import SegmentRule
from buckler.students import get_student
from buckler.students.ngram import NgramStudent
from buckler.students.ngram_examples import NgramExamples
from buckler.students.student import cross_entropy
from buckler.tasks import Task, get_task
from tests.support.made_up import dataset_of, made_up_events


def examples(n=2000, seed=0, classes=2):
    events = made_up_events(n, np.random.default_rng(seed))
    labels = events.labels
    if classes > 2:  # the first letter of the normalized host, folded into classes
        labels = np.array([events.texts[i][0] % classes for i in range(n)], np.int32)
    return dataset_of(events.texts, labels, classes), labels


def accuracy(student, data, labels):
    logits = student.predict_logits(data.texts)
    predicted = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(axis=1)
    return float((predicted == labels).mean())


@pytest.mark.parametrize(
    ("classes", "settings"),
    [
        (2, {}),
        (2, {"hidden": 16, "learning_rate": 0.1}),
        (5, {}),
        (29, {"hidden": 32, "learning_rate": 0.1}),
        (2, {"dropout": 0.3, "l2": 1e-4, "class_weights": "balanced"}),
        (2, {"min_order": 3, "max_order": 8}),
        (2, {"threads": 2}),
    ],
)
def test_it_learns_what_it_has_not_seen(classes, settings):
    training, _ = examples(classes=classes)
    validation, labels = examples(600, seed=9, classes=classes)
    student = get_student("ngram", {"table_bits": 12, **settings}).fit(training, validation)
    assert accuracy(student, validation, labels) > 0.97


def test_it_learns_from_features_alone():
    hosts = [f"{'a' * (3 + 9 * (i % 2))}{i}.example" for i in range(200)]
    events = Dataset.from_texts(
        [host.encode() for host in hosts],
        get_task("url-threat"),
        labels=[("benign", "phishing")[i % 2] for i in range(len(hosts))],
    )
    student = get_student("ngram", {"table_bits": 10, "max_order": 0}).fit(events)
    assert accuracy(student, events, events.labels) > 0.97
    without = events.texts.without_features()
    assert (student.predict_logits(without) == student.bias_).all()
    with pytest.raises(SettingsError, match="have no features") as caught:
        get_student("ngram", {"max_order": 0}).fit(replace(events, inputs=without))
    assert caught.value.field == "max_order"


@pytest.mark.parametrize("threads", [1, 3])
def test_training_is_reproducible_to_the_bit(threads):
    training, _ = examples(800)
    settings = {"table_bits": 10, "dropout": 0.1, "epochs": 3, "threads": threads}
    tables = [
        get_student("ngram", {**settings, "seed": 3}).fit(training).export().tensors["table"]
        for _ in range(2)
    ]
    assert np.array_equal(tables[0], tables[1])
    other = get_student("ngram", {**settings, "seed": 4})
    assert not np.array_equal(tables[0], other.fit(training).export().tensors["table"])


def commands(n, rng, *, padded=False):
    """Commands of which every third holds a bad one, alone or among ordinary ones."""
    ordinary = ["apt-get update", "make install", "systemctl restart web", "tar xf app.tar"]
    labels = (np.arange(n) % 3 == 0).astype(np.int32)
    lines = []
    for label in labels:
        parts = rng.choice(ordinary, 1 + rng.integers(3)).tolist()
        if label and padded:
            parts = rng.choice(ordinary, 12).tolist()
        if label:
            parts.insert(int(rng.integers(len(parts) + 1)), f"nc 10.0.0.{rng.integers(99)} 4444 -e")
        lines.append(" && ".join(parts).encode())
    task = Task("c", {"a": "", "b": ""}, ("b",), "command-v2", segmenter="commands")
    return Dataset.from_texts(lines, task).with_labels(labels), labels


@pytest.mark.parametrize("segments", ["mean", "max", "soft"])
def test_segments_find_what_is_padded(segments):
    training, _ = commands(900, np.random.default_rng(0))
    padded, labels = commands(300, np.random.default_rng(1), padded=True)
    settings = {"table_bits": 12, "epochs": 4}
    margins = {}
    for own in ("none", segments):
        student = get_student("ngram", {**settings, "segments": own}).fit(training)
        logits = student.predict_logits(padded.texts)[:, 0]
        margins[own] = logits[labels == 1].min() - logits[labels == 0].max()
    assert margins[segments] > 0
    assert margins[segments] > 2 * margins["none"]


def mails(n: int, rng: np.random.Generator, below: int) -> tuple[Dataset, np.ndarray]:
    """Texts of ordinary words; those of a threat begin with words of it."""
    ordinary = [f"ordinary{k}" for k in range(60)]
    threat = [f"urgent{k}" for k in range(60)]
    labels = np.arange(n) % 2
    lines = []
    for label in labels:
        words = list(rng.choice(threat if label else ordinary, 30))
        lines.append(" ".join([*words, *rng.choice(ordinary, below)]))
    task = Task("m", {"a": "", "b": ""}, ("b",), "text-v1", max_bytes=8192, segmenter="head")
    return Dataset.from_texts(lines, task).with_labels(labels.astype(np.int32)), labels


@pytest.mark.parametrize("segments", ["max", "soft"])
def test_heads_find_a_threat_with_ordinary_text_below(segments):
    training, _ = mails(300, np.random.default_rng(0), below=10)
    padded, labels = mails(100, np.random.default_rng(1), below=600)
    student = get_student("ngram", {"table_bits": 12, "epochs": 3, "segments": segments})
    student.fit(training)
    whole, found = student.text_logits(padded.texts), student.predict_logits(padded.texts)
    assert (whole[labels == 1] < 0).mean() > 0.9
    assert (found[labels == 1] > 0).mean() > 0.9
    assert (found[labels == 0] < 0).all()


def test_heads_are_not_learned():
    training, _ = mails(20, np.random.default_rng(0), below=100)
    examples = NgramExamples.of(training, SegmentRule("head", "soft", 2), 1, "none")
    assert len(examples.texts) == len(training)


@pytest.mark.parametrize("segments", ["max", "soft"])
def test_the_float_and_the_int8_model_combine_segments_alike(segments):
    training, _ = commands(600, np.random.default_rng(2))
    validation, _ = commands(90, np.random.default_rng(3))
    losses = []
    student = get_student("ngram", {"table_bits": 12, "epochs": 3, "segments": segments})
    student.fit(training, validation, lambda *seen: losses.append(seen[2]))
    logits = student.predict_logits(validation.texts)
    loss = cross_entropy(logits, validation.targets, validation.weights)
    assert loss == pytest.approx(losses[student.best_epoch_ - 1], rel=0.05)


def test_a_calibration_scales_the_logits_of_segments_too():
    training, _ = commands(300, np.random.default_rng(2))
    student = get_student("ngram", {"table_bits": 12, "epochs": 2, "segments": "soft"})
    before = student.fit(training).predict_logits(training.texts)
    student.rescale(0.25, 1.0)
    expected = 0.25 * before + 1
    assert np.allclose(student.predict_logits(training.texts), expected, atol=1e-4)
    again = NgramStudent.from_export(student.export(), training.task)
    assert again.rule_ == student.rule_
    assert np.array_equal(
        again.predict_logits(training.texts), student.predict_logits(training.texts)
    )


def test_segments_need_a_rule_and_a_positive_class():
    data, _ = examples(50)
    with pytest.raises(SettingsError, match="no segments or no positive class"):
        get_student("ngram", {"segments": "mean"}).fit(data)
    with pytest.raises(SettingsError, match="none, mean, max"):
        get_student("ngram", {"segments": "worst"}).fit(data)
    with pytest.raises(SettingsError, match="no setting 'segments'"):
        get_student("trees", {"segments": "mean"})


def test_soft_targets_are_learned_as_probabilities():
    texts = NormalizedTexts.from_bytes([b"same text"] * 400)
    soft = np.tile(np.array([[0.8, 0.2]], np.float32), (400, 1))
    student = get_student("ngram", {"table_bits": 8, "epochs": 60, "learning_rate": 0.05})
    student.fit(dataset_of(texts, np.zeros(400, np.int32)).with_targets(soft))
    p = 1 / (1 + np.exp(-student.predict_logits(texts.take(np.array([0])))[0, 0]))
    assert abs(p - 0.2) < 0.05


def test_weights_decide_between_contradictions():
    texts = NormalizedTexts.from_bytes([b"same text"] * 200)
    labels = np.array([0, 1] * 100, np.int32)
    data = dataset_of(texts, labels)
    for favored in (0, 1):
        weights = np.where(labels == favored, 1.0, 0.05).astype(np.float32)
        student = get_student("ngram", {"table_bits": 8, "epochs": 10})
        student.fit(data.with_weights(weights))
        assert (student.predict_logits(texts)[0, 0] > 0) == bool(favored)


def test_it_stops_when_validation_no_longer_improves():
    training, labels = examples(400)
    rng = np.random.default_rng(0)
    noise = training.with_labels(rng.permutation(labels))
    seen = []
    student = get_student("ngram", {"table_bits": 12, "epochs": 50, "patience": 2})
    student.fit(noise, training, lambda epoch, loss, held_out: seen.append(held_out))
    assert len(seen) < 50
    assert student.best_epoch_ == int(np.argmin(seen)) + 1


def test_int8_hardly_moves_the_logits():
    training, _ = examples()
    student = get_student("ngram", {"table_bits": 12, "epochs": 4}).fit(training)
    z = student.predict_logits(training.texts)[:, 0]
    assert student.table_.dtype == np.int8
    assert np.abs(z).max() > 1
    before = z.copy()
    student.rescale(0.5, 1.0)
    after = student.predict_logits(training.texts)[:, 0]
    assert np.allclose(after, 0.5 * before + 1, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"table_bits": 0},
        {"table_bits": 30},
        {"max_order": 9},
        {"hidden": 7},
        {"learning_rate": -1.0},
        {"dropout": 1.0},
        {"epochs": 0},
        {"threads": 0},
        {"class_weights": "some"},
        {"unknown": 1},
    ],
)
def test_settings_out_of_range_are_named(settings):
    training, _ = examples(20)
    with pytest.raises(SettingsError):
        get_student("ngram", {"table_bits": 8, **settings}).fit(training, training)


def test_unknown_families_and_ragged_examples_are_refused():
    with pytest.raises(SettingsError, match="there are: bytecnn, ngram, trees"):
        get_student("oracle", {})
    two = dataset_of(NormalizedTexts.from_bytes([b"a", b"b"]), np.zeros(2, np.int32))
    with pytest.raises(SettingsError, match="2 rows"):
        two.with_targets(np.zeros((1, 2), np.float32))
    with pytest.raises(SettingsError, match="same number of rows"):
        replace(two, row_weights=np.zeros(1, np.float32))


def test_a_bundle_of_three_classes_holds_no_columns_of_zeros():
    task = get_task("email")
    rows = [(f"Subject: {word}\n\n{word} {i}", name) for i in range(40) for word, name in KINDS]
    events = Dataset.from_texts(
        [text.encode() for text, _ in rows], task, labels=[name for _, name in rows]
    )
    student = get_student("ngram", {"table_bits": 10, "epochs": 2}).fit(events)
    export = student.export()
    assert export.tensors["table"].shape == (1 << 10, 3)
    again = NgramStudent.from_export(export, task)
    assert not again.table_[:, 3:].any() and again.table_.shape[1] == 16
    assert np.array_equal(student.predict_logits(events.texts), again.predict_logits(events.texts))


KINDS = [("minutes", "ham"), ("pills", "spam"), ("verify", "phishing")]
