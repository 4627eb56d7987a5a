"""Logs of many kinds: only events of the task are judged, whatever tool wrote them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.dataset import ColumnNames, read_dataset
from buckler.errors import InputError
from buckler.readers import ColumnSpec, Quarantine, read_batches
from buckler.serving.bundles import columns_of_bundle
from buckler.serving.event_values import read_values
from buckler.tasks import get_task

COMMANDS, URLS = get_task("command-line"), get_task("url-threat")


def read(tmp_path, rows, task=COMMANDS, **options):
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    quarantine = Quarantine()
    return read_dataset([path], task, quarantine=quarantine, **options), quarantine


def texts(events):
    return [text.decode() for text in events.raw_texts]


WANTED = ["id -u", "sh -c x", "/bin/id", "anna"]


@pytest.mark.parametrize(
    "event",
    [
        {
            "data": {
                "win": {
                    "eventdata": {
                        "commandLine": "id -u",
                        "parentCommandLine": "sh -c x",
                        "image": "/bin/id",
                        "user": "anna",
                    },
                    "system": {"computer": "pc"},
                }
            }
        },
        {
            "ProcessCommandLine": "id -u",
            "InitiatingProcessCommandLine": "sh -c x",
            "FolderPath": "/bin/id",
            "AccountName": "anna",
            "DeviceName": "pc",
        },
        {
            "properties": {
                "ProcessCommandLine": "id -u",
                "InitiatingProcessCommandLine": "sh -c x",
                "FolderPath": "/bin/id",
                "AccountName": "anna",
                "DeviceName": "pc",
            }
        },
        {
            "NODE": "pc",
            "SYSCALL": {"exe": "/bin/id", "UID": "anna"},
            "EXECVE": {"ARGV": ["id", "-u"]},
            "PARENT_INFO": {"ARGV": ["sh", "-c", "x"]},
        },
        {
            "process": {
                "args": ["id", "-u"],
                "executable": "/bin/id",
                "parent": {"args": ["sh", "-c", "x"]},
            },
            "user": {"name": "anna"},
            "host": {"name": "pc"},
        },
        {
            "hostname": "pc",
            "rule": "Run",
            "output_fields": {
                "proc.cmdline": "id -u",
                "proc.pcmdline": "sh -c x",
                "proc.exepath": "/bin/id",
                "user.name": "anna",
            },
        },
        {
            "Event": {
                "System": {"Computer": "pc"},
                "EventData": {
                    "Data": [
                        {"@Name": "CommandLine", "#text": "id -u"},
                        {"@Name": "ParentCommandLine", "#text": "sh -c x"},
                        {"@Name": "Image", "#text": "/bin/id"},
                        {"@Name": "User", "#text": "anna"},
                    ]
                },
            }
        },
        {
            "EventID": 4688,
            "CommandLine": "id -u",
            "ParentCommandLine": "",
            "ParentProcessName": "sh -c x",
            "NewProcessName": "/bin/id",
            "SubjectUserName": "anna",
            "Computer": "pc",
        },
    ],
    ids=["wazuh", "defender", "defender-stream", "laurel", "auditbeat", "falco", "xml", "4688"],
)
def test_a_process_has_its_fields_in_the_log_of_every_tool(tmp_path, event):
    events, _ = read(tmp_path, [event])
    assert texts(events) == ["\x1f".join(WANTED)]
    assert events.groups.tolist() == ["pc"]


def test_osquery_names_path_and_user_but_no_parent(tmp_path):
    row = {
        "hostIdentifier": "pc",
        "unixTime": 1767607200,
        "columns": {"cmdline": "id -u", "path": "/bin/id", "parent": "7", "uid": "0"},
    }
    events, _ = read(tmp_path, [row])
    assert texts(events) == ["id -u\x1f\x1f/bin/id\x1f0"]
    assert events.column("ts").tolist() == [1767607200]


PROCESSES = [{"cmdline": "id -u", "path": "/bin/id"}, {"cmdline": "", "path": ""}, {"cmdline": "w"}]


@pytest.mark.parametrize("held", [{"snapshot": PROCESSES}, {"diffResults": {"added": PROCESSES}}])
@pytest.mark.parametrize("form", ["lines", "array"])
def test_osquery_lists_the_events_of_a_query_in_one_object(tmp_path, held, form):
    shared = {"hostIdentifier": "pc", "unixTime": 1767607200, "name": "processes"}
    rows = [{**shared, "snapshot": [{"uid": "0"}]}, {**shared, **held}, {"EventID": 4624}]
    if form == "lines":
        events, quarantine = read(tmp_path, rows)
    else:
        (tmp_path / "log.json").write_text(json.dumps(rows))
        quarantine = Quarantine()
        events = read_dataset([tmp_path / "log.json"], COMMANDS, quarantine=quarantine)
    assert texts(events) == ["id -u\x1f\x1f/bin/id", "w"]
    assert events.column("ts").tolist() == [1767607200] * 2
    assert events.groups.tolist() == ["pc"] * 2
    assert quarantine.passed_over == {"other events": 2}
    spec = ColumnSpec(text=COMMANDS.text_columns, context=COMMANDS.context, mixed=True)
    _, reasons = read_values([{**shared, **held}], spec, pass_over=True)
    assert reasons == {0: "a list of 3 events of osquery: send each by itself"}


def test_the_time_of_laurel_lies_in_its_identifier(tmp_path):
    rows = [
        {"ID": "1767607200.206:35287", "EXECVE": {"ARGV": ["id"]}},
        {"ID": "1767607200", "EXECVE": {"ARGV": ["w"]}},
        {"ID": "1767607200.1:1", "time": "2026-01-05T11:00:00Z", "EXECVE": {"ARGV": ["ls"]}},
        {"EXECVE": {"ARGV": ["ps"]}},
    ]
    events, _ = read(tmp_path, rows)
    assert [t if t == t else None for t in events.times.tolist()] == [
        1767607200,
        None,
        1767610800,
        None,
    ]


@pytest.mark.parametrize("header", ["#attributes", "@SystemTime", "_attributes"])
def test_evtx_dump_and_its_relatives_have_a_time(tmp_path, header):
    time = "2026-01-05T10:00:00Z"
    created = {
        "#attributes": {"TimeCreated": {"#attributes": {"SystemTime": time}}},
        "@SystemTime": {"TimeCreated": {"@SystemTime": time}},
        "_attributes": {"TimeCreated_attributes": {"SystemTime": time}},
    }[header]
    row = {"Event": {"System": {"Computer": "pc", **created}, "EventData": {"CommandLine": "id"}}}
    events, _ = read(tmp_path, [row])
    assert events.column("ts").tolist() == [1767607200]
    assert events.groups.tolist() == ["pc"]


OTHERS = [
    {"event": {"code": "4624"}, "message": "An account was logged on.", "winlog": {"channel": "S"}},
    {"EventID": 59, "url": "https://updates.example/a.exe", "raw": "x", "message": "BITS started"},
    {"event_type": "dns", "dns": {"rrname": "a.example"}},
]


def test_messages_and_addresses_of_other_events_are_no_command_lines(tmp_path, url_scorer):
    events, quarantine = read(tmp_path, [{"CommandLine": "id"}, *OTHERS])
    assert texts(events) == ["id"]
    assert quarantine.passed_over == {"other events": 3}
    assert quarantine.count == 0
    spec = columns_of_bundle(url_scorer)
    assert not {"message", "raw", "command_line"} & {*spec.text}


PATHS = [
    {"event_type": "flow", "host": "sensor"},
    {"event_type": "dns", "dns": {"rrname": "z.example"}, "host": "sensor"},
    {"event_type": "tls", "tls": {"sni": "y.example"}, "host": "sensor"},
    {"http": {"hostname": "a.example", "url": "/login?x=1"}, "host": "sensor"},
    {"http": {"hostname": "a.example", "url": "http://b.example/y"}},
    {"url": {"domain": "c.example", "original": "/z"}, "host": {"name": "sensor"}},
    {"url": {"full": "https://d.example/"}},
    {"host": "e.example", "uri": "/zeek", "method": "GET"},
    {"http": {"url": "/alone"}},
    {"http": {"hostname": "f.example", "url": "//g.example/h"}},
]
WHOLE = [
    "z.example",
    "y.example",
    "http://a.example/login?x=1",
    "http://b.example/y",
    "http://c.example/z",
    "https://d.example/",
    "http://e.example/zeek",
    "//g.example/h",
]


def test_a_path_is_judged_behind_the_host_beside_it(tmp_path, url_scorer):
    events, quarantine = read(tmp_path, PATHS, URLS)
    assert texts(events) == WHOLE
    assert quarantine.reasons == {"no text": 1, "a path without its host": 1}
    assert events.groups.tolist()[2] == "a.example"
    named, _ = read(tmp_path, PATHS, URLS, columns=ColumnNames(text="http.url"))
    assert texts(named) == [WHOLE[2], WHOLE[3], WHOLE[7]]
    chunk, reasons = read_values(PATHS, columns_of_bundle(url_scorer))
    found = chunk.events
    assert [text.decode() for text in found.to_pylist()] == WHOLE
    assert reasons == {0: "no text", 8: "a path without its host"}


def test_a_path_in_a_table_is_judged_behind_its_host(tmp_path):
    path = tmp_path / "a.parquet"
    hosts, paths = ["a.example", "b.example", None], ["/x", "http://c.example/", "/y"]
    pq.write_table(pa.table({"http.hostname": hosts, "http.url": paths}), path)
    quarantine = Quarantine()
    events = read_dataset([path], URLS, quarantine=quarantine)
    assert texts(events) == ["http://a.example/x", "http://c.example/"]
    assert quarantine.reasons == {"a path without its host": 1}


def test_a_log_may_begin_with_many_other_events(tmp_path):
    rows = [{"event_type": "dns"}] * 3000 + [{"http": {"hostname": "a.example", "url": "/"}}]
    events, quarantine = read(tmp_path, rows, URLS)
    assert texts(events) == ["http://a.example/"]
    assert quarantine.reasons == {"no text": 3000}
    with pytest.raises(InputError, match="no column named url"):
        read(tmp_path, rows[:-1], URLS)


@pytest.mark.parametrize("medium", ["url", "row", "command-line"])
def test_files_of_another_kind_are_passed_over(tmp_path, medium):
    (tmp_path / "a.eml").write_bytes(b"Subject: x\r\n\r\nhttp://a.example/")
    (tmp_path / "b.html").write_text("<p>hello</p>")
    (tmp_path / "c.mbox").write_text("From a\nSubject: x\n\ny\n")
    quarantine = Quarantine()
    spec = ColumnSpec(medium=medium)
    assert not list(read_batches(sorted(tmp_path.iterdir()), spec, quarantine))
    assert quarantine.passed_over.total() == 3
    assert quarantine.count == 0
    assert (
        len(list(read_batches(sorted(tmp_path.iterdir()), ColumnSpec(medium="text"), quarantine)))
        > 0
    )
