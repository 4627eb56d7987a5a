import sys

import numpy as np
import pyarrow.parquet as pq

from benchmarks import unseen
from tests.support.made_up import made_up_table


def test_a_recipe_is_judged_by_unseen_sources(tmp_path, monkeypatch, capsys):
    table = made_up_table(900, np.random.default_rng(0))
    labels = table["label"].to_pylist()
    sources = [f"{label} {'abc'[i % 3]}" for i, label in enumerate(labels)]
    split = ["test" if i % 5 == 0 else "train" for i in range(len(labels))]
    table = (
        table.drop_columns(["source"])
        .append_column("source", [sources])
        .append_column("split", [split])
    )
    pq.write_table(table, tmp_path / "a.parquet")
    recipe = tmp_path / "buckler.toml"
    recipe.write_text(
        'task = "url-threat"\n[data]\ntrain = ["a.parquet"]\ntest_rows = { split = ["test"] }\n'
        '[split]\non_leak = "drop"\n[student]\ntable_bits = 12\nfolds = 3\n'
    )
    folder = str(tmp_path / "worst")
    arguments = ["unseen", str(recipe), "--epochs", "2", "--seeds", "2", "-o", folder]
    monkeypatch.setattr(sys, "argv", [*arguments, "--set", "dropout=0.1"])
    assert unseen.main() == 0
    printed = capsys.readouterr().out
    assert "AUROC of pairs of unseen sources" in printed
    assert "| phishing a |" in printed
    assert "2 seeds" in printed
    assert (tmp_path / "worst" / "false-positives.jsonl").exists()
