"""Learning from verdicts: what is held out never teaches, and only the better is deployed."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler import pipeline
from buckler.dataset import Dataset
from buckler.dataset.splits import find_leaks
from buckler.errors import InputError, SettingsError
from buckler.labels import AnnotationColumns, Annotator, LabelStore
from buckler.pipeline.recipe import AnalystLabelsSection, read_recipe
from buckler.review.enqueue import EnqueueOptions, enqueue_events
from buckler.review.label_recorder import LabelForm, LabelRecorder
from buckler.review.queue import Queue
from buckler.review.retrain import learn
from buckler.review.review_tables import Stratum
from buckler.runtime import load
from buckler.serving.bundle_registry import BundleRegistry
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from buckler.training.promotion import decide
from buckler.training.targets import (
    AnalystLabels,
    held_out_rows,
    read_analyst_labels,
    split_analyst_labels,
)
from tests.support.cli import buckler, refused
from tests.support.made_up import made_up_bundle, made_up_events, made_up_table
from tests.support.review_queue import items_of

TASK = get_task("url-threat")
ANN = Annotator("ann", "", "human")


def judge(store, events, labels, who=ANN, confidence=None):
    ids = events.ids
    texts = events.raw_texts
    store.add_events(ids, texts, events.table.column("group").to_pylist())
    n = len(ids)
    p = np.eye(2, dtype=np.float32)[labels]
    store.add_arrays(TASK, who, ids, p, AnnotationColumns(confidence=confidence or [1.0] * n))


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 0.95), st.integers(0, 1000))
def test_a_group_is_always_on_the_same_side(share, seed):
    events = made_up_events(120, np.random.default_rng(seed))
    held = held_out_rows(events, share)
    groups = events.groups
    for group in set(groups):
        assert len(set(held[groups == group])) == 1
    more = held_out_rows(events.take(np.arange(0, 120, 3)), share)
    assert (more == held[::3]).all()  # whatever else there is


def test_what_people_said_and_withdrew(tmp_path):
    events = made_up_events(40, np.random.default_rng(0))
    with LabelStore(tmp_path / "l.db") as store:
        assert not len(read_analyst_labels(store, TASK))
        judge(store, events, events.labels)
        first = events.take(np.arange(5))
        judge(store, first, np.zeros(5, np.int64), confidence=[0.0] * 5)  # withdrawn
        second = events.take(np.arange(5, 10))
        judge(store, second, 1 - second.labels, Annotator("bob", "", "human"))  # disagrees
        llm = Annotator("m", "1", "llm")
        judge(store, made_up_events(60, np.random.default_rng(9)).take(np.arange(40, 60)),
              np.ones(20, np.int64), llm)  # fmt: skip
        found = read_analyst_labels(store, TASK)
    ids = events.ids
    label_of = dict(zip(ids, events.labels.tolist(), strict=True))
    assert len(found) == 30
    assert all(label_of[i] == k for i, k in zip(
        found.ids, found.labels.tolist(), strict=True))  # fmt: skip


def test_what_is_learned_shares_nothing_with_what_measures(tmp_path):
    rng = np.random.default_rng(0)
    test, events = made_up_events(200, rng), made_up_events(300, np.random.default_rng(1))
    long = "https://www.example.com/" + "catalog/garden/tools/" * 8
    like = Dataset.from_texts(
        [f"{long}?page={i}".encode() for i in range(40)], TASK, groups=[f"p{i}" for i in range(40)]
    )
    with LabelStore(tmp_path / "l.db") as store:
        judge(store, events, events.labels)
        judge(store, like, np.zeros(40, np.int64))
        labeled = read_analyst_labels(store, TASK)
    split_analyst_labels(labeled, [test], 0.3).save(tmp_path)
    found = AnalystLabels.load(tmp_path, TASK)
    training, held = found.training, found.held_out
    assert len(labeled) == 340 > len(training) + len(held)  # without the pages that are all alike
    assert len(training) > 50 and len(held) > 50
    for other in (held, test):
        leaks = find_leaks(training, other)
        assert not leaks.any


def recipe_in(folder, rng):
    table = made_up_table(2400, rng)
    pq.write_table(table.slice(0, 1800), folder / "train.parquet")
    pq.write_table(table.slice(1800), folder / "frozen.parquet")
    (folder / "buckler.toml").write_text(
        'task = "url-threat"\nname = "url"\n[data]\ntrain = ["train.parquet"]\n'
        'test = ["frozen.parquet"]\n[split]\non_leak = "drop"\n'
        "[student]\ntable_bits = 12\nfolds = 2\n[evaluation]\noperating_point = {fpr = 0.01}\n"
    )
    return read_recipe(folder / "buckler.toml")


def test_labels_of_analysts_take_the_place_of_what_the_file_says(tmp_path):
    recipe = recipe_in(tmp_path, np.random.default_rng(0))
    train = pq.read_table(tmp_path / "train.parquet")
    some = train.slice(0, 200)
    events = Dataset.from_texts(
        [t.encode() for t in some["url"].to_pylist()], TASK, groups=some["group"].to_pylist()
    )
    with LabelStore(tmp_path / "l.db") as store:
        judge(store, events, np.zeros(200, np.int64))
    section = AnalystLabelsSection(store=str(tmp_path / "l.db"), hold_out=0.5)
    run = pipeline.run(recipe.model_copy(update={"analyst_labels": section}))
    stage = {one.name: one.summary for one in run.stages}
    split = next((tmp_path / "out" / "stages").glob("split-*"))
    kept = Dataset.load(split / "training.arrow", TASK)
    assert set(events.ids).isdisjoint(kept.ids)
    assert set(kept.groups).isdisjoint(set(run.analyst_labels.held_out.groups))
    assert stage["train"]["additional_examples"] == stage["analyst-labels"]["training"] > 0
    assert len(run.analyst_labels.training) == stage["analyst-labels"]["training"]
    again = pipeline.run(recipe.model_copy(update={"analyst_labels": section}))
    anew = [one.name for one in again.stages if not one.reused]
    assert anew == ["evaluate", "bundle"]


def test_the_first_is_deployed_and_then_only_the_better(tmp_path):
    recipe = recipe_in(tmp_path, np.random.default_rng(0))
    scorer = made_up_bundle(tmp_path / "b.buckler", 3)
    registry, where = BundleRegistry(tmp_path / "r", "url"), str(tmp_path / "l.db")
    labels = AnalystLabelsSection(store=where)
    with LabelStore(where):
        pass
    with pytest.raises(InputError, match="no analyst has labeled"):
        learn(recipe, registry, labels)
    events = made_up_events(300, np.random.default_rng(4))
    truth = dict(zip(events.ids, events.labels.tolist(), strict=True))
    with LabelStore(where) as store:
        enqueue_events(store, events, scorer, options=EnqueueOptions(sample_share=0.3))
        queue = Queue(store, TASK)
        recorder = LabelRecorder(queue, second_share=0)
        for stratum in (*Stratum, Stratum.RANKED, Stratum.RANKED):
            for item in items_of(queue, stratum):
                assert queue.claim(item.id, 1)
                recorder.record(item.id, (1, "ann"), LabelForm(truth[item.event_id]))
    first = learn(recipe, registry, labels)
    assert first.decision is None
    assert first.entry.action == "promote"
    second = learn(recipe, registry, labels)
    assert second.entry.action == "refuse"  # the same again
    assert "no sure gain" in second.entry.reason
    names = [pair.name for pair in second.decision.compared]
    assert names[0] == "the frozen tests"
    assert any("random samples" in name for name in names)
    assert any("ranked events" in name for name in names)
    assert load(second.run.bundle).sha256 == registry.find_deployed().sha256
    bare = recipe.model_copy(update={"data": recipe.data.model_copy(update={"test": []})})
    with pytest.raises(SettingsError, match="frozen tests"):
        learn(bare, registry, labels)


def test_a_guard_refuses_and_never_promotes(tmp_path):
    good, poor = (
        made_up_events(800, np.random.default_rng(1)),
        made_up_events(800, np.random.default_rng(2)),
    )
    turned = poor.with_labels(1 - poor.labels)
    for name, events in (("good", good), ("poor", turned)):
        fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 10}, folds=2))
        write_fitted(tmp_path / f"{name}.buckler", fitted)
    better, worse = (load(tmp_path / f"{n}.buckler") for n in ("good", "poor"))
    rng = np.random.default_rng(3)
    level = made_up_events(600, rng)
    level.labels[:] = rng.integers(0, 2, 600)  # nobody can know
    clear = made_up_events(600, np.random.default_rng(4))
    tests = [("level", level)]
    assert not decide(worse, better, tests, guards=[("clear", clear)]).promote
    assert decide(worse, better, [("clear", clear)]).promote
    back = decide(better, worse, tests, guards=[("clear", clear)])
    assert not back.promote and "worse on" in back.reason
    assert back.compared[1].worse and back.compared[1].false_positives is None


def test_from_the_command_line(tmp_path):
    recipe_in(tmp_path, np.random.default_rng(0))
    refused(buckler("learn", tmp_path / "buckler.toml"), "--from-review")
    missing = ["learn", tmp_path / "buckler.toml", "--from-review", "-s", tmp_path / "none.db"]
    refused(buckler(*missing, "-r", tmp_path / "r"), "no label store")
