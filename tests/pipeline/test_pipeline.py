"""A recipe with a pool: annotations become training examples."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler import pipeline
from buckler.dataset import read_dataset
from buckler.dataset.splits import deduplicate
from buckler.errors import InputError, SettingsError
from buckler.labels import Annotator, LabelStore
from buckler.labels.merging import Merge
from buckler.runtime import load
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from buckler.training.promotion import decide
from buckler.training.targets import with_annotations, with_file_labels
from tests.support.made_up import made_up_events, made_up_table

TASK = get_task("url-threat")
RECIPE = """\
task = "url-threat"
output = "out"
[data]
train = ["few.parquet"]
test = ["test.parquet"]
[pool]
events = ["pool.parquet"]
{more}
[split]
on_leak = "drop"
[student]
table_bits = 12
folds = 3
[evaluation]
resamples = 50
"""


@pytest.fixture
def folder(tmp_path):
    """Sixty labels, a third of them wrong; a pool of 3,000, some of which are test events."""
    everything = made_up_table(5000, np.random.default_rng(4))
    few = everything.slice(0, 60)
    labels = few.column("label").to_pylist()
    other = {"benign": "phishing", "phishing": "benign"}
    labels = [other[label] if i % 3 == 0 else label for i, label in enumerate(labels)]
    index = few.schema.get_field_index("label")
    pq.write_table(few.set_column(index, "label", [labels]), tmp_path / "few.parquet")
    pq.write_table(everything.slice(0, 3100).drop_columns(["label"]), tmp_path / "pool.parquet")
    pq.write_table(everything.slice(3000, 2000), tmp_path / "test.parquet")
    return tmp_path


def run(folder, more=""):
    (folder / "buckler.toml").write_text(RECIPE.replace("{more}", more))
    return pipeline.run(folder / "buckler.toml")


def stage(result, name):
    return next(stage.summary for stage in result.stages if stage.name == name)


def accuracy(result):
    return result.assessment.figures["accuracy"].value


def test_a_teachers_annotations_on_the_pool_teach_the_student(folder):
    truth = made_up_table(5000, np.random.default_rng(4)).slice(60, 2440)
    pq.write_table(truth, folder / "truth.parquet")
    pool = read_dataset([folder / "truth.parquet"], TASK)
    p = np.where(np.eye(2)[pool.labels] == 1, 0.9, 0.1).astype(np.float32)
    with LabelStore(folder / "labels.db") as store:
        ids = pool.ids
        store.add_arrays(TASK, Annotator("teacher", "1", "llm"), ids, p)
    taught = run(folder, '[labels]\nstore = "labels.db"\n')
    summary = stage(taught, "distill")
    assert summary["like_test_or_labeled"] >= 160  # 100 of the test, 60 labeled
    assert 200 < summary["with_annotations"] == summary["additional_examples"] <= 2440
    alone = folder / "alone"
    alone.mkdir()
    for name in ("few", "test"):
        (alone / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    text = RECIPE.replace('[pool]\nevents = ["pool.parquet"]\n{more}\n', "")
    (alone / "buckler.toml").write_text(text)
    assert accuracy(taught) > accuracy(pipeline.run(alone / "buckler.toml")) + 0.05
    again = run(folder, '[labels]\nstore = "labels.db"\n')
    reused = {stage.name: stage.reused for stage in again.stages}
    assert reused["distill"] and reused["train"]


def test_labels_in_the_pool_are_not_looked_at(folder):
    recorded(folder, ["pool"])
    loop = LOOP.partition("[synthesis]")[0].replace(', "test"]', "]")
    before = run(folder, loop)
    table = pq.read_table(folder / "pool.parquet")
    pq.write_table(
        table.append_column("label", [["nonsense"] * len(table)]), folder / "pool.parquet"
    )
    after = run(folder, loop)
    assert accuracy(after) == accuracy(before)


def test_a_pool_without_anyone_to_judge_it_is_an_error(folder):
    with pytest.raises(InputError, match="no teacher"):
        run(folder)
    LabelStore(folder / "labels.db").close()
    with pytest.raises(InputError, match="no annotation"):
        run(folder, '[labels]\nstore = "labels.db"\n')
    table = pq.read_table(folder / "test.parquet").drop_columns(["label"])
    pq.write_table(table, folder / "pool.parquet")
    with pytest.raises(InputError, match="no event of the pool is left"):
        run(folder, '[labels]\nstore = "labels.db"\n')


# --- the whole loop -----------------------------------------------------------------------------


def recorded(folder, columns, errs=0.1):
    """Annotations of a teacher that is right nine times in ten, as `buckler labels export`
    writes.
    """
    rng = np.random.default_rng(7)
    rows = []
    for name in columns:
        events = read_dataset([folder / f"{name}.parquet"], TASK, labeled=False)
        for event_id, text in zip(events.ids, events.raw_texts, strict=True):
            positive = b".php" in text
            p = 0.9 if positive != (rng.random() < errs) else 0.1
            rows.append(
                {
                    "event_id": event_id.hex(),
                    "annotator": "old hand",
                    "version": "1",
                    "kind": "model",
                    "p_benign": 1 - p,
                    "p_phishing": p,
                }
            )
    with (folder / "annotations.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


LOOP = """
[pool.distill]
weight = 1.0
with_student = true
[labels]
store = "labels.db"
[teacher]
kind = "recorded"
settings = "annotations.jsonl"
on = ["pool", "test"]
[synthesis]
generator = "grammar"
number = 120
seeds = 2
[compare]
upper_bound = ["truth.parquet"]
"""


def test_the_whole_loop_asks_synthesises_distils_and_compares(folder):
    truth = made_up_table(5000, np.random.default_rng(4)).slice(60, 2440)
    pq.write_table(truth, folder / "truth.parquet")
    recorded(folder, ["pool", "test"])
    result = run(folder, LOOP)
    assert [stage.name for stage in result.stages] == [
        *("read", "ask", "label", "split", "synthesis", "distill", "train", "evaluate"),
        *("labels-only", "upper-bound", "compare", "bundle"),
    ]
    judges = {row[0]: row for row in result.comparison.rows}
    assert list(judges) == [
        "labels only",
        "this bundle",
        "teacher: old hand 1",
        "upper bound: more true labels",
    ]
    at = result.comparison.heading.index("Accuracy")
    value = {name: float(row[at].split()[0]) for name, row in judges.items()}
    assert value["labels only"] < value["this bundle"] <= 1
    assert 0.85 < value["teacher: old hand 1"] < 0.95, "one in ten of its annotations is wrong"
    saved = json.loads((folder / "out" / "comparison.json").read_text())
    assert [judge["name"] for judge in saved] == list(judges)
    assert "Side by side" in (folder / "out" / "report.html").read_text()
    notes = json.loads((folder / "out" / "report.json").read_text())["notes"]
    bound = [note for note in notes if note.startswith("Beside old hand 1, on ")]
    assert len(bound) == 1
    assert "test rows that it annotated: With 95% confidence" in bound[0]
    assert "agrees with the teacher on at least" in bound[0]
    card = (folder / "out" / "card.md").read_text()
    assert "synthetic_examples: " in card
    assert "over 2 seeds" in card
    again = run(folder, LOOP)
    anew = [stage.name for stage in again.stages if not stage.reused]
    assert anew == ["evaluate", "compare", "bundle"], "a second run does nothing anew"


def test_a_boastful_teacher_is_calibrated_on_labels_that_it_did_not_see(folder):
    recorded(folder, ["pool", "few"], errs=0.3)
    path = folder / "annotations.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:  # as often wrong, and sure of itself
        positive = row["p_phishing"] > 0.5
        row |= {
            "p_phishing": 0.999 if positive else 0.001,
            "p_benign": 0.001 if positive else 0.999,
        }
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    loop = LOOP.partition("[synthesis]")[0].replace('"test"', '"train"')
    loop = loop.replace("weight = 1.0", "weight = 1.0\ncalibrate = true")
    found = stage(run(folder, loop), "distill")
    assert 0 < found["calibrated"] < 0.5


def test_a_recipe_can_prove_synthetic_examples_on_a_kind_that_is_held_out(folder):
    recorded(folder, ["pool"])
    loop = LOOP.partition("[compare]")[0].replace(', "test"]', "]")
    with pytest.raises(SettingsError, match=r"data\.keep"):
        run(folder, loop + 'hold_out = "kind=a"\n')
    few = pq.read_table(folder / "few.parquet")
    kinds = [
        "a" if label == "phishing" and i % 2 else "b"
        for i, label in enumerate(few["label"].to_pylist())
    ]
    pq.write_table(few.append_column("kind", [kinds]), folder / "few.parquet")
    test = pq.read_table(folder / "test.parquet")
    pq.write_table(test.append_column("kind", [["b"] * len(test)]), folder / "test.parquet")
    text = RECIPE.replace('test = ["test.parquet"]', 'test = ["test.parquet"]\nkeep = ["kind"]')
    (folder / "buckler.toml").write_text(text.replace("{more}", loop + 'hold_out = "kind=a"\n'))
    found = stage(pipeline.run(folder / "buckler.toml"), "synthesis")
    assert "of kind=a on held-out real events" in found["trial"]


def test_synthetic_examples_are_never_stored_as_they_are_shown_to_a_student(folder):
    recorded(folder, ["pool"])
    more = LOOP.replace(', "test"]', "]").replace("truth.parquet", "test.parquet")
    run(folder, more.partition("[compare]")[0])
    stored = b"".join(p.read_bytes() for p in (folder / "out" / "stages").rglob("*.arrow"))
    from buckler.synthesis.defanging import refang
    from buckler.synthesis.synthetic_examples import read_synthetic_examples

    (path,) = (folder / "out" / "stages").rglob("synthetic_examples.parquet")
    synthetic_examples, report = read_synthetic_examples(path, TASK)
    assert report.trial.seeds == 2
    assert synthetic_examples
    for one in synthetic_examples:
        assert refang(one.text).encode() not in stored


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[teacher]\nkind = "recorded"\n', "needs [labels]"),
        (
            '[labels]\nstore = "l.db"\n[teacher]\nkind = "rules"\non = ["pool", "nobody"]\n',
            "teacher.on",
        ),
        ("[synthesis]\nnumber = 3\n", "name `files`, or a `generator`"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(folder, more, message):
    with pytest.raises(SettingsError) as error:
        run(folder, more)
    assert message in str(error.value)


def test_the_label_of_the_file_wins_unless_annotations_get_a_share(folder):
    few = read_dataset([folder / "few.parquet"], TASK)
    p = np.where(np.eye(2)[1 - few.labels] == 1, 0.9, 0.1).astype(np.float32)
    with LabelStore(folder / "labels.db") as store:
        ids = few.ids
        store.add_arrays(TASK, Annotator("contrary", "1", "model"), ids, p)
        kept, summary = with_annotations(few, store, Merge.MEAN)
        assert (kept.labels == few.labels).all(), "a trial of a teacher changed a label"
        assert np.array_equal(kept.targets, few.targets)
        assert summary["of_these_contradicted_by_annotations"] == len(few)
        trusting, _ = with_annotations(few, store, Merge.MEAN, label_share=0)
        doubting, _ = with_annotations(few, store, Merge.MEAN, label_share=0.75, weight=3)
        assert (doubting.weights == 3).all()
        little, _ = with_annotations(few, store, Merge.MEAN, label_share=0.1)
        assert (little.labels == few.labels).all(), "figures rest on the label of the file"
        assert (trusting.labels != few.labels).all()
        assert (kept.weights == 1).all()
        rows = np.arange(len(few))
        assert (trusting.targets[rows, few.labels] < 0.2).all()
        assert np.allclose(
            doubting.targets[rows, few.labels],
            0.75 + 0.25 * trusting.targets[rows, few.labels],
            atol=1e-5,
        )
        store.add_arrays(TASK, Annotator("anna", "", "human"), ids[:1], p[:1])
        decided, _ = with_annotations(few, store, Merge.MEAN, label_share=0.75)
        assert decided.targets[0, few.labels[0]] < 0.2, "a human's verdict counts in full"


def test_labels_only_learns_what_most_rows_of_a_text_say(folder):
    """A text that stands three times with two labels has the label of the two."""
    few = pq.read_table(folder / "few.parquet")
    row = few.slice(0, 1)
    label = row["label"][0].as_py()
    other = {"benign": "phishing", "phishing": "benign"}[label]
    index = few.schema.get_field_index("label")
    wrong = row.set_column(index, "label", [[other]])
    events = []
    for name, table in (("a", pa.concat_tables([few, row, wrong])), ("b", few)):
        pq.write_table(table, folder / f"{name}.parquet")
        events.append(read_dataset([folder / f"{name}.parquet"], TASK))
    train = deduplicate(events[0], near=False).events
    assert (with_file_labels(train, events[0]).labels == events[1].labels).all()


def poison(folder):
    """Store annotations that are the reverse of the truth, and right labels in the file."""
    everything = made_up_table(5000, np.random.default_rng(4))
    pq.write_table(everything.slice(0, 60), folder / "few.parquet")
    pq.write_table(everything.slice(60, 2440), folder / "truth.parquet")
    pool = read_dataset([folder / "truth.parquet"], TASK)
    p = np.where(np.eye(2)[1 - pool.labels] == 1, 0.95, 0.05).astype(np.float32)
    with LabelStore(folder / "labels.db") as store:
        store.add_arrays(TASK, Annotator("liar", "1", "llm"), pool.ids, p)


def test_a_promise_that_holds_only_without_suspect_labels_is_named(tmp_path):
    table = made_up_table(1500, np.random.default_rng(0))
    wrong = np.random.default_rng(1).random(len(table)) < 0.15
    other = {"benign": "phishing", "phishing": "benign"}
    labels = [other[v] if w else v for v, w in zip(table["label"].to_pylist(), wrong, strict=True)]
    index = table.schema.get_field_index("label")
    pq.write_table(table.set_column(index, "label", [labels]), tmp_path / "a.parquet")
    student = {"table_bits": 12, "folds": 2, "noise": "doubt"}
    for noise in ("doubt", "none"):
        sections = {"student": student | {"noise": noise}}
        out = tmp_path / noise
        done = pipeline.train([tmp_path / "a.parquet"], "url-threat", out, sections=sections)
        notes = json.loads(done.report.json.read_bytes())["notes"]
        assert any("leaves out those whose label looks wrong" in n for n in notes) == (
            noise == "doubt"
        )


def test_a_bundle_that_is_worse_than_labels_alone_says_so_and_replaces_none(folder):
    poison(folder)
    done = run(folder, '[labels]\nstore = "labels.db"\n')
    assert "detection" in done.warning or "accuracy" in done.warning
    report = json.loads(done.report.json.read_bytes())
    assert report["notes"][0].startswith("WARNING: a student that learned from labels alone")
    candidate = load(done.bundle)
    assert candidate.manifest.provenance["worse_than_labels_only"] == done.warning
    # Even on a test where it is better than a bad bundle, it does not replace that one.
    table = pq.read_table(folder / "test.parquet")
    other = ["phishing" if v == "benign" else "benign" for v in table.column("label").to_pylist()]
    index = table.schema.get_field_index("label")
    pq.write_table(table.set_column(index, "label", [other]), folder / "reverse.parquet")
    reverse = read_dataset([folder / "reverse.parquet"], TASK)
    events = made_up_events(600, np.random.default_rng(1))
    fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 12}, folds=2))
    write_fitted(folder / "good.buckler", fitted)
    decision = decide(load(folder / "good.buckler"), candidate, [("reverse", reverse)])
    assert decision.compared[0].better
    assert not decision.promote
    assert decision.reason.startswith("worse than labels alone")
