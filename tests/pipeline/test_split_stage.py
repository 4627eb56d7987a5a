"""What a run does with rows that training and test share."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler import pipeline
from buckler.dataset import read_dataset
from buckler.dataset.splits import OnLeak, check_leaks, find_leaks
from buckler.errors import InputError, LeakError
from buckler.runtime import load
from buckler.tasks import get_task
from tests.support.made_up import made_up_table

SECTIONS = {"student": {"table_bits": 12, "folds": 2}}


def write_urls(path: Path, urls: list[str], labels: list[str], groups: list[str]) -> Path:
    pq.write_table(pa.table({"url": urls, "label": labels, "group": groups}), path)
    return path


def made_up(n: int, seed: int = 5) -> tuple[list[str], list[str], list[str]]:
    columns = made_up_table(n, np.random.default_rng(seed)).to_pydict()
    return columns["url"], columns["label"], columns["group"]


def near_copies(urls: list[str], n: int) -> list[str]:
    """Longer URLs, each twice with one letter of difference."""
    tail = "/a-rather-long-path-that-stands-in-two-groups/with/the/same/words/in/it/"
    return [f"{url}{tail}{letter}" for url in urls[:n] for letter in "xy"]


def split_summary(done: pipeline.Run) -> dict[str, object]:
    return next(stage.summary for stage in done.stages if stage.name == "split")


@pytest.fixture
def campaigns(tmp_path):
    """An ordinary file in which 40 near-duplicates stand in two groups each."""
    urls, labels, groups = made_up(600)
    copies = near_copies(urls, 40)
    twice = [label for label in labels[:40] for _ in "xy"]
    alone = [f"own{i}" for i in range(len(copies))]
    return write_urls(tmp_path / "a.parquet", urls + copies, labels + twice, groups + alone)


def test_a_split_of_one_file_drops_its_own_near_duplicates_and_counts_them(campaigns, tmp_path):
    done = pipeline.train([campaigns], "url-threat", tmp_path / "out", sections=SECTIONS)
    summary = split_summary(done)
    assert 0 < summary["test_rows_like_training"] < 40
    assert summary["train_rows_like_test"] == summary["test_texts_nearly_in_training"] == 0
    counts = ("train_rows", "test_rows", "test_rows_like_training", "repeated")
    assert sum(summary[name] for name in counts) == 680
    report = done.report.json.read_text()
    assert f"{summary['test_rows_like_training']} test rows that stand in the training" in report


def test_a_split_by_time_still_fails_on_groups_that_it_cuts(tmp_path):
    pq.write_table(made_up_table(400, np.random.default_rng(1)), tmp_path / "a.parquet")
    recipe = tmp_path / "buckler.toml"
    recipe.write_text(
        'task = "url-threat"\n[data]\ntrain = ["a.parquet"]\n[split]\nby = "time"\n'
        "[student]\ntable_bits = 12\nfolds = 2\n"
    )
    with pytest.raises(LeakError, match="share a group"):
        pipeline.run(recipe)


def test_rows_like_the_test_are_left_out_for_the_figures_and_learned_by_the_bundle(tmp_path):
    urls, labels, groups = made_up(600)
    write_urls(tmp_path / "train.parquet", urls, labels, groups)
    write_urls(tmp_path / "test.parquet", *(column[:60] for column in (urls, labels, groups)))
    test, out = tmp_path / "test.parquet", tmp_path / "out"
    sections = {**SECTIONS, "split": {"on_leak": "drop"}}
    done = pipeline.train(
        [tmp_path / "train.parquet"], "url-threat", out, test=[test], sections=sections
    )
    summary = split_summary(done)
    left_out = summary["train_rows_like_test"]
    assert left_out >= 60
    (trained,) = (stage.summary for stage in done.stages if stage.name == "train")
    assert trained["rows"] == summary["train_rows"]
    assert trained["rows_learned_after_the_test"] == left_out
    assert load(done.bundle).manifest.provenance["rows_learned_after_the_test"] == left_out
    assert "the bundle has learned them since" in done.report.json.read_text()


def test_a_column_of_the_training_files_names_the_test_rows(tmp_path):
    table = made_up_table(400, np.random.default_rng(2))
    split = ["test" if i % 4 == 0 else "train" for i in range(len(table))]
    days = [str(i % 4 % 3) for i in range(len(table))]  # the test has day 0 alone
    table = table.append_column("split", [split]).append_column("day", [days])
    pq.write_table(table, tmp_path / "a.parquet")
    recipe = tmp_path / "buckler.toml"

    def run_with(values, untaught="{}"):
        recipe.write_text(
            f'task = "url-threat"\n[data]\ntrain = ["a.parquet"]\n'
            f"test_rows = {{ split = {values} }}\nuntaught = {untaught}\n"
            '[split]\ndeduplicate = "none"\non_leak = "allow"\n'
            "[student]\ntable_bits = 12\nfolds = 2\n"
        )
        return pipeline.run(recipe)

    summary = split_summary(run_with('["test"]'))
    assert (summary["train_rows"], summary["test_rows"]) == (300, 100)
    doubted = '{ day = ["2"] }'
    summary = split_summary(run_with('["test"]', doubted))
    assert (summary["train_rows"], summary["test_rows"]) == (200, 100)
    for values in ('["nothing"]', '["train", "test"]'):
        with pytest.raises(InputError, match="test_rows must choose"):
            run_with(values)


@pytest.mark.parametrize("seen", [["benign", "phishing"], ["phishing"]])
def test_dropping_never_empties_a_class_and_says_what_is_wrong(tmp_path, seen):
    urls, labels, groups = made_up(200)
    path = write_urls(tmp_path / "a.parquet", urls, labels, groups)
    training = read_dataset([path], get_task("url-threat"))
    rows = np.flatnonzero(np.isin(training.label_names.astype(str), seen))
    with pytest.raises(LeakError, match="give other test data"):
        check_leaks(training, training.take(rows), OnLeak.DROP)


def test_a_leak_is_found_from_either_side(tmp_path):
    urls, labels, _ = made_up(30)
    copies, twice = near_copies(urls, 30), [label for label in labels for _ in "xy"]
    groups = [f"g{i}" for i in range(60)]
    path = write_urls(tmp_path / "a.parquet", copies, twice, groups)
    events = read_dataset([path], get_task("url-threat"))
    left, right = events.take(np.arange(0, 60, 2)), events.take(np.arange(1, 60, 2))
    forth, back = find_leaks(left, right), find_leaks(right, left)
    assert sorted(forth.training_rows) == sorted(np.flatnonzero(back.near_text))
    assert sorted(back.training_rows) == sorted(np.flatnonzero(forth.near_text))
