"""Zeek's logs as Zeek writes them, Suricata's records, and texts without a host."""

import gzip
import io
import json
import os
import threading

import pytest

from buckler.dataset import read_dataset
from buckler.errors import InputError
from buckler.readers import Quarantine, get_reader, read_batches
from buckler.readers.zeek import ZeekLines
from buckler.serving.bundles import columns_of_bundle, load_bundle
from buckler.serving.event_values import read_values
from buckler.serving.stream.pipe import LineOptions, score_lines
from buckler.serving.verdict_batch import OutputOptions
from buckler.tasks import get_task
from tests.support.cli import buckler

URLS = get_task("url-threat")
HTTP = "\t".join(["ts", "uid", "id.orig_h", "id.resp_h", "method", "host", "uri", "tags"])


def header(fields=HTTP):
    lines = [r"#separator \x09", "#set_separator\t,", "#empty_field\t(empty)"]
    lines += ["#unset_field\t-", "#path\thttp", "#open\t2026-11-01-00-00-00", f"#fields\t{fields}"]
    return "\n".join([*lines, "#types\ttime\tstring\taddr\taddr\tstring\tstring\tstring\tset"])


def row(host, uri, number=1):
    return (
        f"1793491200.{number}\tC{number}\t10.0.0.{number}\t192.0.2.1\tGET\t{host}\t{uri}\t(empty)"
    )


ROWS = [row("bank.example", "/login", 1), row("-", "http://x.example/a", 2), row("-", "/alone", 3)]
WHOLE = ["http://bank.example/login", "http://x.example/a"]


def write(path, text):
    data = text.encode("utf-8", "surrogateescape")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path, **options):
    quarantine = Quarantine()
    return read_dataset([path], URLS, quarantine=quarantine, **options), quarantine


@pytest.mark.parametrize("name", ["http.log", "http.00:00:00-01:00:00.log.gz"])
def test_a_log_in_tabs_is_read_as_it_is(tmp_path, name):
    text = "\n".join([header(), *ROWS, "too\tfew", "#close\t2026-11-01-01-00-00"]) + "\n"
    events, quarantine = read(write(tmp_path / name, text))
    assert [text.decode() for text in events.raw_texts] == WHOLE
    assert events.table["ts"].to_pylist() == [1793491200] * 2
    assert quarantine.count == 2 and "without its host" in quarantine.summary()


def test_names_are_those_of_the_header_and_values_lose_their_escapes():
    log = ZeekLines()
    assert not log.take_header(b"# a comment of another log") and log.parse(b"x") is None
    assert log.take_header(rb"#separator \x7c") and log.take_header(b"#fields|host|uri")
    assert log.parse(rb"a.example|/\x7c\xff") == {"host": "a.example", "uri": "/|\udcff"}
    assert log.parse(b"-|(empty)") == {"host": None, "uri": ""}
    assert log.parse(b"one") is None
    assert log.take_header(b"#unset_field|~") and log.parse(b"~|-") == {"host": None, "uri": "-"}


def test_names_of_dns_and_tls_logs_are_judged(tmp_path):
    dns = write(tmp_path / "dns.log", "#fields\tts\tquery\tqtype_name\n1\tevil.example\tA\n")
    ssl = write(tmp_path / "ssl.log", "#fields\tts\tserver_name\n1\tbank.example\n1\t-\n")
    assert read(dns)[0].raw_texts == [b"evil.example"]
    events, quarantine = read(ssl)
    assert events.raw_texts == [b"bank.example"] and quarantine.count == 1
    with pytest.raises(InputError, match="no column named"):
        read(write(tmp_path / "conn.log", "#fields\tts\tid.orig_h\n1\t10.0.0.1\n"))


def test_reading_resumes_behind_any_block(tmp_path, monkeypatch, url_scorer):
    monkeypatch.setattr("buckler.readers.lines.BLOCK_BYTES", 200)
    other = "#fields\thost\turi\nlast.example\t/x\n" + "last.example\t/y\n" * 20
    rows = [row("bank.example", f"/{n}", n) for n in range(20)]
    path = write(tmp_path / "http.log", "\n".join([header(), *rows]) + "\n" + other)
    reader, spec = get_reader(path), columns_of_bundle(url_scorer)
    whole = list(reader.chunks(path, spec, Quarantine()))
    texts = [text for chunk in whole for text in chunk.events.to_pylist()]
    assert len(texts) == 41 and texts[-1] == b"http://last.example/y"
    for at in range(0, len(whole), 3):
        rest = list(reader.chunks(path, spec, Quarantine(), whole[at].cursor))
        found = [text for chunk in rest for text in chunk.events.to_pylist()]
        assert found == texts[len(texts) - len(found) :]
        assert len(found) == sum(len(chunk.events) for chunk in whole[at + 1 :])


def test_fields_are_kept_and_name_the_event(tmp_path, url_scorer):
    path = write(tmp_path / "http.log", "\n".join([header(), *ROWS[:1]]) + "\n")
    spec = OutputOptions(format_name="ecs", keep=("uid",)).columns_to_read(
        columns_of_bundle(url_scorer)
    )
    (batch,) = read_batches([path], spec, Quarantine())
    columns = {name: column.to_pylist() for name, column in batch.chunk.columns.items()}
    assert columns["kept:uid"] == ['"C1"'] and columns["source_ip"] == ["10.0.0.1"]
    assert columns["domain"] == ["bank.example"] and columns["flow_id"] == ["C1"]


def test_json_logs_are_json_and_other_logs_are_lines(tmp_path):
    record = {"host": "bank.example", "uri": "/login"}
    path = write(tmp_path / "http.log", json.dumps(record) + "\n")
    assert read(path)[0].raw_texts == [b"http://bank.example/login"]
    plain = write(tmp_path / "urls.log", "{a.example\nb.example\n")
    assert read(plain)[0].raw_texts == [b"{a.example", b"b.example"]
    assert get_reader(tmp_path / "missing.log").name == "lines"


def test_a_pipe_of_a_log_is_judged_by_its_header(url_bundle):
    def score(lines):
        end, start = os.pipe()
        os.write(start, ("\n".join(lines) + "\n").encode())
        os.close(start)
        out = io.BytesIO()
        options = LineOptions(OutputOptions(with_text=True, format_name="plain"), pass_over=True)
        with os.fdopen(end, "rb") as source:
            counts = score_lines(load_bundle(url_bundle), source, out, options, threading.Event())
        return counts, [json.loads(line) for line in out.getvalue().splitlines()]

    counts, answers = score([*header().split("\n"), *ROWS, "#close\tnow", header(), ROWS[0]])
    assert [answer.get("text") for answer in answers] == [*WHOLE, None, WHOLE[0]]
    assert (counts.lines, counts.errors, counts.passed_over) == (21, 1, 17)
    plain = score(WHOLE)[1]
    assert [a["score"] for a in answers[:2]] == [a["score"] for a in plain]


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"dns": {"type": "query", "rrname": "a.example"}}, "a.example"),
        ({"dns": {"version": 3, "queries": [{"rrname": "a.example"}]}}, "a.example"),
        ({"event_type": "alert", "dns": {"query": [{"rrname": "a.example"}]}}, "a.example"),
        ({"event_type": "tls", "tls": {"sni": "a.example", "version": "TLS 1.3"}}, "a.example"),
        ({"event_type": "quic", "quic": {"sni": "a.example"}}, "a.example"),
        ({"http": {"hostname": "a.example", "url": "/x"}}, "http://a.example/x"),
        ({"http": {"hostname": "a.example", "url": "http://b.example/x"}}, "http://b.example/x"),
        ({"id.orig_h": "10.0.0.1", "host": "a.example", "uri": "/x"}, "http://a.example/x"),
        ({"id.orig_h": "10.0.0.1", "query": "a.example"}, "a.example"),
        ({"server_name": "a.example", "next_protocol": "h2"}, "a.example"),
    ],
)
def test_records_of_suricata_and_zeek_name_what_was_asked_for(record, text, url_scorer):
    chunk, errors = read_values([record], columns_of_bundle(url_scorer))
    assert not errors and chunk.events.to_pylist() == [text.encode()]


def test_texts_without_a_host_warn_once(tmp_path, caplog):
    lines = [f"/page/{n}" for n in range(20)]
    read(write(tmp_path / "paths.txt", "\n".join(lines)))
    assert caplog.text.count("most texts have no host") == 1
    caplog.clear()
    whole = [f"//a.example/{n}\nhttp://b.example/\n[::1]/x\n10.0.0.1" for n in range(5)]
    read(write(tmp_path / "urls.txt", "\n".join([*whole, "localhost", "/alone"])))
    commands = write(tmp_path / "commands.txt", "ls\n/bin/id\n")
    read_dataset([commands], get_task("command-line"), quarantine=Quarantine())
    assert "no host" not in caplog.text


def test_lines_of_a_log_that_are_no_urls_warn_once(tmp_path, caplog):
    line = '192.0.2.{} - - [05/Jan/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 5'
    read(write(tmp_path / "access.log", "\n".join(line.format(n) for n in range(20))))
    assert caplog.text.count("are lines of words") == 1
    caplog.clear()
    urls = [f"http://a.example/{n} b c\n  b.example/{n} " for n in range(20)]
    read(write(tmp_path / "urls.txt", "\n".join(urls)))
    assert not caplog.text


def test_a_path_alone_is_said_by_score(url_bundle):
    assert "a path without its host" in buckler("score", url_bundle, "/login").stderr
    assert "without its host" not in buckler("score", url_bundle, "http://a.example/").stderr
