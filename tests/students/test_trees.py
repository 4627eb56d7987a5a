from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from buckler import _kernel
from buckler.dataset import read_dataset
from buckler.errors import BundleError, InputError, SettingsError
from buckler.normalize.feature_schema import FeatureSchema, category_number
from buckler.readers.quarantine import Quarantine
from buckler.runtime import load
from buckler.students import get_student
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.made_up import made_up_rows

lightgbm = pytest.importorskip("lightgbm", reason="the extra `trees` is not installed")
OWN = {"epochs": 4, "threads": 1}


def examples(n=2000, seed=0):
    events, _ = made_up_rows(n, np.random.default_rng(seed))
    return events


def rows_of(data):
    return data.features.values


def test_it_learns_what_it_has_not_seen():
    student = get_student("trees", {**OWN, "epochs": 20}).fit(examples(), examples(500, 1))
    test = examples(800, 2)
    guess = student.predict_logits(test.texts)[:, 0] > 0
    assert (guess == (test.targets[:, 1] > 0.5)).mean() > 0.9


def trained(seed=0):
    """A student, and LightGBM's own booster of the same trees."""
    kept = []
    update = lightgbm.Booster.update

    def keep(self, *args, **kwargs):
        kept.append(self)
        return update(self, *args, **kwargs)

    lightgbm.Booster.update = keep
    try:
        student = get_student("trees", {**OWN, "seed": seed, "patience": 9}).fit(
            examples(1500, seed)
        )
    finally:
        lightgbm.Booster.update = update
    return student, kept[-1]


STUDENT, BOOSTER = trained()
KNOWN = sorted(category_number(name) for name in ("upx", "none", "aspack"))


def renumbered(rows):
    """As LightGBM was given them: the categories of the training rows from 0, others -1."""
    rows = rows.copy()
    for row in rows:
        if not np.isnan(row[3]):
            row[3] = KNOWN.index(row[3]) if row[3] in KNOWN else -1
    return rows


@settings(max_examples=60, deadline=None)
@given(
    hn.arrays(
        np.float32,
        st.tuples(st.integers(1, 20), st.just(4)),
        elements=st.floats(-3, 3, width=32) | st.just(float("nan")),
    ),
    st.lists(st.sampled_from(["upx", "none", "aspack", "new", ""]), min_size=20, max_size=20),
)
def test_the_kernel_agrees_with_lightgbm(rows, packers):
    rows[:, 3] = [category_number(name) for name in packers[: len(rows)]]
    out = np.empty((len(rows), 1), np.float32)
    STUDENT.kernel_.logits(rows, out)
    assert np.allclose(out[:, 0], BOOSTER.predict(renumbered(rows), raw_score=True), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_shapley_values_agree_with_lightgbm_and_add_up(seed):
    row = rows_of(examples(1, seed))
    got = np.empty(4)
    expected_value = STUDENT.kernel_.explain(row, 0, got)
    theirs = BOOSTER.predict(renumbered(row), pred_contrib=True)[0]
    assert np.allclose(got, theirs[:4], atol=1e-4)
    out = np.empty((1, 1), np.float32)
    STUDENT.kernel_.logits(row, out)
    assert expected_value + got.sum() == pytest.approx(float(out[0, 0]), abs=1e-4)


def test_a_monotone_feature_only_raises():
    student = get_student("trees", {**OWN, "raising": "size"}).fit(examples())
    row = np.tile(np.array([[0, 0.1, 0, 5]], np.float32), (200, 1))
    row[:, 0] = np.linspace(-3, 3, 200)
    out = np.empty((200, 1), np.float32)
    student.kernel_.logits(row, out)
    assert (np.diff(out[:, 0]) >= -1e-6).all()
    with pytest.raises(SettingsError, match="no feature is named"):
        get_student("trees", {**OWN, "raising": "weight"}).fit(examples(100))


def test_soft_targets_are_learned_as_probabilities():
    data = examples(600)
    soft = np.tile(np.array([[0.7, 0.3]], np.float32), (600, 1))
    student = get_student("trees", OWN).fit(data.with_targets(soft))
    p = 1 / (1 + np.exp(-student.predict_logits(data.texts)))
    assert np.allclose(p, 0.3, atol=0.08)
    assert p.mean() == pytest.approx(0.3, abs=0.005)


def test_a_bundle_makes_the_round_trip_and_says_why(tmp_path):
    events, _ = made_up_rows(1500, np.random.default_rng(0))
    fitted = fit_student(events, StudentSpec("trees", {"epochs": 8}, folds=3))
    write_fitted(tmp_path / "t.buckler", fitted)
    scorer = load(tmp_path / "t.buckler")
    got = scorer.score(events.raw)
    assert (got.label_indices == events.labels).mean() > 0.9
    as_json = '{"size": 2.0, "entropy": 1.5, "packer": "none"}'
    verdict = scorer.score_one(as_json)
    assert verdict.label == "positive"
    why = scorer.explain(as_json, top=2).contributions
    assert {piece.text.split("=")[0] for piece in why} == {"size", "entropy"}
    with pytest.raises(InputError, match="not a JSON object"):
        scorer.score(["no json"])
    with pytest.raises(InputError, match="other features"):
        scorer.score(pa.array([[1.0]], pa.list_(pa.float32(), 1)))


def nodes(*changes):
    found = STUDENT.tensors_["nodes"].copy()
    for (row, column), value in changes:
        found[row, column] = value
    return found


@pytest.mark.parametrize(
    "damage",
    [
        {"nodes": nodes(((0, 2), 0))},
        {"nodes": nodes(((0, 2), 10**9))},
        {"nodes": nodes(((0, 1), 3 << 8))},
        {"nodes": nodes(((0, 0), 0x7FC00000))},
        {"nodes": STUDENT.tensors_["nodes"][:-1]},
        {"roots": STUDENT.tensors_["roots"] + 1},
        {"sets": STUDENT.tensors_["sets"][:0]},
        {"bias": np.array([np.nan], np.float32)},
        {"bias": np.zeros(7, np.float32)},
    ],
)
def test_trees_that_are_not_sound_are_refused(damage):
    t = {**STUDENT.tensors_, **damage}
    arrays = [np.ascontiguousarray(t[n]) for n in ("roots", "nodes", "sets", "bias")]
    with pytest.raises(ValueError, match=r"\w"):
        _kernel.Trees(4, *arrays)


def test_tables_are_read_alike_from_every_format(tmp_path):
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    (tmp_path / "task.toml").write_text(
        'name = "t"\n[classes]\ngood = "x"\nbad = "y"\n'
        '[features]\nnumbers = ["a", "b"]\ncategories = ["c"]\n'
    )
    task = get_task(tmp_path / "task.toml")
    table = pa.table(
        {
            "b": [1.5, None, 3.0],
            "a": [1, 2, 3],
            "c": ["x", "", "z"],
            "label": ["good", "bad", "bad"],
        }
    )
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    pa.csv.write_csv(table, tmp_path / "t.csv")
    lines = [
        '{"a": 1, "b": 1.5, "c": "x", "label": "good"}',
        '{"a": 2, "b": null, "c": "", "label": "bad"}',
        '{"a": 3, "b": 3, "c": "z", "label": "bad"}',
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    found = [read_dataset([tmp_path / f"t.{s}"], task) for s in ("parquet", "csv", "jsonl")]
    for events in found[1:]:
        assert np.array_equal(events.texts.data, found[0].texts.data)
        assert events.labels.tolist() == [0, 1, 1]
    row = found[0].features.values
    assert row[0].tolist()[:2] == [1, 1.5]
    assert np.isnan(row[1, 1:]).all()


def test_a_row_with_a_word_for_a_number_is_set_aside(tmp_path):
    (tmp_path / "task.toml").write_text(
        'name = "t"\n[classes]\ngood = "x"\nbad = "y"\n[features]\nnumbers = ["a"]\n'
    )
    task = get_task(tmp_path / "task.toml")
    (tmp_path / "t.csv").write_text("a,label\n1,good\nmany,bad\n3,bad\n")
    quarantine = Quarantine()
    events = read_dataset([tmp_path / "t.csv"], task, quarantine=quarantine)
    assert len(events) == 2
    assert quarantine.reasons == {"feature 'a' is not a number": 1}
    (tmp_path / "u.csv").write_text("x,label\n1,good\n")
    with pytest.raises(InputError, match="1 of 1 features are no columns, such as a"):
        read_dataset([tmp_path / "u.csv"], task)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_text_is_a_row_or_a_clear_error(text):
    schema = FeatureSchema(("a", "b"), ("c",))
    try:
        assert len(schema.normalize(text)) == 12
    except InputError as error:
        assert str(error)


def test_pe_headers_of_the_public_set(real_data, tmp_path):
    from pathlib import Path

    from sklearn.metrics import roc_auc_score

    task = get_task(Path(__file__).parents[2] / "examples/pe/task.toml")
    train = read_dataset([real_data / "pe/clamp-train.parquet"], task)
    test = read_dataset([real_data / "pe/clamp-test.parquet"], task)
    fitted = fit_student(train, StudentSpec("trees", {"epochs": 16}, folds=2))
    write_fitted(tmp_path / "pe.buckler", fitted)
    scorer = load(tmp_path / "pe.buckler")
    score = scorer.score(test.raw).scores
    assert roc_auc_score(test.labels == 1, score) > 0.995
    assert scorer.explain(test.raw_text(0)).contributions


def test_a_bundle_of_trees_with_the_wrong_features_is_refused(tmp_path):
    from buckler.bundle.archive import read_bundle
    from buckler.runtime.model import build_model

    events, _ = made_up_rows(300, np.random.default_rng(0))
    write_fitted(
        tmp_path / "t.buckler", fit_student(events, StudentSpec("trees", {"epochs": 1}, folds=2))
    )
    bundle = read_bundle(tmp_path / "t.buckler")
    for changed in (
        replace(bundle.manifest, numbers=("a",)),
        replace(bundle.manifest, numbers=(), categories=()),
        replace(bundle.manifest, numbers=("size", "size", "noise")),
    ):
        with pytest.raises(BundleError):
            build_model(changed, bundle.weights)


def test_more_classes_than_two_are_learned_and_explained(tmp_path):
    from buckler.tasks import Task

    rng = np.random.default_rng(0)
    events, two = made_up_rows(1500, rng)
    rows = events.features.values
    labels = np.digitize(np.nan_to_num(rows[:, 0]), [-0.5, 0.5]).astype(np.int32)
    task = Task(
        "three",
        dict.fromkeys(("low", "middle", "high"), "x"),
        ("high",),
        "features-v1",
        16,
        medium="row",
        numbers=two.numbers,
        categories=two.categories,
    )
    three = replace(events, task=task, labels=labels)
    fitted = fit_student(three, StudentSpec("trees", {"epochs": 3}, folds=2))
    write_fitted(tmp_path / "t.buckler", fitted)
    scorer = load(tmp_path / "t.buckler")
    column = events.raw
    verdicts = scorer.score(column)
    assert (verdicts.label_indices == labels).mean() > 0.97
    assert np.allclose(verdicts.probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(verdicts.outputs, scorer.score(events.raw_texts).outputs)
    why = scorer.explain('{"size": 2.0}', label="high", top=1).contributions[0]
    assert why.text == "size=2"
    assert why.weight > 0


def test_what_needs_a_text_says_so_of_rows():
    from buckler.teachers.llm.injection_suite import insert_text

    _, task = made_up_rows(10, np.random.default_rng(0))
    with pytest.raises(SettingsError, match=r"rows of features.*choose a task of texts"):
        insert_text(task, b"{}", "ignore all that")
    assert task.readable('{"size": 2.0}').splitlines()[0] == "size=2"
