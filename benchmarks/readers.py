"""Speed of each reader: megabytes of input and events a second of CPU time."""

import json
import mailbox
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.measure import cpu_s, in_turns, table
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import ColumnSpec, get_reader
from buckler.tasks import get_task

ROUNDS = 3
LEAST_MB = 8
COMMAND, URL, EMAIL = get_task("command-line"), get_task("url-threat"), get_task("email")


def _repeat(lines: list[str]) -> str:
    text = "".join(line + "\n" for line in lines)
    return text * max(1, (LEAST_MB << 20) // max(1, len(text)))


def _files(data: Path, folder: Path) -> list[tuple[str, Path, str | None, object]]:
    """Return name, file or folder, format and task of each."""
    rows = pq.read_table(data / "command_line" / "telemetry-unlabelled.parquet").to_pylist()
    urls = pq.read_table(data / "url" / "threat-train.parquet").select(["url", "label"])
    sysmon = [
        {"EventID": 1, "CommandLine": r["text"], "ParentCommandLine": r["parent"],
         "Image": r["image"], "User": r["user"], "UtcTime": "2021-01-02 03:04:05.123"}
        for r in rows
    ]  # fmt: skip
    ecs = [
        {"process": {"command_line": r["text"], "executable": r["image"],
                     "parent": {"command_line": r["parent"]}}, "user": {"name": r["user"]},
         "event": {"code": "1"}, "@timestamp": "2021-01-02T03:04:05Z"}
        for r in rows
    ]  # fmt: skip
    audit = []
    for i, r in enumerate(rows):
        words = [w.encode().hex() if '"' in w else f'"{w}"' for w in r["text"].split()[:40]]
        stamp = f"msg=audit(1364481363.243:{i})"
        audit += [
            f'type=SYSCALL {stamp}: arch=c000003e syscall=59 uid=0 comm="x" exe="/bin/x"',
            f"type=EXECVE {stamp}: argc={len(words)} "
            + " ".join(f"a{n}={w}" for n, w in enumerate(words)),
            f'type=CWD {stamp}: cwd="/"',
        ]
    alerts = pq.read_table(data / "alert" / "ait-ads-shaw.parquet").to_pylist()
    eve = [
        {"timestamp": a["time"], "flow_id": 1806539218123456, "in_iface": "eth0",
         "event_type": "alert", "src_ip": a["ip"], "src_port": 44512, "dest_ip": a["host"],
         "dest_port": 443, "proto": "TCP", "app_proto": "tls",
         "alert": {"action": "allowed", "gid": 1, "signature_id": 2230010, "rev": 1,
                   "signature": a["name"], "category": "Generic Protocol Command Decode",
                   "severity": 2},
         "flow": {"pkts_toserver": 4, "pkts_toclient": 3, "bytes_toserver": 783,
                  "bytes_toclient": 3052, "start": "2022-01-24T03:56:33.000000+0000"}}
        for a in alerts
    ]  # fmt: skip
    for name, lines in {
        "sysmon.jsonl": [json.dumps(o) for o in sysmon],
        "ecs.ndjson": [json.dumps(o) for o in ecs],
        "audit.log": audit,
        "lines.txt": [r["text"].replace("\n", " ") for r in rows],
        "eve.json": [json.dumps(o) for o in eve],
    }.items():
        (folder / name).write_text(_repeat(lines), errors="replace")
    pq.write_table(urls, folder / "urls.parquet", compression="none")
    pyarrow.csv.write_csv(urls, folder / "urls.csv")
    box = mailbox.mbox(folder / "mails.mbox")
    (folder / "eml").mkdir()
    for i, raw in enumerate(
        pq.read_table(data / "email" / "train.parquet")["raw"].to_pylist()[:1500]
    ):
        box.add(raw.encode("utf-8", "surrogatepass"))
        (folder / "eml" / f"{i}.eml").write_bytes(raw.encode("utf-8", "surrogatepass"))
    box.close()
    found = [
        ("Parquet", folder / "urls.parquet", None, URL),
        ("CSV", folder / "urls.csv", None, URL),
        ("lines", folder / "lines.txt", None, COMMAND),
        ("JSON lines, Sysmon", folder / "sysmon.jsonl", None, COMMAND),
        ("JSON lines, ECS", folder / "ecs.ndjson", None, COMMAND),
        ("auditd", folder / "audit.log", None, COMMAND),
        ("mbox", folder / "mails.mbox", None, EMAIL),
        (".eml", folder / "eml", None, EMAIL),
        ("Suricata eve.json", folder / "eve.json", None, get_task("alert-triage")),
    ]
    if find_spec("evtx"):
        from tests.support.made_evtx import sysmon as made_sysmon
        from tests.support.made_evtx import write_evtx

        write_evtx(folder / "a.evtx", [made_sysmon(r["text"]) for r in rows])
        found.append((".evtx (excepted)", folder / "a.evtx", None, COMMAND))
    launchers = sorted(Path(sys.prefix).rglob("distlib/*.exe"))
    if find_spec("pefile") and launchers:
        (folder / "pe").mkdir()
        for path in launchers:
            (folder / "pe" / path.name).write_bytes(path.read_bytes())
        found.append(("PE, all features (excepted)", folder / "pe", "pe", get_task("pe")))
    return found


def run(data: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        rows = []
        for title, path, format_name, task in _files(data, Path(name)):
            files = sorted(path.iterdir()) if path.is_dir() else [path]
            size = sum(file.stat().st_size for file in files)
            spec = ColumnSpec(
                task.text_columns,
                {"label": task.label_columns, "ts": ("timestamp", "UtcTime", "@timestamp")},
                any_bytes=task.text_normalizer.prepare is not None,
                features=task.features,
                context=task.context,
                mixed=bool(task.context),
            )

            def read(files=files, spec=spec, format_name=format_name) -> int:
                return sum(
                    len(chunk.events)
                    for file in files
                    for chunk in get_reader(file, format_name).chunks(file, spec, Quarantine())
                )

            events = read()
            seconds = in_turns({title: read}, ROUNDS, cpu_s)[title]
            rows.append((title, f"{size / 1e6:.1f}", f"{events:,}", f"{size / seconds / 1e6:,.1f}",
                         f"{events / seconds:,.0f}"))  # fmt: skip
        table(("reader", "MB", "events", "MB/s", "events/s"), rows)
