"""A recipe with a pool: opinions and pseudo-labels become training examples."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from buckler.errors import InputError
from buckler.events import collect_events
from buckler.labels import Labeler, LabelStore
from buckler.learning.recipe import read_recipe
from buckler.learning.run import run_recipe
from buckler.tasks import get_task
from tests.made_up import made_up_table

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
    return run_recipe(read_recipe(folder / "buckler.toml"))


def stage(result, name):
    return next(summary for stage, _, _, summary in result.stages if stage.startswith(name))


def accuracy(result):
    return result.assessment.figures["accuracy"].value


def test_a_teachers_opinions_on_the_pool_teach_the_student(folder):
    truth = made_up_table(5000, np.random.default_rng(4)).slice(60, 2440)
    pq.write_table(truth, folder / "truth.parquet")
    pool = collect_events([folder / "truth.parquet"], TASK)
    p = np.where(np.eye(2)[pool.labels] == 1, 0.9, 0.1).astype(np.float32)
    with LabelStore(folder / "labels.db") as store:
        ids = pool.table.column("id").to_pylist()
        store.add_arrays(TASK, Labeler("teacher", "1", "llm"), ids, p)
    told = run(folder, '[labels]\nstore = "labels.db"\n')
    summary = stage(told, "teach")
    assert summary["like_test_or_labelled"] >= 160  # 100 of the test, 60 labelled
    assert 200 < summary["with_opinions"] == summary["extra_examples"] <= 2440
    alone = folder / "alone"
    alone.mkdir()
    for name in ("few", "test"):
        (alone / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    text = RECIPE.replace('[pool]\nevents = ["pool.parquet"]\n{more}\n', "")
    (alone / "buckler.toml").write_text(text)
    assert accuracy(told) > accuracy(run_recipe(read_recipe(alone / "buckler.toml"))) + 0.05
    again = run(folder, '[labels]\nstore = "labels.db"\n')
    assert [
        reused for name, _, reused, _ in again.stages if name.startswith(("teach", "train"))
    ] == [
        True,
        True,
    ]


def test_rounds_without_a_teacher(folder):
    result = run(folder, "[pool.rounds]\nmax_rounds = 2\npatience = 5\n")
    summary = stage(result, "teach")
    assert {"round_0", "round_1", "round_2", "best_round"} <= summary.keys()
    assert stage(result, "train")["extra_examples"] == summary["extra_examples"]
    assert json.loads((folder / "out" / "report.json").read_text())


def test_labels_in_the_pool_are_not_looked_at(folder):
    before = run(folder, "[pool.rounds]\nmax_rounds = 1\n")
    table = pq.read_table(folder / "pool.parquet")
    pq.write_table(
        table.append_column("label", [["nonsense"] * len(table)]), folder / "pool.parquet"
    )
    after = run(folder, "[pool.rounds]\nmax_rounds = 1\n")
    assert accuracy(after) == accuracy(before)


def test_a_pool_without_anyone_to_judge_it_is_an_error(folder):
    with pytest.raises(InputError, match="no teacher"):
        run(folder)
    LabelStore(folder / "labels.db").close()
    with pytest.raises(InputError, match="no opinion"):
        run(folder, '[labels]\nstore = "labels.db"\n')
    table = pq.read_table(folder / "test.parquet").drop_columns(["label"])
    pq.write_table(table, folder / "pool.parquet")
    with pytest.raises(InputError, match="no event of the pool is left"):
        run(folder, "[pool.rounds]\n")
