import csv

import numpy as np
import pyarrow.parquet as pq
import pytest

from buckler.dataset import read_dataset
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec, cross_validate
from buckler.training.noise import suspect_labels
from buckler.training.noise_estimate import estimate_noise
from tests.support.cli import buckler
from tests.support.made_up import made_up_table

pytest.importorskip("cleanlab", reason="the extra 'noise' is not installed")
TASK = get_task("url-threat")


def flipped(path, n, share, seed=0):
    """Made-up URLs; of the phishing ones a share is labeled benign."""
    table = made_up_table(n, np.random.default_rng(seed))
    labels = np.array(table.column("label").to_pylist(), object)
    wrong = (labels == "phishing") & (np.random.default_rng(1).random(len(labels)) < share)
    labels[wrong] = "benign"
    index = table.schema.get_field_index("label")
    pq.write_table(table.set_column(index, "label", [labels.tolist()]), path)
    return wrong


def test_the_estimate_is_near_the_noise_that_was_put_in(tmp_path):
    wrong = flipped(tmp_path / "a.parquet", 4000, 0.2)
    events = read_dataset([tmp_path / "a.parquet"], TASK)
    found = estimate_noise(events, StudentSpec("ngram", {"table_bits": 14}, folds=3))
    assert found.noise_rate == pytest.approx(wrong.mean(), abs=0.04)
    caught = np.zeros(len(wrong), bool)
    caught[found.suspects] = True
    assert caught[wrong].mean() > 0.6 and caught[~wrong].mean() < 0.05
    assert (found.suggested[found.suspects] != found.events.labels[found.suspects]).mean() > 0.9
    # Our own rule, which training uses, is of the same mind.
    own = suspect_labels(
        cross_validate(events, StudentSpec("ngram", {"table_bits": 14}, folds=3)).probabilities(
            events.labels
        ),
        events.labels,
    )
    assert (own == caught).mean() > 0.93


def test_from_the_command_line(tmp_path):
    flipped(tmp_path / "a.parquet", 2000, 0.3)
    result = buckler(
        *("labels", "noise", tmp_path / "a.parquet", "--task", "url-threat"),
        *("--output", tmp_path / "s.csv", "--limit", "3"),
    )
    assert result.returncode == 0, result.stderr
    assert "labels are wrong by the estimate" in result.stdout
    assert "benign, rather phishing" in result.stdout
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    expected = {"file", "row", "event_id", "label", "suggested", "quality", "text"}
    assert rows and expected == set(rows[0])
    assert f"a.parquet, row {rows[0]['row']}: " in result.stdout
    written = pq.read_table(tmp_path / "a.parquet")["url"].to_pylist()
    assert all(written[int(row["row"]) - 1] == row["text"] for row in rows)


def test_a_teacher_is_a_second_witness(tmp_path):
    """A list whose rows are all wrong looks right to a student of the same labels."""
    table = made_up_table(1200, np.random.default_rng(0))
    labels = np.array(table.column("label").to_pylist(), object)
    in_list = (labels == "phishing") & (np.arange(len(labels)) % 4 == 0)
    source = np.where(in_list, "list: jobs", np.where(labels == "benign", "crawl", "feed"))
    index = table.schema.get_field_index("label")
    answers = table.set_column(index, "label", [labels[:800].tolist() + [None] * 400])
    labels[in_list] = "benign"
    table = table.set_column(index, "label", [labels.tolist()]).drop_columns(["source"])
    pq.write_table(table.append_column("source", [source.tolist()]), tmp_path / "a.parquet")
    pq.write_table(answers, tmp_path / "answers.parquet")
    common = ("--task", "url-threat", "--store", tmp_path / "l.db")
    known = ("--annotator", "llm", "--kind", "llm")
    done = buckler("labels", "import", tmp_path / "answers.parquet", *common, *known)
    assert done.returncode == 0, done.stderr
    suspects = tmp_path / "s.parquet"
    result = buckler("labels", "noise", tmp_path / "a.parquet", *common, "-o", suspects)
    assert result.returncode == 0, result.stderr
    first = next(line for line in result.stdout.splitlines() if "list: jobs" in line)
    n = int(in_list[:800].sum())
    assert f"{n}" in first and "1.00" in first
    found = pq.read_table(suspects).to_pydict()
    texts = {text.decode() for text in found["text"]}
    urls = table.column("url").to_pylist()
    assert {url for url, wrong in zip(urls[:800], in_list, strict=False) if wrong} <= texts
    # The file is input for the next step.
    again = read_dataset([suspects], TASK)
    assert set(again.sources) >= {"list: jobs"} and len(again) == len(texts)
