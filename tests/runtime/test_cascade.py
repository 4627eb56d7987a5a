from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from buckler.bundle.archive import read_bundle
from buckler.cli.main import run_command_line
from buckler.errors import BundleError, SettingsError
from buckler.runtime import load
from buckler.runtime.cascade import Band, combine, parse_bands
from buckler.tasks import Task, get_task
from buckler.training.cascade import CascadeOptions, build_cascade, combine_all
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.made_up import made_up_events, made_up_table

TASK = get_task("url-threat")


def bundle(path, events, task=TASK, **settings):
    fitted = fit_student(replace(events, task=task), StudentSpec("ngram", settings, folds=2))
    write_fitted(path, fitted)
    return path


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """A poor, a better and a good student."""
    folder = tmp_path_factory.mktemp("stages")
    events = made_up_events(1200, np.random.default_rng(0))
    few = events.take(np.arange(60))
    return [
        bundle(folder / "poor.buckler", few, table_bits=5, max_order=3, epochs=1),
        bundle(folder / "better.buckler", few, table_bits=10),
        bundle(folder / "good.buckler", events, table_bits=12),
    ]


@pytest.fixture(scope="module")
def validation():
    return made_up_events(2000, np.random.default_rng(1))


@pytest.fixture(scope="module")
def cascade(stages, validation, tmp_path_factory):
    path = tmp_path_factory.mktemp("cascade") / "all.buckler"
    made = build_cascade(stages, validation, path, CascadeOptions(budgets=[0.3, 0.1], review=0.02))
    return path, made


def test_budgets_are_kept_on_new_events(cascade, validation):
    path, made = cascade
    assert made.shares[0] == 1
    assert made.shares[1] <= 0.3 + 1e-9
    assert made.shares[2] <= 0.1 + 1e-9
    assert made.shares[3] <= 0.02 + 1e-9
    scorer = load(path)
    stage = scorer.score(validation.raw).stage
    assert (stage > 1).mean() == pytest.approx(made.shares[1], abs=0.005)
    assert (stage > 2).mean() == pytest.approx(made.shares[2], abs=0.005)
    new = made_up_events(2000, np.random.default_rng(7)).raw
    assert (scorer.score(new).stage > 1).mean() < 0.4


def test_it_is_better_than_its_first_stage(cascade, stages):
    test = made_up_events(2000, np.random.default_rng(5))
    column, truth = test.raw, test.labels
    right = [
        float((load(path).score(column).label_indices == truth).mean())
        for path in (stages[0], cascade[0])
    ]
    assert right[1] > right[0]


def test_every_way_in_gives_the_same_bits(cascade, validation):
    scorer = load(cascade[0])
    column = validation.raw
    by_column = scorer.score(column).outputs
    assert np.array_equal(by_column, scorer.score(column.to_pylist()).outputs)
    assert np.array_equal(by_column, scorer.score(column, threads=3).outputs)
    ones = [scorer.score_one(text) for text in column.to_pylist()[:200]]
    assert np.array_equal(by_column[:200], np.array([v.score for v in ones], np.float32))
    assert {v.stage for v in ones} == {1, 2, 3}
    assert np.isnan(scorer.score([None]).outputs).all()
    assert scorer.explain(column[0].as_py()).contributions


def test_a_prevalence_moves_the_budget_to_that_mix(stages, validation, tmp_path):
    path = tmp_path / "c.buckler"
    rare = build_cascade(
        stages[::2], validation, path, CascadeOptions(budgets=[0.2], prevalence=0.001)
    )
    assert rare.shares[1] <= 0.2 + 1e-9
    reached = load(path).score(validation.raw).stage == 2
    positive = validation.labels == 1
    mix = 0.001 * reached[positive].mean() + 0.999 * reached[~positive].mean()
    assert mix == pytest.approx(rare.shares[1], abs=0.005)


def test_classes_more_than_two_pass_on_what_is_unsure(tmp_path):
    events = made_up_events(1500, np.random.default_rng(4))
    task = Task("t", dict.fromkeys("abcde", "x"), ("a",), "url-v3", 768)
    labels = np.array([events.texts[i][0] % 5 for i in range(len(events))], np.int32)
    events = replace(events, task=task, labels=labels)
    few = events.take(np.arange(100))
    paths = [
        bundle(tmp_path / "a.buckler", few, task, table_bits=5, epochs=1),
        bundle(tmp_path / "b.buckler", events, task, table_bits=12),
    ]
    made = build_cascade(paths, events, tmp_path / "c.buckler", CascadeOptions(budgets=[0.4]))
    assert 0.2 < made.shares[1] <= 0.4 + 1e-9
    right = [
        (load(p).score(events.raw).label_indices == labels).mean()
        for p in (paths[0], tmp_path / "c.buckler")
    ]
    assert right[1] > right[0] + 0.1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=1),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@example([(0.5, 1.0)], (0.141, 0.67))  # the upper end is passed by one float unless clipped
def test_no_uncertain_row_passes_one_that_was_sure(pairs, ends):
    low, high = sorted(ends)
    if low == high:
        return
    band = Band(low, high)
    one, two = np.array(pairs, np.float32).T
    out = combine(one, band, lambda rows: two[rows])
    inside = band.uncertain(one)
    assert np.array_equal(out[~inside], one[~inside])
    assert (out[inside] >= np.float32(low)).all()
    assert (out[inside] <= np.float32(high)).all()
    assert np.array_equal(out, combine_all([one, two], [band]))


@pytest.mark.parametrize(
    "bands", [None, [], [[0.5]], [[0.7, 0.2]], [[0, 2]], [["a", 1]], [[0, True]], [[0, 1]] * 9]
)
def test_bands_that_make_no_sense_are_refused(bands):
    with pytest.raises(BundleError):
        parse_bands({"bands": bands}, 1)


def test_stages_that_do_not_fit_are_refused(stages, validation, cascade, tmp_path):
    out = tmp_path / "x.buckler"
    with pytest.raises(SettingsError, match="need 1 budgets"):
        build_cascade(stages[:2], validation, out, CascadeOptions(budgets=[]))
    with pytest.raises(SettingsError, match="cascade itself"):
        build_cascade([stages[0], cascade[0]], validation, out, CascadeOptions(budgets=[0.1]))
    with pytest.raises(SettingsError, match="shares"):
        build_cascade(stages[:2], validation, out, CascadeOptions(budgets=[1.5]))
    task = Task("t", {"benign": "x", "phishing": "y"}, ("phishing",), "text-v1", 512)
    other = bundle(tmp_path / "o.buckler", validation.take(np.arange(200)), task, table_bits=5)
    with pytest.raises(SettingsError, match="differ in their"):
        build_cascade([stages[0], other], validation, out, CascadeOptions(budgets=[0.1]))
    assert not out.exists()


def test_the_command_makes_one_and_reports(stages, tmp_path, capsys):
    import pyarrow.parquet as pq

    for name, seed in (("validation", 3), ("test", 4)):
        table = made_up_table(900, np.random.default_rng(seed))
        pq.write_table(table, tmp_path / f"{name}.parquet")
    code = run_command_line(
        [
            "cascade",
            *map(str, stages[::2]),
            "--validate",
            str(tmp_path / "validation.parquet"),
            "--budget",
            "0.2",
            "--test",
            str(tmp_path / "test.parquet"),
            "--report",
            str(tmp_path / "report"),
            "-o",
            str(tmp_path / "c.buckler"),
        ]
    )
    shown = capsys.readouterr().out
    assert code == 0
    assert "share of events" in shown
    assert "reached each stage" in shown
    assert (tmp_path / "report" / "report.json").exists()
    assert read_bundle(tmp_path / "c.buckler").manifest.model == "cascade"
    assert run_command_line(["verify", str(tmp_path / "c.buckler")]) == 0
    source, target = tmp_path / "test.parquet", tmp_path / "v.parquet"
    assert (
        run_command_line(
            ["scan", str(source), "-b", str(tmp_path / "c.buckler"), "-o", str(target)]
        )
        == 0
    )
    table = pq.read_table(target)
    assert set(table["stage"].to_pylist()) == {1, 2}
    assert set(table["review"].to_pylist()) == {False}
