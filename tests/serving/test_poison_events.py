"""Events that break a parser: each has its error, every other event its verdict."""

import gzip
import json
import os
import subprocess
import sys
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.dataset import read_dataset
from buckler.dataset.reading import ColumnNames, UnknownLabels
from buckler.normalize import mime
from buckler.readers import Quarantine
from buckler.runtime import Explanation
from buckler.serving.bundles import load_bundle
from buckler.serving.records import to_records
from buckler.serving.scan import ScanOptions, scan
from buckler.serving.verdict_batch import OutputOptions, score_columns, score_values
from buckler.tasks import get_task
from tests.support.made_up import made_up_mail

BUCKLER = [sys.executable, "-c", "from buckler.cli.main import main; main()"]
FAULT = "cannot be read (TypeError)"


@pytest.fixture
def poison(monkeypatch):
    """A mail that the parser of mails fails on, whatever that parser is."""
    read = mime.parse_message

    def fail(raw):
        if b"POISON" in (raw if isinstance(raw, bytes) else raw.encode()):
            raise TypeError("no parser is without a fault")
        return read(raw)

    monkeypatch.setattr(mime, "parse_message", fail)
    return made_up_mail(1, "POISON")


def write_mails(folder, poison, good=20):
    folder.mkdir()
    for number in range(good):
        (folder / f"m{number:03}.eml").write_bytes(made_up_mail(number))
    (folder / "m007-poison.eml").write_bytes(poison)


def paths_in(file):
    return [json.loads(line)["path"] for line in file.read_text().splitlines()]


def test_a_scan_sets_the_event_aside_and_goes_on(mail_bundle, poison, tmp_path):
    write_mails(tmp_path / "mails", poison)
    options = ScanOptions(challengers=(mail_bundle,))
    done = scan(mail_bundle, [tmp_path / "mails"], tmp_path / "out.jsonl", options)
    assert (done.rows, done.quarantined) == (20, 1)
    assert sum(next(iter(done.challengers.values())).values()) == 20
    entry = json.loads(done.quarantine_file.read_text())
    assert entry["reason"] == FAULT
    assert entry["path"].endswith("m007-poison.eml")
    assert len(set(paths_in(tmp_path / "out.jsonl"))) == 20
    alone = scan(mail_bundle, [tmp_path / "mails" / "m007-poison.eml"], tmp_path / "one.jsonl")
    assert (alone.rows, alone.quarantined) == (0, 1)


def test_values_and_columns_have_an_error_in_the_place_of_the_event(mail_bundle, poison):
    loaded, options = load_bundle(mail_bundle), OutputOptions(with_text=True, format_name="plain")
    texts = [made_up_mail(1), poison, made_up_mail(2)]
    found = score_values([text.decode() for text in texts], loaded, options)
    records = to_records(found, loaded.scorer, options)
    assert records[1] == {"error": FAULT}
    assert all("score" in records[row] for row in (0, 2))
    table = score_columns({"text": pa.array(texts, pa.large_binary())}, loaded, options).to_arrow()
    assert table["error"].to_pylist() == [None, FAULT, None]
    assert [score is None for score in table["score"].to_pylist()] == [False, True, False]


def test_training_data_lose_the_one_event(poison, tmp_path):
    for name in ("ham", "phishing"):
        (tmp_path / name).mkdir()
        for number in range(5):
            (tmp_path / name / f"m{number}.eml").write_bytes(made_up_mail(number))
    (tmp_path / "ham" / "m2-poison.eml").write_bytes(poison)
    quarantine = Quarantine()
    events = read_dataset([tmp_path], get_task("email"), quarantine=quarantine)
    assert sorted(events.label_names) == ["ham"] * 5 + ["phishing"] * 5
    assert quarantine.reasons == {FAULT: 1}


@pytest.mark.parametrize("kind", ["label", "source", "group", "parent_image"])
def test_columns_may_hold_lists(kind, tmp_path):
    rows = {"command_line": ["whoami", "dir"], "label": ["benign", "malicious"]}
    pq.write_table(pa.table({**rows, kind: [["benign", "b"], None]}), tmp_path / "rows.parquet")
    columns = ColumnNames(unknown_labels=UnknownLabels.SET_ASIDE)
    quarantine = Quarantine()
    events = read_dataset(
        [tmp_path / "rows.parquet"], get_task("command-line"), columns, quarantine=quarantine
    )
    assert len(events) == 2 - (kind == "label")
    assert quarantine.count == int(kind == "label")


def test_an_event_that_cannot_be_explained_has_an_error(mail_bundle, monkeypatch):
    loaded, options = load_bundle(mail_bundle), OutputOptions(explain=2)
    found = score_values([made_up_mail(1).decode(), made_up_mail(2).decode()], loaded, options)

    def explain(text, **_):
        if b"a1@" in text:
            raise IndexError
        return Explanation("ham", (), 0.0, "")

    monkeypatch.setattr(loaded.scorer, "explain", explain)
    bad, good = to_records(found, loaded.scorer, options)
    assert bad == {"error": "cannot be read (IndexError)"}
    assert good["why"] == []


def test_a_teacher_in_ray_annotates_the_other_events(poison, tmp_path):
    pytest.importorskip("re2", reason="the extra 'rules' is not installed")
    from buckler.serving.engines.ray import _annotate

    rules = tmp_path / "rules.toml"
    rules.write_text('name = "r"\n[[rule]]\nlabel = "spam"\npattern = "report"\n')
    mails = pa.array([made_up_mail(1), poison, None], pa.binary())
    table = pa.table({"raw": mails})
    found = _annotate(table, get_task("email"), "rules", rules, "raw")
    assert found["buckler_error"].to_pylist() == [None, FAULT, "no text"]
    assert found["buckler_label"].to_pylist() == ["spam", None, None]


def test_a_watched_folder_survives_a_file_that_breaks_its_reader(
    mail_bundle, poison, tmp_path, monkeypatch
):
    pytest.importorskip("orjson", reason="the extra 'stream' is not installed")
    from buckler.readers.mail import MboxReader
    from buckler.serving.stream.folder import watch_folder

    def fail(*_):
        raise AssertionError("no reader is without a fault")

    monkeypatch.setattr(MboxReader, "chunks", fail)
    write_mails(tmp_path / "mails", poison, good=3)
    (tmp_path / "mails" / "a.mbox").write_bytes(b"From a\n\nx\n")
    stop, done = threading.Event(), []

    def on_file(result):
        done.append(result.output.name)
        if len(done) == 4:
            stop.set()

    folder = tmp_path / "mails"
    watch_folder(mail_bundle, folder, tmp_path / "out", stop, interval_s=0.01, on_file=on_file)
    assert "a.mbox.parquet" not in done
    assert "m007-poison.eml.parquet" in done


def test_a_watched_folder_judges_files_of_any_name(mail_bundle, tmp_path):
    pytest.importorskip("orjson", reason="the extra 'stream' is not installed")
    from buckler.serving.stream.folder import watch_folder

    name = os.fsdecode(b"m\xe4rz.eml")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(made_up_mail(1))
    stop, out = threading.Event(), tmp_path / "out"
    timer = threading.Timer(30, stop.set)
    timer.start()
    watch_folder(
        mail_bundle, tmp_path / "in", out, stop, interval_s=0.01, on_file=lambda _: stop.set()
    )
    timer.cancel()
    assert [path.name for path in out.iterdir()] == [f"{name}.parquet"]


def test_names_of_files_may_be_any_bytes(mail_bundle, url_bundle, tmp_path):
    folder = tmp_path / os.fsdecode(b"m\xe4rz")
    folder.mkdir()
    for name in (b"caf\xe9.eml", b"plain.eml"):
        (folder / os.fsdecode(name)).write_bytes(made_up_mail(1))
    for output in (
        b"out.jsonl",
        b"out.parquet",
        b"out.csv",
        b"\xe4.jsonl",
        b"\xe4.parquet",
        b"\xe4.csv",
    ):
        done = scan(mail_bundle, [folder], tmp_path / os.fsdecode(output))
        assert (done.rows, done.quarantined) == (2, 0)
    assert min(paths_in(tmp_path / "out.jsonl")).endswith("m\\xe4rz/caf\\xe9.eml")
    other = tmp_path / os.fsdecode(b"\xff")
    other.mkdir()
    urls = pa.table({"url": ["http://a.example/", "http://b.example/"]})
    pq.write_table(urls, pa.OSFile(os.fsencode(other / "u.parquet"), "w"))
    for name in ("u.csv", "u.tsv", "u.txt", "u.csv.gz"):
        data = b"url\nhttp://a.example/\n"
        (other / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    done = scan(url_bundle, [other], tmp_path / "urls.jsonl")
    assert (done.rows, done.quarantined) == (7, 0)


def test_a_pipe_whose_reader_goes_away_ends_quietly(url_bundle):
    line = b'{"url":"http://a.example/"}\n'
    with subprocess.Popen(
        [*BUCKLER, "stream", "-", "-b", str(url_bundle)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdin.write(line)
        process.stdin.flush()
        assert b"score" in process.stdout.readline()
        process.stdout.close()
        _, errors = process.communicate(line * 3000, timeout=60)
    assert (process.returncode, errors) == (0, b"")
