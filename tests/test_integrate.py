"""The configuration files of other products: run where the product is here, else read."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
import xml.etree.ElementTree as ElementTree
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from buckler.readers.event_fields import EventFields
from buckler.serving.bundles import load_bundle
from buckler.serving.event_values import read_values
from buckler.serving.verdict_batch import OutputOptions

FOLDER = Path(__file__).parent.parent / "examples" / "integrate"
LOG = "/var/log/suricata/eve.json"
BUCKLER = f"{sys.executable} -P -m buckler.cli.main"
WAIT_S = 60
EVENTS = [
    {"event_type": "http", "timestamp": "2026-11-01T10:00:00.000+0000", "src_ip": "10.0.0.7",
     "host": "sensor", "http": {"hostname": "bank-login.example", "url": f"/verify/{n}"}}
    for n in range(3)
]  # fmt: skip


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("logs") / "eve.json"
    other = {"event_type": "stats", "stats": {}}
    path.write_text("".join(json.dumps(event) + "\n" for event in [*EVENTS, other]))
    return path


def here(text, log, bundle):
    """Return a command with this machine's program, log and bundle; all events are detections."""
    text = text.replace(LOG, str(log)).replace("tail -n +1 -F", "cat")
    text = text.replace("--bundle url", f"--bundle {bundle} --threshold 0.000001")
    return re.sub(r"(?:/usr/local/bin/)?buckler stream", f"{BUCKLER} stream", text)


def records(text):
    found = [json.loads(line) for line in text.splitlines()]
    hosts = [record["url"]["full"] for record in found]
    assert hosts == [f"http://bank-login.example/verify/{n}" for n in range(3)]
    return found


@pytest.fixture(scope="module")
def record(log, url_bundle):
    """Return a record that the command of Vector's file wrote."""
    source = tomllib.loads((FOLDER / "vector" / "vector.toml").read_text())["sources"]["detections"]
    assert source["type"] == "exec" and source["mode"] == "streaming"
    command = [here(part, log, url_bundle) for part in source["command"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=True)
    return records(done.stdout)[0]


def value(record, name):
    for part in name.split("."):
        record = record[part]
    return record


@contextmanager
def running(command, **options):
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=20)


def wait_for(find, process):
    for _ in range(20 * WAIT_S):
        if (found := find()) is not None:
            return found
        assert process.poll() is None, "it ended"
        time.sleep(0.05)
    raise AssertionError("nothing came")


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def test_the_service_of_systemd_writes_detections(tmp_path, log, url_bundle):
    text = (FOLDER / "systemd" / "buckler-stream.service").read_text()
    command = re.search(r"^ExecStart=/bin/sh -c '(.*)'$", text, re.M)[1]
    out = tmp_path / "detections.json"
    command = here(command, log, url_bundle).replace("/var/log/buckler/detections.json", str(out))
    environment = {**os.environ, "LOG": str(log)}
    subprocess.run(["/bin/sh", "-c", command], env=environment, timeout=WAIT_S, check=True)
    records(out.read_text())


@pytest.mark.skipif(not shutil.which("rsyslogd"), reason="rsyslog is not installed")
def test_rsyslog_pipes_a_log_through_buckler(tmp_path, log, url_bundle):
    out, program = tmp_path / "detections.json", tmp_path / "detections.sh"
    text = here((FOLDER / "rsyslog" / "detections.sh").read_text(), log, url_bundle)
    program.write_text(text.replace("/var/log/buckler/detections.json", str(out)))
    program.chmod(0o755)
    text = (FOLDER / "rsyslog" / "buckler.conf").read_text().replace(LOG, str(log))
    text = text.replace("/usr/local/lib/buckler/detections.sh", str(program))
    configuration = tmp_path / "rsyslog.conf"
    configuration.write_text(f'global(workDirectory="{tmp_path}")\n{text}')
    command = ["rsyslogd", "-n", "-f", str(configuration), "-i", str(tmp_path / "pid")]
    with running(command, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: (out.exists() and out.read_text().count("\n") == 3) or None, process)
    records(out.read_text())


@pytest.mark.skipif(not shutil.which("rspamd"), reason="rspamd is not installed")
def test_rspamd_asks_buckler_about_mails(tmp_path):
    port, own_port = free_port(), free_port()
    plugin = tmp_path / "rspamd.local.lua"
    text = (FOLDER / "rspamd" / "rspamd.local.lua").read_text()
    text = text.replace("127.0.0.1:8811/v1/score?", f"127.0.0.1:{port}/v1/score?threshold=0.0001&")
    plugin.write_text(text.replace("timeout = 1.0", f"timeout = {WAIT_S}.0"))
    (tmp_path / "tld.dat").write_text("com\nexample\n")  # the whole list takes long to compile
    configuration = tmp_path / "rspamd.conf"
    configuration.write_text(
        f'options {{ filters = ""; tempdir = "{tmp_path}"; url_tld = "{tmp_path}/tld.dat"; '
        f'disable_hyperscan = true; dns {{ nameserver = ["127.0.0.1:1"]; }} }}\n'
        'logging { type = "console"; level = "error"; }\n'
        f'lang_detection {{ languages = "{tmp_path}/none"; }}\n'
        f'worker "normal" {{ bind_socket = "127.0.0.1:{own_port}"; count = 1; }}\n'
        f'lua = "{plugin}";\n'
    )
    mail = (
        b"From: a@paypa1.example\nTo: b@b.example\nSubject: verify your account\n\n"
        b"Your account is closed. Click http://paypa1-login.example/verify \xff\n"
    )

    def ask():
        request = urllib.request.Request(f"http://127.0.0.1:{own_port}/checkv2", mail)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:  # noqa: S310
                return json.load(answer)["symbols"]
        except OSError:
            return None

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    serve = [*BUCKLER.split(), "serve", "email", "--port", str(port)]
    with running(["rspamd", "-f", "-i", "-c", str(configuration)], **quiet) as rspamd:
        assert "BUCKLER_FAIL" in wait_for(ask, rspamd)  # a mail passes where no server answers
        with running(serve, **quiet) as server:

            def verdict():
                symbols = ask()
                return symbols if symbols and "BUCKLER_DETECTION" in symbols else None

            (found,) = [wait_for(verdict, server)["BUCKLER_DETECTION"]]
    label, score = found["options"][0].split()
    assert label in ("phishing", "spam") and found["score"] == pytest.approx(
        6 * float(score), abs=0.01
    )
    assert "because of" in found["options"][1]


def test_vector_connects_its_parts():
    parts = tomllib.loads((FOLDER / "vector" / "vector.toml").read_text())
    known = {*parts["sources"], *parts["transforms"]}
    for part in (*parts["transforms"].values(), *parts["sinks"].values()):
        assert set(part["inputs"]) <= known
    assert parts["sources"]["detections"]["decoding"] == {"codec": "json"}


def test_filebeat_names_fields_of_a_record(record):
    settings = yaml.safe_load((FOLDER / "filebeat" / "filebeat.yml").read_text())
    (source,) = settings["filebeat.inputs"]
    assert source["type"] == "filestream" and source["id"]
    assert source["parsers"][0]["ndjson"]["overwrite_keys"] is True
    for name in settings["processors"][0]["fingerprint"]["fields"]:
        assert value(record, name) is not None, name


def test_fluent_bit_reads_the_times_of_a_record(record):
    settings = yaml.safe_load((FOLDER / "fluent-bit" / "fluent-bit.yaml").read_text())
    (source,), (sink,) = settings["pipeline"]["inputs"], settings["pipeline"]["outputs"]
    (parser,) = settings["parsers"]
    assert source["parser"] == parser["name"] and sink["match"] == source["tag"]
    layout = parser["time_format"].replace("%L", "%f")
    assert time.strptime(record[parser["time_key"]], layout)


def parse_xml(name):
    return ElementTree.parse(FOLDER / "wazuh" / name).getroot()  # noqa: S314 - our own file


def test_rules_of_wazuh_name_fields_of_a_record(record):
    local = parse_xml("ossec.conf").find("localfile")
    assert local.find("log_format").text == "json"
    text = (FOLDER / "wazuh" / "local_rules.xml").read_text()
    rules = parse_xml("local_rules.xml").findall("rule")
    known = {rule.get("id") for rule in rules}
    for rule in rules:
        for field in rule.findall("field"):
            assert re.search(field.text, value(record, field.get("name")))
        for parent in ("if_sid", "if_matched_sid"):
            assert (found := rule.find(parent)) is None or found.text in known
    for name in re.findall(r"\$\(([\w.]+)\)|<same_field>([\w.]+)", text):
        assert value(record, "".join(name)) is not None, name


def test_results_of_osquery_are_scored():
    settings = json.loads((FOLDER / "osquery" / "osquery.conf").read_text())
    columns = load_bundle("command-line").columns
    spec = OutputOptions(format_name="ecs").columns_to_read(columns)
    values = {"pid": "7", "parent": "1", "path": "/bin/sh", "cmdline": "sh -c id", "uid": "0",
              "user": "anna", "time": "1793491200"}  # fmt: skip
    for name, scheduled in settings["schedule"].items():
        names = re.findall(r"(\w+)(?:,| FROM)", scheduled["query"])
        line = {"name": name, "hostIdentifier": "pc", "unixTime": 1793491200, "action": "added",
                "columns": {name: values[name] for name in names}}  # fmt: skip
        chunk, errors = read_values([line], spec)
        assert not errors and chunk.events.to_pylist()[0].startswith(b"sh -c id")
        own = EventFields.from_texts({r: c[0].as_py() for r, c in chunk.columns.items()})
        assert (own.host, own.pid, own.parent_pid) == ("pc", 7, 1), own
        assert (own.image, own.time_s) == ("/bin/sh", 1793491200), own


def test_every_file_is_listed():
    text = (FOLDER / "README.md").read_text()
    for path in FOLDER.rglob("*.*"):
        if path.name != "README.md":
            assert path.relative_to(FOLDER).as_posix() in text, path
