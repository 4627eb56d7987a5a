"""HTTP: a real server process, real clients, hostile bodies, reloads and shutdown."""

import asyncio
import gc
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import weakref
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buckler.errors import InputError, SettingsError
from buckler.runtime import load
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.certificates import self_signed
from tests.support.cli import Command
from tests.support.made_up import made_up_bundle, made_up_rows, made_up_table
from tests.support.waiting import wait_until

httpx = pytest.importorskip("httpx", reason="the extra 'serve' is not installed")
pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")

from starlette.testclient import TestClient  # noqa: E402

from buckler.serving import bundles  # noqa: E402
from buckler.serving.http.app import build_app  # noqa: E402
from buckler.serving.http.guard import Keys, Rate, new_key  # noqa: E402
from buckler.serving.http.serve_settings import ServeSettings  # noqa: E402
from buckler.serving.layered_settings import read_layered_settings  # noqa: E402

BUCKLER = [sys.executable, "-c", "from buckler.cli.main import main; main()"]
FUZZ = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
ANYWHERE = "0.0.0.0"  # noqa: S104
NDJSON, ARROW = "application/x-ndjson", "application/vnd.apache.arrow.stream"


@contextmanager
def server(*arguments, folder: Path, environment=None):
    """A `buckler serve` process on a free port; yields (base address, process, log path)."""
    log = folder / f"serve-{time.monotonic_ns()}.log"
    with log.open("wb") as told, Path(os.devnull).open("rb") as nothing:
        process = Command(
            *("serve", *arguments, "--port", "0"),
            stdin=nothing,
            stdout=told,
            stderr=told,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield address_in(log, process), process, log
    finally:
        process.terminate()
        process.wait(30)


def address_in(log, process):
    def find():
        assert process.poll() is None, log.read_text()
        return [line for line in log.read_text().splitlines() if '"listening"' in line]

    return json.loads(wait_until(find)[0])["address"]


@pytest.fixture(scope="module")
def running(url_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    with (
        server(url_bundle, folder=folder) as (address, _, log),
        httpx.Client(base_url=address, timeout=20) as client,
    ):
        yield client, log


@pytest.fixture(scope="module")
def client(url_bundle):
    chosen = ServeSettings(bundles=[url_bundle], max_body_bytes=100_000, max_batch=500)
    with TestClient(build_app(chosen), raise_server_exceptions=False) as made:
        yield made


def urls(n, seed=5):
    return made_up_table(n, np.random.default_rng(seed))["url"].to_pylist()


def arrow(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=70)
    return sink.getvalue().to_pybytes()


# --- the same scores in every form ----------------------------------------------------------------


def test_all_forms_give_the_scorers_own_bits(running, url_scorer):
    client, _ = running
    texts = urls(300)
    verdicts = url_scorer.score(texts)
    detections = verdicts.detected.tolist()
    labels = [url_scorer.classes[i] for i in verdicts.label_indices]
    got = client.post("/v1/score", json={"texts": texts}).json()["verdicts"]
    assert [np.float32(v["score"]) for v in got] == verdicts.scores.tolist()
    assert [v["detected"] for v in got] == detections
    assert [v["label"] for v in got] == labels
    lines = "\n".join(json.dumps({"url": t}) for t in texts)
    reply = client.post("/v1/score", content=lines, headers={"content-type": NDJSON})
    assert reply.headers["x-buckler-bundle"] == url_scorer.sha256
    assert [json.loads(line) for line in reply.text.splitlines()] == got
    events = [{"url": text} for text in texts]
    for array in ({"events": events}, events, {"events": [*events, "\ud800"]}):
        answers = client.post("/v1/score", content=json.dumps(array)).json()["verdicts"]
        assert answers[:300] == got
    body = arrow(pa.table({"other": range(300), "url": texts}))
    reply = client.post("/v1/score", content=body, headers={"content-type": ARROW})
    table = pa.ipc.open_stream(reply.content).read_all()
    assert table["score"].to_numpy().tolist() == verdicts.scores.tolist()
    assert table["detected"].to_pylist() == detections
    assert table["label"].to_pylist() == labels
    for text, verdict in zip(texts[:5], got, strict=False):
        assert client.post("/v1/score", json={"text": text}).json() == verdict
        assert client.post("/v1/score", json={"event": {"url": text}}).json() == verdict
        assert client.post("/v1/score", content=json.dumps(text)).status_code == 400


def test_what_cannot_be_judged_is_an_error_in_its_place(running):
    client, _ = running
    events = [{"url": "http://a.example/"}, {"x": 1}, 5, None, "http://b.example", {"url": ""}]
    got = client.post("/v1/score", json=events).json()["verdicts"]
    assert ["label" in v for v in got] == [True, False, False, False, True, False]
    assert [v["error"] for v in got if "error" in v] == [
        "no text", "not a JSON object", "not a JSON object", "empty text",
    ]  # fmt: skip
    lines = b'{"url": "http://a.example/"}\n{broken\n\n"http://b.example"\n'
    reply = client.post("/v1/score", content=lines, headers={"content-type": NDJSON})
    got = [json.loads(line) for line in reply.text.splitlines()]
    assert ["label" in v for v in got] == [True, False, True]
    assert got[1] == {"error": "no JSON"}
    table = pa.table({"url": ["http://a.example/", None, "http://b.example/"]})
    reply = client.post("/v1/score", content=arrow(table), headers={"content-type": ARROW})
    assert pa.ipc.open_stream(reply.content).read_all()["label"].null_count == 1


def test_wishes(running, url_scorer):
    client, _ = running
    text = urls(2)[0]
    asked = {"probabilities": "true", "explain": "3", "fpr": "0.01"}
    verdict = client.post("/v1/score", params=asked, json={"text": text}).json()
    assert set(verdict) >= {"p_benign", "p_phishing", "why"}
    assert len(verdict["why"]) == 3
    for form in ("ocsf", "ecs", "alert"):
        without = client.post(f"/v1/score?as={form}", json={"text": text})
        assert text not in without.text
        told = client.post(f"/v1/score?as={form}&text=1", json={"text": text})
        assert text in told.text
    assert client.post("/v1/score?fpr=1e-7", json={"text": text}).status_code == 400
    assert client.post("/v1/score?as=xml", json={"text": text}).status_code == 400
    assert client.post("/v1/score?explain=99", json={"text": text}).status_code == 400
    assert client.post("/v1/score?nope=1", json={"text": text}).status_code == 400
    assert client.post("/v1/score?model=other", json={"text": text}).status_code == 404
    plain = client.post("/v1/score", content=b"x", headers={"content-type": "text/plain"})
    assert plain.status_code == 415


def test_it_says_what_it_is_and_how_it_is(running, url_scorer):
    client, log = running
    (model,) = client.get("/v1/models").json()["models"]
    assert model["sha256"] == url_scorer.sha256
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").status_code == 200
    before = client.get("/metrics").text
    client.post("/v1/score", json={"texts": urls(7)})
    after = client.get("/metrics").text

    def events(page):
        return sum(
            float(li.split()[-1])
            for li in page.splitlines()
            if li.startswith("buckler_events_total")
        )

    assert events(after) - events(before) == 7
    described = client.get("/openapi.json").json()
    assert set(described["paths"]["/v1/score"]["post"]["requestBody"]["content"]) == {
        "application/json", NDJSON, ARROW,
    }  # fmt: skip
    entry = json.loads(log.read_text().splitlines()[-1])
    assert entry["events"] == 7
    assert "example" not in log.read_text()


def test_rows_of_features_may_be_the_objects_themselves(tmp_path):
    events, _ = made_up_rows(300, np.random.default_rng(0))
    write_fitted(
        tmp_path / "rows.buckler", fit_student(events, StudentSpec("trees", {"epochs": 2}, folds=2))
    )
    scorer = load(tmp_path / "rows.buckler")
    row = {"size": 1.5, "entropy": 0.2, "noise": 0.1, "packer": "upx"}
    with TestClient(build_app(ServeSettings(bundles=[tmp_path / "rows.buckler"]))) as client:
        got = client.post("/v1/score", json={"events": [row, {"size": "many"}]}).json()["verdicts"]
    assert np.float32(got[0]["score"]) == scorer.score([json.dumps(row)]).scores[0]
    assert "error" in got[1]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=20)
EVENTS = st.recursive(
    SCALARS,
    lambda c: (
        st.lists(c, max_size=3)
        | st.dictionaries(st.sampled_from(["url", "text", "a"]), c, max_size=3)
    ),
    max_leaves=8,
)


# --- limits ---------------------------------------------------------------------------------------


def test_bodies_and_batches_are_bounded(client):
    assert client.post("/v1/score", content=b"x" * 200_000).status_code == 413

    def endless():
        for _ in range(100):
            yield b"x" * 10_000

    assert client.post("/v1/score", content=endless()).status_code == 413
    reply = client.post("/v1/score", json={"texts": ["http://a.example"] * 501})
    assert reply.status_code == 413
    assert "at most 500" in reply.json()["error"]
    for empty in (b"", b"[]", b'{"texts": []}', b'{"texts": 3}', b"3", b"nope", b"[" * 50_000):
        assert client.post("/v1/score", content=empty).status_code == 400
    assert (
        client.post("/v1/score", content=b"ARROW1", headers={"content-type": ARROW}).status_code
        == 400
    )


def test_a_refused_body_leaves_nothing_in_memory(client, monkeypatch):
    class Held:
        pass

    kept = []

    def read(*_):
        held = Held()  # a local of the frame that fails, such as the events of the body
        kept.append(weakref.ref(held))
        raise InputError("nothing here")

    monkeypatch.setattr("buckler.serving.http.app.read_body", read)
    gc.disable()
    try:
        for _ in range(3):
            assert client.post("/v1/score", content=b" " * 100_000).status_code == 400
        assert [each() for each in kept[:-1]] == [None, None]  # the last may be on its way
    finally:
        gc.enable()


@settings(max_examples=150, **FUZZ)
@given(st.binary(max_size=300), st.sampled_from(["application/json", NDJSON, ARROW]))
def test_no_body_is_a_fault_of_the_server(client, body, media):
    reply = client.post("/v1/score", content=body, headers={"content-type": media})
    assert reply.status_code in (200, 400)


@settings(max_examples=80, **FUZZ)
@given(st.integers(0, 3000), st.integers(0, 255), st.integers(0, 3000))
def test_a_damaged_arrow_stream_is_refused_or_answered(client, at, byte, cut):
    body = bytearray(arrow(pa.table({"url": urls(40)})))
    body[at % len(body)] = byte
    left = bytes(body[: cut % len(body) or None])
    reply = client.post("/v1/score", content=left, headers={"content-type": ARROW})
    assert reply.status_code in (200, 400)


@settings(max_examples=100, **FUZZ)
@given(st.lists(EVENTS, min_size=1, max_size=6))
def test_every_event_gets_an_answer(client, events):
    reply = client.post("/v1/score", json=events)
    assert reply.status_code == 200
    verdicts = reply.json()["verdicts"]
    assert len(verdicts) == len(events)
    assert all(("label" in v) != ("error" in v) for v in verdicts)


def raw_client(address):
    """A connection that sends and receives what a test says, byte by byte."""
    host, _, port = address.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def read_all(client):
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_slow_clients_are_cut_off_and_hold_nobody_up(url_bundle, tmp_path):
    environment = {
        "BUCKLER_SERVE_MAX_IN_FLIGHT": "2",
        "BUCKLER_SERVE_BODY_TIMEOUT_S": "2",
        "BUCKLER_SERVE_HEADER_TIMEOUT_S": "2",
    }
    head = b"POST /v1/score HTTP/1.1\r\nhost: a\r\n"
    with server(url_bundle, folder=tmp_path, environment=environment) as (address, _, _log):
        with ExitStack() as clients:
            slow = []
            for k in range(300):
                client = clients.enter_context(raw_client(address))
                client.sendall((b"", head, head + b"content-length: 50\r\n\r\n{")[k % 3])
                slow.append(client)
            with httpx.Client(base_url=address, timeout=20) as quick:
                for _ in range(5):
                    assert quick.post("/v1/score", json={"text": "x"}).status_code == 200
            for client in slow:
                assert read_all(client).startswith(b"HTTP/1.1 408 ")
        with raw_client(address) as client:  # the rest of a head never comes, and fills memory
            with suppress(OSError):
                for k in range(100):
                    client.sendall(head if k == 0 else b"x-%d: " % k + b"y" * 5000 + b"\r\n")
            assert b" 431 " in client.recv(1000)


def test_connections_are_counted(url_bundle, tmp_path):
    environment = {"BUCKLER_SERVE_MAX_CONNECTIONS": "20"}
    with (
        server(url_bundle, folder=tmp_path, environment=environment) as (address, _, _log),
        ExitStack() as clients,
    ):
        held = [clients.enter_context(raw_client(address)) for _ in range(21)]
        assert read_all(held[-1]).startswith(b"HTTP/1.1 503 ")
        held[0].close()
        with httpx.Client(base_url=address, timeout=20) as client:
            assert client.post("/v1/score", json={"text": "x"}).status_code == 200


def test_a_slow_body_is_told_to_come_again(url_bundle, tmp_path):
    environment = {"BUCKLER_SERVE_BODY_TIMEOUT_S": "1.5"}
    with server(url_bundle, folder=tmp_path, environment=environment) as (address, _, _log):
        release = threading.Event()

        def slow():
            yield b'{"text": '
            release.wait(5)
            yield b'"http://a.example"}'

        found = []

        def ask():
            with httpx.Client(base_url=address, timeout=20) as client:
                found.append(client.post("/v1/score", content=slow()).status_code)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        with httpx.Client(base_url=address, timeout=20) as client:
            assert client.get("/healthz").status_code == 200
            for thread in threads:
                thread.join()
            assert found == [408, 408]
            assert client.post("/v1/score", json={"text": "x"}).status_code == 200
        release.set()


def test_a_rate_is_kept_and_owed():
    now = [0.0]
    rate = Rate(100, lambda: now[0])
    assert rate.wait_s("a", 150) == 0
    assert rate.wait_s("a", 100) == pytest.approx(0.5)
    assert rate.wait_s("b", 200) == 0
    now[0] = 0.5
    assert rate.wait_s("a", 100) == 0
    now[0] = 10
    assert rate.wait_s("a", 1000) == 0  # more than the bucket holds: let through, and owed
    now[0] = 11
    assert rate.wait_s("a", 100) == pytest.approx(8.0)


def test_only_known_keys_may_ask(url_bundle, tmp_path):
    key, line = new_key("team")
    (tmp_path / "keys").write_text(f"# keys\n{line}\n")
    assert key not in line
    chosen = ServeSettings(
        bundles=[url_bundle], api_keys=tmp_path / "keys", host=ANYWHERE, events_per_second=10
    )
    with TestClient(build_app(chosen)) as client:
        for headers in ({}, {"x-api-key": "wrong"}, {"authorization": f"Basic {key}"}):
            assert client.post("/v1/score", json={"text": "x"}, headers=headers).status_code == 401
        assert client.get("/v1/models").status_code == 401
        assert client.get("/healthz").status_code == 200
        bearer = {"authorization": f"Bearer {key}"}
        assert client.post("/v1/score", json={"text": "x"}, headers=bearer).status_code == 200
        many = {"texts": ["x"] * 100}
        assert client.post("/v1/score", json=many, headers={"x-api-key": key}).status_code == 429
    for text, words in (("", "no key"), ("team", "line 1"), ("a b c", "line 1")):
        (tmp_path / "keys").write_text(text)
        with pytest.raises(SettingsError, match=words):
            Keys(tmp_path / "keys")


def test_it_listens_elsewhere_only_with_keys(url_bundle, tmp_path):
    elsewhere = {"bundles": [url_bundle], "host": ANYWHERE}
    with pytest.raises(SettingsError, match="can be reached from elsewhere"):
        read_layered_settings(ServeSettings, None, elsewhere)
    assert read_layered_settings(ServeSettings, None, {**elsewhere, "anonymous": True})
    (tmp_path / "serve.toml").write_text('bundles = ["x.buckler"]\nport = 1234\nmax_batch = 7\n')
    found = read_layered_settings(ServeSettings, tmp_path / "serve.toml", {"port": 99})
    assert found.bundles == [tmp_path / "x.buckler"]
    assert (found.port, found.max_batch) == (99, 7)
    (tmp_path / "serve.toml").write_text("speed = 3\n")
    with pytest.raises(SettingsError, match="speed"):
        read_layered_settings(ServeSettings, tmp_path / "serve.toml", {"bundles": [url_bundle]})


def test_the_environment_stands_between_file_and_command_line(url_bundle, tmp_path, monkeypatch):
    (tmp_path / "serve.toml").write_text("port = 1\nmax_batch = 2\nreload_s = 3\n")
    monkeypatch.setenv("BUCKLER_SERVE_MAX_BATCH", "22")
    monkeypatch.setenv("BUCKLER_SERVE_RELOAD_S", "33")
    given = {"bundles": [url_bundle], "reload_s": 5}
    found = read_layered_settings(ServeSettings, tmp_path / "serve.toml", given)
    assert (found.port, found.max_batch, found.reload_s) == (1, 22, 5)


# --- reload, shutdown, TLS ------------------------------------------------------------------------


def test_a_changed_file_is_taken_over_and_no_request_is_lost(tmp_path):
    first = made_up_bundle(tmp_path / "live.buckler", 1)
    (tmp_path / "next").mkdir()
    second = made_up_bundle(tmp_path / "next" / "live.buckler", 2)
    environment = {"BUCKLER_SERVE_RELOAD_S": "0.1"}
    stop, seen, failed = threading.Event(), [], []
    with server(tmp_path / "live.buckler", folder=tmp_path, environment=environment) as (
        address, _, log,
    ):  # fmt: skip

        def ask():
            with httpx.Client(base_url=address, timeout=20) as client:
                while not stop.is_set():
                    reply = client.post("/v1/score", json={"texts": ["http://a.example"] * 50})
                    seen.append(reply.headers.get("x-buckler-bundle"))
                    if reply.status_code != 200:
                        failed.append(reply.text)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        (tmp_path / "live.buckler").write_bytes(b"PK damaged")
        time.sleep(0.6)
        assert set(seen) == {first.sha256}
        (tmp_path / "next" / "live.buckler").replace(tmp_path / "live.buckler")
        wait_until(lambda: second.sha256 in seen[-20:])
        with httpx.Client(base_url=address) as client:
            page = client.get("/metrics").text
            (model,) = client.get("/v1/models").json()["models"]
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert set(seen) == {first.sha256, second.sha256}
    assert seen[-1] == second.sha256
    assert 'buckler_reloads_total{bundle="live",result="refused"} 1.0' in page
    assert 'buckler_reloads_total{bundle="live",result="taken"} 1.0' in page
    assert model["reload_failure"] == ""
    assert second.sha256 in page
    assert first.sha256 not in page
    assert "reload failed" in log.read_text()


def test_a_challenger_judges_unseen(url_bundle, tmp_path, url_scorer):
    challenger = made_up_bundle(tmp_path / "challenger.buckler", 3, bits=4)
    texts = urls(400)
    chosen = ServeSettings(bundles=[url_bundle], challengers=[tmp_path / "challenger.buckler"])
    with TestClient(build_app(chosen)) as client:
        alone = client.post("/v1/score", json={"texts": texts})
        assert [v["detected"] for v in alone.json()["verdicts"]] == url_scorer.score(
            texts
        ).detected.tolist()
        body = arrow(pa.table({"url": texts}))
        client.post("/v1/score", content=body, headers={"content-type": ARROW})
        for _ in range(200):
            page = client.get("/metrics").text
            found = dict(re.findall(r'buckler_shadow_total\{.*detected_by="(\w+)"\} (\d+)', page))
            if sum(map(int, found.values())) == 800:
                break
            time.sleep(0.02)
    ours, theirs = (s.score(texts).detected for s in (url_scorer, challenger))
    expected = {
        "both": 2 * int((ours & theirs).sum()),
        "deployed": 2 * int((ours & ~theirs).sum()),
        "challenger": 2 * int((~ours & theirs).sum()),
        "none": 2 * int((~ours & ~theirs).sum()),
    }
    assert {k: int(v) for k, v in found.items()} == {k: v for k, v in expected.items() if v}


def test_a_challenger_must_decide_the_same(url_bundle, tmp_path):
    events, _ = made_up_rows(200, np.random.default_rng(0))
    fitted = fit_student(events, StudentSpec("trees", {"epochs": 2}, folds=2))
    write_fitted(tmp_path / "rows.buckler", fitted)
    chosen = ServeSettings(bundles=[url_bundle], challengers=[tmp_path / "rows.buckler"])
    with pytest.raises(SettingsError, match="no served bundle decides the same"):
        build_app(chosen)


@pytest.mark.parametrize("fault", [ValueError("400 digits"), RecursionError(), MemoryError()])
def test_no_fault_of_a_newer_bundle_ends_reloading(url_bundle, tmp_path, monkeypatch, fault):
    path = tmp_path / "live.buckler"
    path.write_bytes(url_bundle.read_bytes())
    first = bundles.load_bundle(path)

    def fail(*_):
        raise fault

    path.write_bytes(b"PK damaged")
    with monkeypatch.context() as patch:
        patch.setattr(bundles, "load_bundle", fail)
        kept = first.reload()
        assert kept.scorer is first.scorer
        assert type(fault).__name__ in kept.failure
        assert kept.reload() is kept  # each state of the file is tried once
    path.write_bytes(url_bundle.read_bytes())
    assert kept.reload().failure == ""


def test_a_stop_waits_for_no_bundle_that_never_loads(url_bundle, tmp_path, monkeypatch):
    path = tmp_path / "live.buckler"
    path.write_bytes(url_bundle.read_bytes())
    service = build_app(ServeSettings(bundles=[path], reload_s=0.001)).state.service
    begun, stopped, waited = threading.Event(), threading.Event(), []

    def never_end(_):
        begun.set()
        waited.append(not stopped.wait(20))

    monkeypatch.setattr(bundles.LoadedBundle, "reload", never_end)

    async def watch_and_stop():
        watching = asyncio.create_task(service.watch())
        await asyncio.to_thread(begun.wait)
        watching.cancel()

    asyncio.run(watch_and_stop())
    left_behind = waited == []
    stopped.set()
    assert left_behind


def test_told_to_stop_it_finishes_what_it_began(url_bundle, tmp_path):
    with server(url_bundle, folder=tmp_path) as (address, process, _):
        begun, found = threading.Event(), []

        def slow():
            yield b'{"text": '
            begun.set()
            time.sleep(1.5)
            yield b'"http://a.example"}'

        def ask():
            with httpx.Client(base_url=address, timeout=20) as client:
                found.append(client.post("/v1/score", content=slow()).status_code)

        thread = threading.Thread(target=ask)
        thread.start()
        begun.wait(10)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        thread.join()
        assert process.wait(20) == 0
    assert found == [200]


def test_told_to_stop_under_load_it_answers_whoever_could_connect(url_bundle, tmp_path):
    answered, refused = [], []
    with server(url_bundle, folder=tmp_path) as (address, process, _):

        def ask():
            with httpx.Client(base_url=address, timeout=20) as client:
                while not refused:
                    try:
                        reply = client.post("/v1/score", json={"text": "http://a.example"})
                    except httpx.ConnectError:
                        refused.append(1)
                    else:
                        answered.append(reply.status_code)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(answered) < 50:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert process.wait(20) == 0
    assert refused
    assert set(answered) == {200}


def test_tls(url_bundle, tmp_path):
    certificate, key = self_signed(tmp_path)
    environment = {
        "BUCKLER_SERVE_TLS_CERTIFICATE": str(certificate),
        "BUCKLER_SERVE_TLS_KEY": str(key),
    }
    trusted = ssl.create_default_context(cafile=str(certificate))
    with server(url_bundle, folder=tmp_path, environment=environment) as (base, _, _log):
        assert base.startswith("https://")
        with httpx.Client(base_url=base, verify=trusted) as client:
            assert client.post("/v1/score", json={"text": "x"}).status_code == 200


def test_spans_go_where_the_environment_says(url_bundle, tmp_path):
    pytest.importorskip("opentelemetry.sdk", reason="the extra 'otel' is not installed")
    got = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_SERVICE_NAME": "my-buckler",
    }
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with server(url_bundle, folder=tmp_path, environment=environment) as (base, _, _log):
        headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        reply = httpx.post(
            f"{base}/v1/score", json={"text": "http://secret.example"}, headers=headers
        )
        assert reply.status_code == 200
    collector.shutdown()
    collector.server_close()
    assert [path for path, _ in got] == ["/v1/traces"]
    body = got[0][1]
    assert bytes.fromhex(trace) in body
    assert b"POST /v1/score" in body
    assert b"my-buckler" in body
    assert b"secret" not in body


def test_what_cannot_be_served_is_one_clear_line(url_bundle, tmp_path):
    def run(*arguments):
        return subprocess.run(
            [*BUCKLER, "serve", *map(str, arguments)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    (tmp_path / "bad.buckler").write_bytes(b"nope")
    for arguments, words in (
        ((tmp_path / "bad.buckler",), "not a sound bundle"),
        ((url_bundle, url_bundle), "both named url"),
        ((), "bundles"),
        ((url_bundle, "--host", "203.0.113.1", "--api-keys", tmp_path / "none"), "cannot be read"),
    ):
        done = run(*arguments)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    key = run("--new-key", "team")
    assert key.returncode == 0
    assert "team " in key.stdout
