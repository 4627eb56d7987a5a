"""Records for a SIEM name the event's own time, host, user and process, and fit the schemas."""

import csv
import json
import sys
from functools import cache
from subprocess import run

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.dataset import Dataset
from buckler.errors import BucklerError, InputError, OutputError
from buckler.readers.event_fields import EventFields
from buckler.serving.bundles import load_bundle
from buckler.serving.records import to_records
from buckler.serving.scan import ScanOptions, scan
from buckler.serving.verdict_batch import OutputOptions, score_values
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.made_evtx import sysmon, write_evtx

TIME, TIME_MS = "2026-01-05T10:00:00.123Z", 1_767_607_200_123
SYSMON = {
    "@timestamp": TIME,
    "event": {"code": "1"},
    "host": {"name": "pc7"},
    "winlog": {
        "record_id": 4711,
        "computer_name": "pc7.example.org",
        "event_data": {
            "CommandLine": "powershell -enc AAAA",
            "Image": r"C:\Windows\System32\powershell.exe",
            "ProcessId": "0x1a",
            "ParentProcessId": "12",
            "ParentImage": r"C:\Office\winword.exe",
            "ParentCommandLine": "winword mail.doc",
            "User": r"CORP\alice",
            "ProcessGuid": "{1-2}",
        },
    },
}
EVE = {
    "timestamp": "2026-01-05T10:00:00.123000+0000",
    "event_type": "http",
    "flow_id": 99,
    "community_id": "1:x=",
    "src_ip": "10.0.0.5",
    "src_port": 4000,
    "dest_ip": "203.0.113.7",
    "dest_port": 80,
    "http": {"hostname": "verify-river7.example", "url": "/login.php?u=7"},
}
ZEEK = {
    "ts": 1767607200.123,
    "uid": "C1",
    "id.orig_h": "10.0.0.5",
    "id.orig_p": 4000,
    "id.resp_h": "203.0.113.7",
    "id.resp_p": 80,
    "host": "verify-river7.example",
    "uri": "/login.php?u=7",
}


@pytest.fixture(scope="module")
def command_bundle(tmp_path_factory):
    texts = [f"whoami {n}" for n in range(60)] + [f"powershell -enc AAAA{n}" for n in range(60)]
    labels = np.repeat(np.arange(2, dtype=np.int32), 60)
    events = Dataset.from_texts(texts, get_task("command-line")).with_labels(labels)
    path = tmp_path_factory.mktemp("bundle") / "command.buckler"
    write_fitted(path, fit_student(events, StudentSpec("ngram", {"table_bits": 10}, folds=2)))
    return path


def record_of(bundle, event, format_name, **options):
    loaded = load_bundle(bundle)
    chosen = OutputOptions(format_name=format_name, **options)
    (record,) = to_records(score_values([event], loaded, chosen), loaded.scorer, chosen)
    assert "error" not in record, record
    return record


# --- the event's own fields -----------------------------------------------------------------------


def test_ecs_names_time_host_user_and_process(command_bundle):
    record = record_of(command_bundle, SYSMON, "ecs", with_text=True)
    assert record["@timestamp"] == TIME
    assert record["host"] == {"name": "pc7"}
    assert record["user"] == {"name": "alice", "domain": "CORP"}
    assert record["event"]["code"] == "1"
    assert record["buckler"]["record_id"] == "4711"
    assert record["process"] == {
        "executable": r"C:\Windows\System32\powershell.exe",
        "name": "powershell.exe",
        "pid": 26,
        "entity_id": "{1-2}",
        "command_line": "powershell -enc AAAA",
        "parent": {
            "executable": r"C:\Office\winword.exe",
            "name": "winword.exe",
            "pid": 12,
            "command_line": "winword mail.doc",
        },
    }
    assert "\x1f" not in json.dumps(record)
    without = record_of(command_bundle, SYSMON, "ecs")
    assert "AAAA" not in json.dumps(without)
    assert without["process"]["pid"] == 26


def test_ocsf_names_them_too(command_bundle):
    record = record_of(command_bundle, SYSMON, "ocsf", with_text=True)
    assert record["time"] == record["finding_info"]["first_seen_time"] == TIME_MS
    assert record["finding_info"]["related_events"] == [{"uid": "4711"}]
    assert record["device"]["hostname"] == "pc7"
    (evidence,) = record["evidences"]
    assert evidence["process"]["cmd_line"] == "powershell -enc AAAA"
    assert evidence["process"]["parent_process"]["cmd_line"] == "winword mail.doc"
    assert evidence["process"]["user"] == {"name": "alice", "domain": "CORP"}


@pytest.mark.parametrize("event", [EVE, ZEEK], ids=["suricata", "zeek"])
def test_a_web_request_has_its_flow_and_its_whole_url(url_bundle, event):
    record = record_of(url_bundle, event, "ecs", with_text=True)
    assert record["url"]["full"] == "http://verify-river7.example/login.php?u=7"
    assert record["url"]["domain"] == "verify-river7.example"
    assert record["source"] == {"address": "10.0.0.5", "ip": "10.0.0.5", "port": 4000}
    assert record["destination"]["port"] == 80
    assert record["buckler"]["flow_id"] in ("99", "C1")
    assert record["@timestamp"] == TIME
    assert "host" not in record


@pytest.mark.parametrize(
    "event",
    [
        {"event_type": "dns", "dns": {"type": "query", "rrname": "verify-river7.example"}},
        {"event_type": "tls", "tls": {"sni": "verify-river7.example"}},
        {"uid": "C1", "query": "verify-river7.example", "qtype_name": "A"},
        {"uid": "C1", "server_name": "verify-river7.example", "version": "TLSv12"},
    ],
)
def test_names_in_dns_and_tls_are_judged(url_bundle, event):
    assert record_of(url_bundle, event, "ecs", with_text=True)["url"]["full"] == (
        "verify-river7.example"
    )


def test_what_is_no_address_number_or_time_is_left_out():
    values = {"source_ip": "10.0.0", "source_port": "70000", "pid": "0xzz", "ts": "never"}
    assert EventFields.from_texts(values) == EventFields()
    assert len(EventFields.from_texts({"host": "a" * 9999}).host) == 1024


def test_the_same_event_has_the_same_identifier(command_bundle):
    first, again = (record_of(command_bundle, SYSMON, "ecs") for _ in range(2))
    other = record_of(command_bundle, {**SYSMON, "host": {"name": "pc8"}}, "ecs")
    assert first["event"]["id"] == again["event"]["id"] != other["event"]["id"]


# --- kept fields ----------------------------------------------------------------------------------


def test_kept_fields_have_their_own_types(command_bundle):
    names = ("winlog.record_id", "event", "nothing")
    for format_name in (None, "plain", "alert"):
        fields = record_of(command_bundle, SYSMON, format_name, keep=names)["fields"]
        assert fields["winlog.record_id"] == 4711
        assert fields["event"] == {"code": "1"}
    assert record_of(command_bundle, SYSMON, "ecs", keep=names)["buckler"]["fields"]["event"]
    assert record_of(command_bundle, SYSMON, None, keep_all=True)["fields"] == SYSMON


def test_a_deep_or_damaged_field_costs_no_verdict(command_bundle):
    deep = json.loads("[" * 900 + "]" * 900)
    event = {"CommandLine": "whoami", "x": deep, "y": "\ud800"}
    record = record_of(command_bundle, event, None, keep_all=True, keep=("y",))
    assert "label" in record


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_scan_keeps_columns(url_bundle, tmp_path, suffix):
    rows = [{"url": f"http://a{n}.example/", "id": n, "label": "x"} for n in range(5)]
    path = tmp_path / f"in.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        path.write_text("url,id,label\n" + "".join(f"{r['url']},{r['id']},x\n" for r in rows))
    output = tmp_path / "out.parquet"
    scan(url_bundle, [path], output, ScanOptions(keep=("id", "label"), keep_all=True))
    found = pq.read_table(output)
    assert found["id"].to_pylist() == ["0", "1", "2", "3", "4"]
    assert set(found["event.label"].to_pylist()) == {"x"}
    assert json.loads(found["event"][3].as_py())["url"] == "http://a3.example/"


def test_a_column_to_keep_must_be_there(url_bundle, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("url,id\nhttp://a.example/,1\n")
    with pytest.raises(InputError, match=r"no column named di to keep .*url, id"):
        scan(url_bundle, [path], tmp_path / "o.csv", ScanOptions(keep=("di",)))


def test_event_logs_reach_a_siem(command_bundle, tmp_path):
    pytest.importorskip("evtx")
    path = write_evtx(tmp_path / "a.evtx", [sysmon("powershell -enc AAAA1"), sysmon("whoami 1")])
    output = tmp_path / "out.jsonl"
    options = ScanOptions(
        verdict_format="ecs", index="siem", only_detections=True, keep=("EventID",)
    )
    result = scan(command_bundle, [path], output, options)
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert (result.rows, result.detections, len(lines)) == (2, 1, 2)
    action, record = lines
    assert action["create"] == {"_index": "siem", "_id": record["event"]["id"]}
    assert record["process"]["command_line"] == "powershell -enc AAAA1"
    assert record["host"]["name"]
    assert not record["@timestamp"].startswith("2026-11")
    assert record["event"]["reference"] == f"{path}:1"
    assert record["buckler"]["fields"]["EventID"] in (1, "1")


def test_records_are_json_lines_and_have_no_challengers(url_bundle, tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("http://a.example/\n")
    with pytest.raises(OutputError, match="JSON lines"):
        scan(url_bundle, [path], tmp_path / "o.csv", ScanOptions(verdict_format="ecs"))
    options = ScanOptions(verdict_format="ecs", challengers=(url_bundle,))
    with pytest.raises(BucklerError, match="no place for challengers"):
        scan(url_bundle, [path], tmp_path / "o.jsonl", options)
    with pytest.raises(BucklerError, match="verdict format"):
        scan(url_bundle, [path], tmp_path / "o.jsonl", ScanOptions(verdict_format="xml"))


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_pieces_are_values_in_json_lines_and_json_text_elsewhere(url_bundle, tmp_path, suffix):
    path, out = tmp_path / "in.txt", tmp_path / f"out.{suffix}"
    path.write_text("http://login.example/verify\n")
    scan(url_bundle, [path], out, ScanOptions(explain=2))
    if suffix == "jsonl":
        why = json.loads(out.read_text())["why"]
    else:
        (row,) = csv.DictReader(out.read_text().splitlines())
        why = json.loads(row["why"])
    assert [type(piece["weight"]) for piece in why] == [float, float]


def test_the_command_line_keeps_and_explains(url_bundle):
    command = [sys.executable, "-m", "buckler.cli.main", "stream", "-", "-b", str(url_bundle)]
    command += ["--keep", "flow_id,src_ip", "--explain", "2", "--text"]
    done = run(command, input=json.dumps(EVE).encode(), capture_output=True, check=True)
    record = json.loads(done.stdout)
    assert record["fields"] == {"flow_id": 99, "src_ip": "10.0.0.5"}
    assert record["why"]


# --- the published schemas ------------------------------------------------------------------------


@cache
def ocsf_validator():
    """The Detection Finding of OCSF 1.5.0, closed: an unknown attribute is an error."""
    module = pytest.importorskip("ocsf_json_schema")
    from jsonschema import Draft202012Validator

    schema = module.OcsfJsonSchemaEmbedded(module.get_ocsf_schema("1.5.0"))
    found = schema.get_class_schema("detection_finding", ["host"])
    for each in (found, *found["$defs"].values()):
        if each["title"] not in ("Object", "Unmapped"):
            each["additionalProperties"] = False
    return Draft202012Validator(found)


# Of ECS 8.17, https://www.elastic.co/guide/en/ecs/8.17/ecs-field-reference.html
ECS = {
    "keyword": """
        ecs.version event.kind event.category event.type event.module event.dataset event.id
        event.code event.reason event.reference event.original host.name user.name user.domain
        process.executable process.name process.entity_id process.parent.executable
        process.parent.name network.community_id related.hosts related.user rule.name rule.uuid
        rule.category source.address destination.address threat.framework threat.technique.id
        url.domain url.full process.command_line process.parent.command_line message
    """,
    "long": "event.severity process.pid process.parent.pid source.port destination.port",
    "float": "event.risk_score",
    "date": "@timestamp event.created",
    "ip": "source.ip destination.ip related.ip",
}
TYPE_OF = {name: kind for kind, names in ECS.items() for name in names.split()}
PYTHON = {"long": int, "float": (int, float)}


def check_ecs(record, prefix=""):
    for name, value in record.items():
        if not prefix and name == "buckler":  # a field set of our own
            continue
        if isinstance(value, dict):
            check_ecs(value, f"{prefix}{name}.")
            continue
        kind = TYPE_OF[prefix + name]
        for each in value if isinstance(value, list) else [value]:
            assert isinstance(each, PYTHON.get(kind, str)), (prefix + name, each)


@pytest.mark.parametrize("with_text", [True, False])
@pytest.mark.parametrize("event", [SYSMON, EVE, ZEEK, "whoami"])
def test_records_fit_the_published_schemas(command_bundle, url_bundle, event, with_text):
    bundle = command_bundle if event in (SYSMON, "whoami") else url_bundle
    options = {"with_text": with_text, "explain": 2, "keep_all": True}
    check_ecs(record_of(bundle, event, "ecs", **options))
    found = ocsf_validator().iter_errors(record_of(bundle, event, "ocsf", **options))
    assert [f"{error.json_path}: {error.message[:200]}" for error in found] == []
