import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.errors import InputError, OutputError, ScanInterruptedError, SettingsError
from buckler.operating_point import OperatingPoint
from buckler.readers import batches as batches_module
from buckler.readers import lines as lines_module
from buckler.readers.reader import find_inputs
from buckler.serving import scan as scan_module
from buckler.serving.scan import ScanOptions, scan
from buckler.serving.sinks.text_sinks import JsonLinesSink
from tests.support.made_up import made_up_url

SETTINGS = ScanOptions(("url", "text"))


@pytest.fixture
def many_urls(tmp_path):
    rng = np.random.default_rng(5)
    return [made_up_url(bool(i % 2), rng) for i in range(3000)]


def write_jsonl(path: Path, values) -> Path:
    path.write_text("".join(json.dumps({"url": v}) + "\n" for v in values))
    return path


def read_back(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    if path.suffix == ".csv":
        return pc.read_csv(path)
    return pa.Table.from_pylist([json.loads(line) for line in path.read_text().split("\n")[:-1]])


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_every_row_is_scored_as_the_scorer_scores_it(url_scorer, tmp_path, many_urls, suffix):
    values = [*many_urls, 'http://q"uote.example/\\x,y', "http://ünï.example/\u2028"]
    source = write_jsonl(tmp_path / "in.jsonl", values)
    with source.open("a") as file:
        file.write("broken\n")
    result = scan(url_scorer, [source], tmp_path / f"out{suffix}", SETTINGS)
    table = read_back(result.output)
    verdicts = url_scorer.score(values)
    assert table["text"].to_pylist() == values
    assert np.array_equal(np.array(table["score"], np.float32), verdicts.scores)
    assert table["row"].to_pylist() == list(range(1, len(values) + 1))
    threshold = url_scorer.threshold
    assert table["detected"].to_pylist() == (verdicts.scores >= threshold).tolist()
    assert set(table["path"].to_pylist()) == {str(source)}
    assert (result.rows, result.quarantined) == (len(values), 1)
    record = json.loads(result.quarantine_file.read_text())
    assert record["row"] == len(values) + 1
    assert not (tmp_path / f"out{suffix}.partial").exists()


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_a_scan_that_stops_anywhere_goes_on_and_gives_the_same(
    url_scorer, tmp_path, many_urls, suffix, monkeypatch
):
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(batches_module, "BATCH_BYTES", 4096)
    first = write_jsonl(tmp_path / "a.jsonl", many_urls[:2000])
    with first.open("a") as file:
        file.write("broken\n" * 50)
    inputs = [first, write_jsonl(tmp_path / "b.jsonl", many_urls[2000:])]
    whole = scan(url_scorer, inputs, tmp_path / f"whole{suffix}", SETTINGS)
    target = tmp_path / f"out{suffix}"
    stops = 0
    for attempt in range(100):

        def stop_soon(progress, attempt=attempt, seen=[0]):  # noqa: B006
            seen[0] += 1
            if seen[0] == 1 + attempt % 3:
                seen[0] = 0
                os.kill(os.getpid(), signal.SIGINT)

        try:
            result = scan(url_scorer, inputs, target, SETTINGS, on_progress=stop_soon)
            break
        except ScanInterruptedError as error:
            assert "run the same command again" in str(error)
            assert not target.exists()
            stops += 1
    assert stops > 5
    assert read_back(target).to_pylist() == read_back(whole.output).to_pylist()
    assert (result.rows, result.detections) == (whole.rows, whole.detections)
    assert result.quarantine_file.read_text() == whole.quarantine_file.read_text()


def test_kill_9_loses_nothing_that_was_checkpointed(url_bundle, tmp_path, many_urls):
    sources = [write_jsonl(tmp_path / f"{i:03}.jsonl", many_urls[:500]) for i in range(60)]
    target = tmp_path / "out.jsonl"
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from buckler.serving import scan as s\n"
        "from buckler.runtime import load\n"
        "s.CHECKPOINT_S = 0.0\n"
        "from buckler.readers import batches\n"
        "batches.BATCH_ROWS = 1\n"
        f"s.scan(load({str(url_bundle)!r}), [Path(p) for p in sys.argv[1:]], "
        f"Path({str(target)!r}), s.ScanOptions(('url', 'text')), "
        "on_progress=lambda progress: time.sleep(0.01))\n"
    )
    command = [sys.executable, "-c", code, *map(str, sources)]
    state = tmp_path / "out.jsonl.partial" / "state.json"
    rng = np.random.default_rng(0)
    for _ in range(4):
        before = state.read_bytes() if state.exists() else b""
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not state.exists() or state.read_bytes() == before):
            time.sleep(0.002)
        time.sleep(0.05 * rng.random())
        assert process.poll() is None, "the scan ended before it could be killed"
        process.kill()
        process.wait()
    subprocess.run(command, check=True)
    table = read_back(target)
    assert table["text"].to_pylist() == many_urls[:500] * 60
    assert table["row"].to_pylist() == list(range(1, 501)) * 60


def test_a_full_disk_is_one_clear_error_and_the_scan_goes_on_later(url_scorer, tmp_path, many_urls):
    source = write_jsonl(tmp_path / "in.jsonl", many_urls * 5)
    target = tmp_path / "out.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(OutputError, match=r"out\.jsonl: cannot be written .*make room"):
            scan(url_scorer, [source], target, SETTINGS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not target.exists()
    assert scan(url_scorer, [source], target, SETTINGS).rows == 15_000


def test_results_are_never_replaced_or_mixed_unasked(url_scorer, tmp_path, many_urls):
    source = write_jsonl(tmp_path / "in.jsonl", many_urls)
    target = tmp_path / "out.parquet"
    scan(url_scorer, [source], target, SETTINGS)
    with pytest.raises(OutputError, match="exists"):
        scan(url_scorer, [source], target, SETTINGS)
    scan(url_scorer, [source], target, replace(SETTINGS, overwrite=True))
    partial = tmp_path / "other.parquet.partial"
    partial.mkdir()
    (partial / "state.json").write_text('{"key": {"bundle": "x"}}')
    with pytest.raises(OutputError, match="unfinished scan with another bundle"):
        scan(url_scorer, [source], tmp_path / "other.parquet", SETTINGS)
    (partial / "state.json").write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        scan(url_scorer, [source], tmp_path / "other.parquet", SETTINGS)
    assert scan(
        url_scorer, [source], tmp_path / "other.parquet", replace(SETTINGS, restart=True)
    ).rows


def test_one_of_many_files_that_cannot_be_read_does_not_stop_the_rest(
    url_scorer, tmp_path, many_urls
):
    (tmp_path / "in").mkdir()
    write_jsonl(tmp_path / "in" / "a.jsonl", many_urls[:10])
    (tmp_path / "in" / "b.parquet").write_bytes(b"PAR1 broken")
    (tmp_path / "in" / "c.csv").write_text("url\nhttp://c.example/\n", encoding="utf-16")
    write_jsonl(tmp_path / "in" / "d.jsonl", many_urls[10:20])
    result = scan(url_scorer, [tmp_path / "in"], tmp_path / "out.jsonl", SETTINGS)
    assert result.rows >= 20
    assert result.quarantined == 2
    records = [json.loads(line) for line in result.quarantine_file.read_text().splitlines()]
    assert [Path(r["path"]).name for r in records] == ["b.parquet", "c.csv"]
    assert all("file not read to its end" in r["reason"] for r in records)
    with pytest.raises(InputError, match=r"b\.parquet"):
        scan(url_scorer, [tmp_path / "in" / "b.parquet"], tmp_path / "o.jsonl", SETTINGS)
    assert not (tmp_path / "o.jsonl.partial").exists()


def test_bad_choices_fail_before_any_work(url_scorer, tmp_path, many_urls):
    source = write_jsonl(tmp_path / "in.jsonl", many_urls)
    with pytest.raises(OutputError, match="name it"):
        scan(url_scorer, [source], tmp_path / "out.xlsx", SETTINGS)
    with pytest.raises(SettingsError, match="takes 30,000,000 negatives"):
        scan(
            url_scorer,
            [source],
            tmp_path / "out.csv",
            ScanOptions(("url",), operating_point=OperatingPoint(fpr=1e-7)),
        )
    assert [p.name for p in tmp_path.iterdir()] == ["in.jsonl"]


def test_probabilities_and_no_text(url_scorer, tmp_path, many_urls):
    source = write_jsonl(tmp_path / "in.jsonl", many_urls)
    settings = ScanOptions(("url",), with_text=False, with_probabilities=True, threads=2)
    table = read_back(scan(url_scorer, [source], tmp_path / "o.parquet", settings).output)
    assert table.column_names == [
        "label",
        "score",
        "detected",
        "path",
        "row",
        "uncertain",
        "p_benign",
        "p_phishing",
    ]
    assert table["uncertain"].to_pylist() == url_scorer.score(many_urls).uncertain.tolist()
    total = np.array(table["p_benign"]) + np.array(table["p_phishing"])
    assert np.allclose(total, 1, atol=1e-6)


def test_small_batches_wait_for_a_row_group_but_not_for_ever(url_scorer, tmp_path, monkeypatch):
    monkeypatch.setattr("buckler.serving.sinks.parquet_sink._ROW_GROUP_BYTES", 20_000)
    monkeypatch.setattr(batches_module, "BATCH_ROWS", 1)
    (tmp_path / "in").mkdir()
    for i in range(60):
        (tmp_path / "in" / f"{i:02}.txt").write_text(f"http://h{i}.example/" + "x" * 1000)
    result = scan(url_scorer, [tmp_path / "in"], tmp_path / "out.parquet", SETTINGS)
    groups = pq.ParquetFile(result.output).metadata.num_row_groups
    assert result.rows == 60
    assert 2 < groups < 20


def test_parts_of_parquet_are_joined(url_scorer, tmp_path, many_urls, monkeypatch):
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", 8192)
    monkeypatch.setattr(batches_module, "BATCH_BYTES", 8192)
    monkeypatch.setattr(scan_module, "CHECKPOINT_S", 0.0)
    source = write_jsonl(tmp_path / "in.jsonl", many_urls)
    result = scan(url_scorer, [source], tmp_path / "out.parquet", SETTINGS)
    assert read_back(result.output)["text"].to_pylist() == many_urls


def test_memory_does_not_grow_with_the_input(url_bundle, tmp_path, many_urls):
    def peak(n: int) -> int:
        source = tmp_path / f"{n}.parquet"
        pq.write_table(pa.table({"url": many_urls * n}), source, row_group_size=50_000)
        code = (
            "import sys\n"
            "from pathlib import Path\n"
            "from tests.support.memory import peak_memory_kib\n"
            "from buckler.serving.scan import ScanOptions, scan\n"
            "from buckler.runtime import load\n"
            f"r = scan(load({str(url_bundle)!r}), [Path(sys.argv[1])], Path(sys.argv[2]), "
            "ScanOptions(('url',)))\n"
            "print(peak_memory_kib() // 1024)\n"
        )
        arguments = [sys.executable, "-c", code, str(source), str(tmp_path / f"{n}.out.parquet")]
        return int(subprocess.check_output(arguments))

    assert peak(1000) < peak(50) + 120


def test_no_cell_of_a_csv_is_a_formula(url_bundle, tmp_path):
    texts = ["=cmd|'/c calc'!A0", "+1", "-1", "@x", "\thttp://a.example/", "http://a.example/"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"url": t}) + "\n" for t in texts))
    options = ScanOptions(("url",), with_text=True)
    scan(url_bundle, [tmp_path / "a.jsonl"], tmp_path / "out.csv", options)
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == [f"'{t}" for t in texts[:5]] + texts[5:]


def test_links_out_of_a_folder_are_not_followed(url_bundle, tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.csv").write_text("url\nhttp://a.example/\n")
    (inside / "file.csv").symlink_to(outside / "a.csv")
    (inside / "folder").symlink_to(outside)
    (inside / "nowhere.csv").symlink_to(tmp_path / "nowhere.csv")
    (inside / "own.csv").symlink_to(inside / "a.csv")
    assert [p.name for p in find_inputs([inside])] == ["a.csv", "own.csv"]
    assert find_inputs([inside / "file.csv"])  # who names a link means it


@settings(max_examples=100)
@given(st.lists(st.none() | st.text(), min_size=1, max_size=20), st.integers(0, 3))
def test_texts_of_json_lines_are_those_of_python(tmp_path_factory, texts, skipped):
    columns = {
        "text": pa.array(texts),
        "long": pa.array(texts, pa.large_string()),
        "score": pa.array([float("nan") if t is None else 0.5 for t in texts], pa.float32()),
        "class": pa.array(texts).dictionary_encode(),
    }
    batch = pa.record_batch(columns).slice(skipped)
    sink = JsonLinesSink(tmp_path_factory.mktemp("sink"), batch.schema, 0)
    sink.write(batch)
    target = sink.folder / "out.jsonl"
    sink.finish(target)
    written = target.read_text(encoding="utf-8")
    expected = [
        json.dumps({**row, "score": None if row["score"] != 0.5 else 0.5}, ensure_ascii=False)
        for row in batch.to_pylist()
    ]
    lines = written.split("\n")[:-1]
    assert [json.loads(line) for line in lines] == [json.loads(line) for line in expected]
    assert [json.dumps(json.loads(line), ensure_ascii=False) for line in lines] == expected
