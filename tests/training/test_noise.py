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
