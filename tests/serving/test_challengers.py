"""Challengers in scans and pipes: they judge the same events, and change no verdict."""

import json
import os
import signal

import numpy as np
import pyarrow.parquet as pq
import pytest

from buckler.errors import OutputError, ScanInterruptedError
from buckler.readers import batches as batches_module
from buckler.readers import lines as lines_module
from buckler.serving.challengers import count_pairs
from buckler.serving.scan import ScanOptions, scan
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.cli import buckler, refused
from tests.support.made_up import made_up_bundle, made_up_rows, made_up_table


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    path = tmp_path_factory.mktemp("events") / "urls.parquet"
    pq.write_table(made_up_table(3000, np.random.default_rng(8)), path, row_group_size=500)
    return path


@pytest.fixture(scope="module")
def challenger(tmp_path_factory):
    path = tmp_path_factory.mktemp("challenger") / "challenger.buckler"
    return path, made_up_bundle(path, 3, bits=4)


def options_of(*challengers):
    return ScanOptions(challengers=challengers)


def test_a_scan_tells_both(url_scorer, challenger, events, tmp_path):
    path, other = challenger
    plain = scan(url_scorer, [events], tmp_path / "p.parquet")
    both = scan(url_scorer, [events], tmp_path / "b.parquet", options_of(path))
    table = pq.read_table(tmp_path / "b.parquet")
    own = table.drop_columns(["challenger_1_score", "challenger_1_detected"])
    assert own.equals(pq.read_table(tmp_path / "p.parquet"))
    verdicts = other.score(pq.read_table(events)["url"])
    assert table["challenger_1_score"].to_pylist() == verdicts.scores.tolist()
    assert table["challenger_1_detected"].to_pylist() == verdicts.detected.tolist()
    pairs = count_pairs(table["detected"].to_pylist(), table["challenger_1_detected"].to_pylist())
    assert plain.challengers == {}
    assert list(both.challengers.values()) == [dict(pairs)]
    assert sum(pairs.values()) == 3000


def test_a_scan_that_was_stopped_counts_nothing_twice(
    url_scorer, challenger, events, tmp_path, monkeypatch
):
    path, _ = challenger
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(batches_module, "BATCH_BYTES", 4096)
    lines = tmp_path / "urls.jsonl"
    texts = pq.read_table(events)["url"].to_pylist()
    lines.write_text("\n".join(json.dumps({"url": t}) for t in texts))
    whole = scan(url_scorer, [lines], tmp_path / "w.parquet", options_of(path))
    target, stops = tmp_path / "s.parquet", 0

    def stop(_):
        os.kill(os.getpid(), signal.SIGINT)

    while stops < 3:
        with pytest.raises(ScanInterruptedError):
            scan(url_scorer, [lines], target, options_of(path), on_progress=stop)
        stops += 1
    with pytest.raises(OutputError, match="unfinished scan"):
        scan(url_scorer, [lines], target, options_of())
    again = scan(url_scorer, [lines], target, options_of(path))
    assert again.resumed_at_row > 0
    assert again.rows == whole.rows
    assert again.challengers == whole.challengers


def test_a_pipe_answers_the_same_and_counts(url_bundle, url_scorer, challenger, events):
    path, other = challenger
    texts = pq.read_table(events)["url"].to_pylist()[:500]
    lines = "\n".join([*(json.dumps({"url": t}) for t in texts), "{broken"])
    alone = buckler("stream", "-", "-b", url_bundle, "--as", "verdict", stdin=lines)
    both = buckler(
        "stream", "-", "-b", url_bundle, "--as", "verdict", "--challenger", path, stdin=lines
    )
    assert both.stdout == alone.stdout
    pairs = count_pairs(*(s.score(texts).detected.tolist() for s in (url_scorer, other)))
    for n in pairs.values():
        assert f"{n:,}" in both.stderr
    assert "challenger" in both.stderr and "challenger" not in alone.stderr


def test_a_challenger_must_decide_the_same(url_bundle, events, tmp_path):
    rows, _ = made_up_rows(300, np.random.default_rng(0))
    write_fitted(tmp_path / "r.buckler", fit_student(rows, StudentSpec("trees", {}, folds=2)))
    target = ["-o", tmp_path / "x.parquet", "--challenger", tmp_path / "r.buckler"]
    refused(buckler("scan", events, "-b", url_bundle, *target), "does not decide what")
