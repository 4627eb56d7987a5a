"""Which bundle is deployed: promoted only if surely better, kept for ever, rolled back at once."""

import json
import os
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from buckler.bundle.archive import VECTORS, parse_bundle, read_bundle
from buckler.bundle.writer import write_bundle
from buckler.errors import BundleError, InputError, SettingsError
from buckler.operating_point import OperatingPoint
from buckler.runtime import load
from buckler.runtime import scorer as scorer_module
from buckler.serving.bundle_registry import LIVE, BundleRegistry
from buckler.serving.deployment import deploy_candidate
from buckler.serving.engines.tables import TableScorer
from buckler.tasks import Task, get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from buckler.training.promotion import decide
from tests.support.cli import buckler
from tests.support.made_up import made_up_events, made_up_table

TASK = get_task("url-threat")


def bundle(path, seed, n=1200, labels_wrong=0.0, **settings):
    rng = np.random.default_rng(seed)
    events = made_up_events(n, rng)
    wrong = rng.random(n) < labels_wrong
    events.labels[wrong] = 1 - events.labels[wrong]
    fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 12, **settings}, folds=2))
    write_fitted(path, fitted, operating_point=OperatingPoint(fpr=0.01) if n > 400 else None)
    return path


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "poor": bundle(folder / "poor.buckler", 0, labels_wrong=0.5),
        "good": bundle(folder / "good.buckler", 1),
        "same": bundle(folder / "same.buckler", 2),
    }


@pytest.fixture(scope="module")
def test_events():
    return made_up_events(2000, np.random.default_rng(9))


def test_only_what_is_surely_better_is_promoted(bundles, test_events):
    scorers = {name: load(path) for name, path in bundles.items()}
    up = decide(scorers["poor"], scorers["good"], [("frozen", test_events)])
    assert up.promote
    assert "better on frozen" in up.reason
    assert up.compared[0].measure == "detection at FPR 0.01"
    down = decide(scorers["good"], scorers["poor"], [("frozen", test_events)])
    assert not down.promote
    assert "worse on frozen" in down.reason
    level = decide(scorers["good"], scorers["same"], [("frozen", test_events)])
    assert not level.promote
    assert "no sure gain" in level.reason


def test_worse_on_one_set_outweighs_better_on_another(bundles, test_events):
    """Labels turned round make the poor bundle look better there."""
    turned = made_up_events(2000, np.random.default_rng(10))
    turned.labels[:] = 1 - turned.labels
    good, poor = load(bundles["good"]), load(bundles["poor"])
    tests = [("frozen", test_events), ("turned", turned)]
    found = decide(poor, good, tests)
    assert [pair.better for pair in found.compared] == [True, False]
    assert found.compared[1].worse
    assert not found.promote


def test_a_threshold_that_lets_too_many_false_positives_through_is_refused(
    bundles, test_events, tmp_path
):
    """It ranks no worse, and would raise false positives on half of the benign events."""
    champion = load(bundles["poor"])
    bundle = read_bundle(bundles["good"])
    manifest = replace(bundle.manifest, threshold=1e-9, operating_point=OperatingPoint(fpr=0.01))
    loose = tmp_path / "loose.buckler"
    write_bundle(loose, manifest, {**bundle.weights, VECTORS: bundle.entries[VECTORS]})
    strict = decide(champion, load(bundles["good"]), [("frozen", test_events)])
    assert strict.promote
    assert not strict.compared[0].false_positives.too_many
    found = decide(champion, load(loose), [("frozen", test_events)])
    assert found.compared[0].gain.low > 0
    assert not found.promote
    assert "at its own threshold" in found.reason and "the target is 0.01" in found.reason


def test_what_cannot_be_compared_is_said(bundles, test_events, tmp_path):
    good = load(bundles["good"])
    with pytest.raises(InputError, match="needs labeled events"):
        decide(good, good, [])
    unlabeled = made_up_events(50, np.random.default_rng(0))
    unlabeled.labels[:] = -1
    with pytest.raises(InputError, match="no event has a label"):
        decide(good, good, [("x", unlabeled)])
    other = Task("other", {"benign": "", "phishing": ""}, ("phishing",), "url-v1", 512)
    events = made_up_events(300, np.random.default_rng(0), other)
    write_fitted(tmp_path / "o.buckler", fit_student(events, StudentSpec("ngram", {}, folds=2)))
    with pytest.raises(SettingsError, match="differ in their task"):
        decide(good, load(tmp_path / "o.buckler"), [("x", test_events)])


def test_promoted_refused_and_rolled_back(bundles, tmp_path):
    registry = BundleRegistry(tmp_path, "url")
    assert registry.find_deployed() is None
    assert registry.history() == []
    first = registry.promote(read_bundle(bundles["poor"]), "the first")
    second = registry.promote(read_bundle(bundles["good"]), "better")
    registry.refuse(read_bundle(bundles["same"]), "no gain")
    assert load(registry.live).sha256 == second.sha256
    back = registry.roll_back("it detects everything")
    assert back.sha256 == first.sha256
    assert load(registry.live).sha256 == first.sha256
    assert registry.roll_back("it was not that").sha256 == second.sha256
    assert [e.action for e in registry.history()] == [
        "promote", "promote", "refuse", "roll back", "roll back",
    ]  # fmt: skip
    kept = {load(p).sha256 for p in (tmp_path / "url").glob("*.buckler") if p.name != LIVE}
    assert kept == {load(p).sha256 for p in bundles.values()}
    only = BundleRegistry(tmp_path, "alone")
    only.promote(read_bundle(bundles["good"]), "the first")
    with pytest.raises(InputError, match="no bundle was deployed before"):
        only.roll_back("x")


def test_damage_is_noticed(bundles, tmp_path):
    registry = BundleRegistry(tmp_path, "url")
    (tmp_path / "bad.buckler").write_bytes(b"nope")
    with pytest.raises(BundleError):
        deploy_candidate(registry, tmp_path / "bad.buckler")
    assert registry.find_deployed() is None
    entry = registry.promote(read_bundle(bundles["good"]), "x")
    kept = tmp_path / "url" / f"{entry.sha256[:32]}.buckler"
    kept.write_bytes(bundles["poor"].read_bytes())
    with pytest.raises(BundleError, match="not the bundle of the history"):
        registry.fetch(tmp_path / "out.buckler")
    registry.promote(read_bundle(bundles["good"]), "again, whole")
    assert registry.fetch(tmp_path / "out.buckler") == entry.sha256
    (tmp_path / "url" / "history" / "00000002.json").write_text("{broken\n")
    with pytest.raises(InputError, match="damaged history"):
        registry.history()
    for name in ("../up", "", "a/b", ".hidden"):
        with pytest.raises(SettingsError, match="no name for a bundle"):
            BundleRegistry(tmp_path, name)


def test_a_file_that_changes_while_it_is_checked_is_not_deployed(bundles, tmp_path, monkeypatch):
    candidate = tmp_path / "candidate.buckler"
    candidate.write_bytes(bundles["good"].read_bytes())
    opened = []
    whole = scorer_module.read_bundle

    def read_and_swap(path):
        found = whole(path)
        opened.append(path)
        candidate.write_bytes(bundles["poor"].read_bytes())
        return found

    monkeypatch.setattr(scorer_module, "read_bundle", read_and_swap)
    deployed = deploy_candidate(BundleRegistry(tmp_path / "registry", "url"), candidate)
    assert opened == [candidate]
    assert deployed.entry.sha256 == read_bundle(bundles["good"]).sha256
    candidate.write_bytes(bundles["good"].read_bytes())
    table = TableScorer(candidate)
    assert parse_bundle(table._data).sha256 == table.scorer.sha256
    assert opened == [candidate, candidate]


def test_many_at_once_lose_no_line(bundles, tmp_path):
    contents = [read_bundle(path) for path in bundles.values()]

    def work(k):
        for _ in range(5):
            BundleRegistry(tmp_path, "url").promote(contents[k % 3], f"from {k}")

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    registry = BundleRegistry(tmp_path, "url")
    history = registry.history()
    assert len(history) == 30
    assert load(registry.live).sha256 == history[-1].sha256


@contextmanager
def object_store(monkeypatch):
    """An S3-compatible server on loopback, and where the clients look for it."""
    moto_server = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    import boto3

    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="models")
        yield "s3://models/registry"
    finally:
        server.stop()


def test_a_registry_in_an_object_store(bundles, monkeypatch, tmp_path):
    with object_store(monkeypatch) as root:
        registry = BundleRegistry(root, "url")
        assert registry.find_deployed() is None
        with pytest.raises(InputError, match="nothing is deployed"), registry.open_deployed():
            pass
        first = registry.promote(read_bundle(bundles["poor"]), "the first")
        second = registry.promote(read_bundle(bundles["good"]), "better")
        registry.refuse(read_bundle(bundles["same"]), "no gain")
        with registry.open_deployed() as path:
            assert load(path).sha256 == second.sha256
        good = read_bundle(bundles["good"])
        threads = [
            threading.Thread(
                target=lambda k=k: BundleRegistry(root, "url").promote(good, f"from {k}")
            )
            for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        history = BundleRegistry(root, "url").history()
        assert [e.action for e in history[:3]] == ["promote", "promote", "refuse"]
        assert sorted(e.reason for e in history[3:]) == [f"from {k}" for k in range(4)]
        assert BundleRegistry(root, "url").roll_back("enough").sha256 == first.sha256
        target = tmp_path / "live.buckler"
        known = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
        fetched = buckler("registry", "fetch", "url", "-r", root, "-o", target, env=known)
        assert fetched.returncode == 0, fetched.stderr
        assert load(tmp_path / "live.buckler").sha256 == first.sha256
    with pytest.raises(InputError, match="cannot be read"):
        BundleRegistry(root, "url").history()
    with pytest.raises(InputError):
        BundleRegistry("nonsense://x/y", "url")


def test_from_the_command_line(bundles, tmp_path):
    pq.write_table(made_up_table(2000, np.random.default_rng(9)), tmp_path / "frozen.parquet")
    common = ["registry", "promote", "url"]
    rest = [tmp_path / "frozen.parquet", "-r", tmp_path / "registry"]
    first = buckler(*common, bundles["poor"], *rest)
    assert first.returncode == 0, first.stderr
    better = buckler(*common, bundles["good"], *rest)
    assert better.returncode == 0, better.stderr
    assert "promote: better on frozen.parquet" in better.stdout
    worse = buckler(*common, bundles["poor"], *rest)
    assert worse.returncode == 1
    assert "refuse: worse on frozen.parquet" in worse.stdout
    assert buckler(*common, bundles["same"], "-r", tmp_path / "registry").returncode == 2
    forced = buckler(*common, bundles["poor"], *rest, "--force", "an experiment")
    assert forced.returncode == 0
    back = buckler(
        "registry", "roll-back", "url", "-r", tmp_path / "registry", "--reason", "enough"
    )
    assert back.returncode == 0, back.stderr
    told = buckler("registry", "history", "url", "-r", tmp_path / "registry")
    assert told.stdout.count("promote") == 3
    lines = sorted((tmp_path / "registry" / "url" / "history").iterdir())
    assert json.loads(lines[-1].read_text())["reason"] == "enough"
    fetched = buckler(
        "registry", "fetch", "url", "-r", tmp_path / "registry", "-o", tmp_path / "live.buckler"
    )
    assert fetched.returncode == 0, fetched.stderr
    assert load(tmp_path / "live.buckler").sha256 == json.loads(lines[-1].read_text())["sha256"]
