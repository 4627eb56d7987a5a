"""Distillation, selection, and learning in spite of wrong labels."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buckler.dataset import Dataset
from buckler.dataset.hashed_vectors import hashed_vectors
from buckler.dataset.splits import apart_from
from buckler.errors import InputError, SettingsError
from buckler.evaluation.unseen_sources import ThresholdRule
from buckler.normalize import NormalizedTexts
from buckler.tasks import Task, get_task
from buckler.training.class_prior import ClassPrior
from buckler.training.cross_validation import StudentSpec, cross_validate
from buckler.training.distillation import (
    Distillation,
    calibrate_teacher,
    distill,
    fit_teacher_calibration,
    join,
    soften,
)
from buckler.training.fit import fit_student
from buckler.training.noise import Noise, treat_noise
from buckler.training.selection import SelectionMethod, choose_events
from tests.support.cli import buckler
from tests.support.made_up import made_up_events, made_up_table

TASK = get_task("url-threat")
SMALL = {"table_bits": 12}


@st.composite
def distributions(draw, min_rows=1, classes=None):
    k = classes or draw(st.integers(2, 6))
    n = draw(st.integers(min_rows, 20))
    seed = draw(st.integers(0, 1000))
    return np.random.default_rng(seed).dirichlet(np.full(k, 0.7), n)


def relabeled(events: Dataset, labels) -> Dataset:
    return events.with_labels(np.asarray(labels, np.int32))


def accuracy(student, test):
    return ((student.predict_logits(test.texts)[:, 0] > 0) == (test.labels == 1)).mean()


def detection(fitted, test):
    """Share of the bad above the threshold for one false positive in a hundred."""
    threshold = fitted.operating_curve.thresholds()[0.01]
    p = 1 / (1 + np.exp(-fitted.student.predict_logits(test.texts)[:, 0]))
    return (p[test.labels == 1] >= threshold).mean()


# --- classes ---------------------------------------------------------------------------------


def sites(n, shares, seed):
    """Sites of three kinds, two in three of which say what they are."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=shares)
    says = np.where(rng.random(n) < 0.67, labels, rng.integers(0, 3, n))
    names = np.array(["shop", "news", "game"])[says]
    texts = [f"{name}{i:05d}.example".encode() for i, name in enumerate(names)]
    kinds = ("shop", "news", "game")
    task = replace(TASK, classes=dict.fromkeys(kinds, ""), positive=(), aliases={})
    return Dataset.from_texts(texts, task, labels=[kinds[label] for label in labels])


def class_accuracy(fitted, events):
    return (fitted.student.predict_logits(events.texts).argmax(axis=1) == events.labels).mean()


def test_a_uniform_prior_answers_as_if_all_classes_were_as_frequent():
    skewed, even = sites(900, (0.9, 0.06, 0.04), 1), sites(600, (1 / 3, 1 / 3, 1 / 3), 2)
    right = {}
    for prior in (ClassPrior.LEARNED, ClassPrior.UNIFORM):
        spec = StudentSpec("ngram", SMALL, folds=3, class_prior=prior)
        right[prior] = class_accuracy(fit_student(skewed, spec), even)
    assert right[ClassPrior.LEARNED] < 0.6
    assert right[ClassPrior.UNIFORM] > 0.7


@pytest.mark.parametrize("shares", [(0.9, 0.06, 0.04), (1 / 3, 1 / 3, 1 / 3)])
def test_labels_decide_how_far_the_prior_leaves_the_annotations(shares):
    annotations = sites(900, (0.9, 0.06, 0.04), 1)
    labeled, later = sites(150, shares, 3), sites(900, shares, 4)
    right = {}
    for prior in ClassPrior:
        spec = StudentSpec("ngram", SMALL, folds=3, class_prior=prior)
        right[prior] = class_accuracy(fit_student(labeled, spec, additional=annotations), later)
    worst, best = sorted((right[ClassPrior.LEARNED], right[ClassPrior.UNIFORM]))
    assert best > worst + 0.02
    assert right[ClassPrior.LABELS] > best - 0.01


def test_another_prior_is_refused_where_a_threshold_decides():
    spec = StudentSpec("ngram", SMALL, folds=3, class_prior=ClassPrior.UNIFORM)
    with pytest.raises(SettingsError, match="more than two classes"):
        fit_student(made_up_events(60, np.random.default_rng(0)), spec)


# --- targets ---------------------------------------------------------------------------------


@given(distributions(), st.floats(0.1, 10))
def test_a_temperature_moves_probabilities_and_keeps_their_order(p, temperature):
    soft = soften(p, temperature)
    assert soft.sum(axis=1) == pytest.approx(np.ones(len(p)))
    clear = np.sort(p, axis=1)[:, -1] - np.sort(p, axis=1)[:, -2] > 1e-3
    assert (soft.argmax(axis=1) == p.argmax(axis=1))[clear].all()
    if temperature > 1:
        assert (soft.max(axis=1) <= p.max(axis=1) + 1e-5).all()
    assert soften(p, 1) == pytest.approx(p, abs=1e-4)


@given(distributions(classes=3, min_rows=3))
def test_teachers_are_joined_where_they_speak(p):
    silent = np.full_like(p, np.nan)
    assert join([p, silent]) == pytest.approx(p, abs=1e-4)
    assert join([p, p]) == pytest.approx(p, abs=1e-4)
    assert np.isnan(join([silent, silent])).all()
    other = p[::-1].copy()
    other[0] = np.nan
    both = join([p, other])
    assert both[0] == pytest.approx(p[0], abs=1e-4)
    assert both.sum(axis=1) == pytest.approx(np.ones(len(p)))


def test_an_overconfident_teacher_is_calibrated():
    rng = np.random.default_rng(0)
    truth = rng.dirichlet(np.ones(3), 4000)
    labels = np.array([rng.choice(3, p=row) for row in truth], np.int32)
    loud = soften(truth, 0.3)
    found = calibrate_teacher(loud, fit_teacher_calibration(loud, labels))
    assert np.abs(found - truth).mean() < 0.02 < np.abs(loud - truth).mean()
    assert fit_teacher_calibration(loud[:5], labels[:5]) is None
    assert calibrate_teacher(loud, None) is loud


def test_annotations_become_targets_and_unsure_ones_are_left_out():
    pool = made_up_events(30, np.random.default_rng(0))
    teacher = np.tile([0.2, 0.8], (30, 1))
    teacher[:10] = [0.45, 0.55]
    teacher[10] = np.nan  # silent
    taught = distill(pool, teacher, Distillation(weight=0.3, min_confidence=0.6))
    assert taught.targets == pytest.approx(np.tile([0.2, 0.8], (19, 1)))
    assert taught.ids == pool.ids[11:]
    assert len(taught) == 19 and set(taught.weights) == {np.float32(0.3)}


def test_a_student_learns_from_a_teacher_what_labels_do_not_show():
    rng = np.random.default_rng(3)
    everything = made_up_events(6000, rng)
    few, pool = everything.take(np.arange(40)), everything.take(np.arange(40, 4000))
    few = relabeled(few, np.where(np.arange(40) % 3 == 0, 1 - few.labels, few.labels))
    test = everything.take(np.arange(4000, 6000))
    alone = fit_student(few, StudentSpec("ngram", SMALL, folds=3))
    # A teacher that is right nine times in ten, and says so.
    right = np.where(rng.random(len(pool)) < 0.9, pool.labels, 1 - pool.labels)
    teacher = np.where(np.eye(2)[right] == 1, 0.9, 0.1)
    taught = distill(pool, teacher, Distillation(weight=1))
    fitted = fit_student(few, StudentSpec("ngram", SMALL, folds=3), additional=taught)
    assert fitted.n_additional == len(pool)
    assert accuracy(fitted.student, test) > max(0.93, accuracy(alone.student, test) + 0.02)


# --- cross-fitting with extra examples -------------------------------------------------------


@pytest.mark.parametrize("classes", [["a", "c"], ["b"]])
def test_each_positive_class_needs_a_row_and_so_does_another_class(classes):
    task = Task("t", {"a": "", "b": "", "c": ""}, positive=("b",))
    texts = [f"text number {i}".encode() for i in range(60)]
    events = Dataset.from_texts(texts, task, labels=[classes[i % len(classes)] for i in range(60)])
    with pytest.raises(InputError, match=r"none of the 60 rows is '[ab]'"):
        fit_student(events, StudentSpec(settings={"table_bits": 12}, folds=2))


def test_folds_that_learn_side_by_side_learn_the_same(monkeypatch):
    events = made_up_events(300, np.random.default_rng(4))
    spec = StudentSpec("ngram", SMALL, folds=3)
    found = []
    for cores in (1, 3):
        monkeypatch.setattr("buckler.training.cross_validation.count_cores", lambda n=cores: n)
        epochs: list[str] = []
        result = cross_validate(events, spec, on_epoch=lambda fold, *_, to=epochs: to.append(fold))
        found.append((result.logits.tobytes(), result.epochs, sorted(epochs)))
    assert found[0] == found[1]


def test_a_fold_that_fails_stops_the_others(monkeypatch):
    monkeypatch.setattr("buckler.training.cross_validation.count_cores", lambda: 3)
    events = made_up_events(300, np.random.default_rng(4))
    last: dict[str, int] = {}

    def fail(fold, epoch, *_):
        last[fold] = epoch
        if fold == "fold 1/3":
            raise InterruptedError

    spec = StudentSpec("ngram", {**SMALL, "epochs": 200, "patience": 200}, folds=3)
    with pytest.raises(InterruptedError):
        cross_validate(events, spec, on_epoch=fail)
    assert all(epoch < 200 for epoch in last.values())


def test_extra_examples_never_share_a_group_with_the_fold_that_is_judged():
    events = made_up_events(600, np.random.default_rng(0))
    targets = np.tile(np.float32([0.5, 0.5]), (600, 1))
    extra = events.with_targets(targets)
    held_out = events.take(np.arange(100))
    apart = apart_from(extra, held_out)
    groups = set(held_out.groups)
    assert len(apart) and not groups & set(events.groups[apart])
    # Wrong targets of the very same events cannot be looked up by the fold that is judged.
    wrong = events.with_targets(1 - events.targets).with_weights(5)
    plain = cross_validate(events, StudentSpec("ngram", SMALL, folds=3))
    misled = cross_validate(events, StudentSpec("ngram", SMALL, folds=3), additional=wrong)
    right = ((plain.logits[:, 0] > 0) == (events.labels == 1)).mean()
    assert right > 0.8 > ((misled.logits[:, 0] > 0) == (events.labels == 1)).mean()


# --- noise -----------------------------------------------------------------------------------


@given(distributions(classes=4), st.sampled_from(list(Noise)))
def test_every_method_gives_targets_and_weights_of_the_right_kind(p, method):
    four = replace(TASK, classes=dict.fromkeys("abcd", ""), positive=(), aliases={})
    labels = np.arange(len(p), dtype=np.int32) % 4
    texts = [f"http://a.example/{row}".encode() for row in range(len(p))]
    events = Dataset.from_texts(texts, four).with_labels(labels)
    before = events.targets.copy()
    treated = treat_noise(method, p, events)
    assert (events.targets == before).all()
    learned = treated.learned
    assert learned.targets.sum(axis=1) == pytest.approx(np.ones(len(learned)), abs=1e-5)
    assert learned.ids == [events.ids[row] for row in treated.kept]
    if method is Noise.NONE:
        assert not treated.suspect.any()
    if method is Noise.DROP:
        assert (np.flatnonzero(~treated.suspect) == treated.kept).all()
    else:
        assert len(learned) == len(events)


@pytest.mark.parametrize("method", ["drop", "relabel"])
def test_wrong_labels_do_less_harm(method):
    rng = np.random.default_rng(1)
    events, test = made_up_events(3000, rng), made_up_events(3000, rng)
    wrong = rng.random(len(events)) < np.where(events.labels == 1, 0.35, 0.05)
    noisy = relabeled(events, np.where(wrong, 1 - events.labels, events.labels))
    spec = StudentSpec("ngram", SMALL, folds=3, threshold_rule=ThresholdRule.KNOWN)
    naive, robust = fit_student(noisy, spec), fit_student(noisy, replace(spec, noise=Noise(method)))
    assert accuracy(robust.student, test) >= accuracy(naive.student, test) - 0.003
    assert robust.n_suspect > 0.5 * wrong.sum()
    # The threshold for few false positives is what noise among the negatives ruins.
    assert detection(robust, test) > detection(naive, test) + 0.1


# --- selection -------------------------------------------------------------------------------


def texts(*values):
    return NormalizedTexts.from_bytes(v.encode() for v in values)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=30))
def test_vectors_have_length_one_and_depend_on_the_text_alone(values):
    vectors = hashed_vectors(texts(*values))
    norms = np.linalg.norm(vectors, axis=1)
    empty = np.array([not v for v in values])
    assert norms[~empty] == pytest.approx(np.ones((~empty).sum()), abs=1e-5)
    for i, value in enumerate(values):
        assert (hashed_vectors(texts(value))[0] == vectors[i]).all()


@pytest.mark.parametrize("method", list(SelectionMethod))
def test_each_way_chooses_so_many_different_events(method):
    pool = made_up_events(400, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(2), 400)
    chosen = choose_events(pool, 50, method, probabilities=p, seed=3)
    assert len(chosen.rows) == len(set(chosen.rows.tolist())) == 50
    again = choose_events(pool, 50, method, probabilities=p, seed=3)
    assert (again.rows == chosen.rows).all()
    everything = choose_events(pool, 10_000, method, probabilities=p)
    assert (np.sort(everything.rows) == np.unique(everything.duplicate_of)).all()
    if method is SelectionMethod.UNCERTAIN:
        margins = np.abs(p[:, 0] - p[:, 1])
        assert margins[chosen.rows].max() <= np.quantile(margins, 0.2)


def test_probabilities_that_are_needed_are_asked_for():
    pool = made_up_events(20, np.random.default_rng(0))
    for method in (SelectionMethod.UNCERTAIN, SelectionMethod.BADGE):
        with pytest.raises(InputError, match="probabilities"):
            choose_events(pool, 5, method)


def test_an_answer_serves_near_duplicates_too():
    rng = np.random.default_rng(0)
    pool = made_up_events(50, rng)
    twice = pool.take(np.concatenate([np.arange(50), np.arange(50)]))
    chosen = choose_events(twice, 100, SelectionMethod.RANDOM)
    assert len(chosen.rows) <= 50
    spread = chosen.spread()
    assert (spread >= 0).all()
    assert (spread[:50] == spread[50:]).all()


def test_diverse_choice_keeps_away_from_what_is_labeled():
    values = [f"aaaaaaaaaa{i}" for i in range(30)] + [f"zq{i}xw{i * 7}" for i in range(30)]
    events = made_up_events(60, np.random.default_rng(0))
    events = replace(events, inputs=texts(*values))
    labeled = events.take(np.arange(5))
    pool = events.take(np.arange(5, 60))
    chosen = choose_events(pool, 10, SelectionMethod.DIVERSE, labeled=labeled)
    assert (chosen.rows >= 25).mean() >= 0.9


def test_select_from_the_command_line(tmp_path, url_bundle):
    pq.write_table(made_up_table(400, np.random.default_rng(1)), tmp_path / "pool.parquet")
    common = ("select", tmp_path / "pool.parquet", "-t", "url-threat", "-n", "30")
    for more in (("--by", "badge", "-b", url_bundle), ("--by", "diverse"), ("--by", "random")):
        done = buckler(*common, "-o", tmp_path / "ask.parquet", *more)
        assert done.returncode == 0, done.stderr
        table = pq.read_table(tmp_path / "ask.parquet")
        assert len(table) == 30 and "label" not in table.column_names
        assert table.column("serves").to_pylist() >= [1]
    refused = buckler(*common, "-o", tmp_path / "ask.parquet", "--by", "uncertain")
    assert refused.returncode == 2 and "probabilities" in refused.stderr
    refused = buckler(
        *("select", tmp_path / "pool.parquet", "-t", "url-category", "-n", "3"),
        *("-o", tmp_path / "ask.parquet", "-b", url_bundle),
    )
    assert refused.returncode == 2 and "other classes" in refused.stderr


@pytest.mark.parametrize("method", [Noise.DOUBT, Noise.DROP, Noise.RELABEL])
def test_labels_that_say_nothing_are_refused_and_not_treated_as_noise(method):
    events = made_up_events(900, np.random.default_rng(0))
    useless = np.random.default_rng(1).integers(0, 2, 900).astype(np.int32)
    spec = StudentSpec(settings={"table_bits": 12}, folds=2, noise=method)
    with pytest.raises(InputError, match=r"cannot be told from the events \(AUROC 0\.[45]"):
        fit_student(events.with_labels(useless), spec)


def test_the_promise_is_checked_on_rows_that_the_treatment_of_noise_left_out():
    events = made_up_events(1500, np.random.default_rng(0))
    wrong = np.random.default_rng(1).random(1500) < 0.15
    noisy = events.with_labels(np.where(wrong, 1 - events.labels, events.labels))
    spec = StudentSpec(settings={"table_bits": 12}, folds=2, noise=Noise.DOUBT)
    fitted = fit_student(noisy, spec)
    assert fitted.untreated_fpr[0.01] > 0.05  # a tenth of the negatives is truly positive
    assert fit_student(noisy, replace(spec, noise=Noise.NONE)).untreated_fpr == {}
