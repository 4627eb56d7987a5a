"""A sound file of every format that has a reader, and the columns to read of it."""

import json
from email.message import EmailMessage
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.readers.reader import ColumnSpec
from buckler.tasks import get_task
from tests.support.made_evtx import sysmon, write_evtx
from tests.support.made_msg import made_msg

TABLE = ColumnSpec(("url", "text"), {"label": ("label",)})
ANY_BYTES = ColumnSpec(any_bytes=True)
_ROWS = [{"url": f"http://a{i}.example/", "label": "benign"} for i in range(300)]
_AUDIT = """\
type=SYSCALL msg=audit(1364481363.243:{n}): arch=c000003e syscall=59 uid=0 exe="/bin/cat"
type=EXECVE msg=audit(1364481363.243:{n}): argc=2 a0="cat" a1="/etc/shadow"
"""


def _mail(html: bool = False) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@a.example", "hello"
    mail.set_content("<p>hello</p>" if html else "hello", subtype="html" if html else "plain")
    return mail.as_bytes()


def _warc() -> bytes:
    pytest.importorskip("warcio")
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    out = BytesIO()
    writer = WARCWriter(out, gzip=True)
    for number in range(3):
        headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
        body = b"<p>page</p>"
        writer.write_record(
            writer.create_warc_record(
                f"http://a.example/{number}",
                "response",
                payload=BytesIO(body),
                length=len(body),
                http_headers=headers,
            )
        )
    return out.getvalue()


def _program() -> bytes:
    pytest.importorskip("pefile")
    found = find_spec("pip._vendor.distlib")
    files = sorted(Path(found.origin).parent.glob("t64.exe")) if found and found.origin else []
    if not files:
        pytest.skip("this pip carries no launchers for Windows")
    return files[0].read_bytes()


def _write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def _parquet(path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(_ROWS), path, row_group_size=100)
    return path


def _alerts(path: Path) -> Path:
    alert = {"timestamp": "2024-01-02T03:04:05Z", "rule": {"description": "sudo", "level": 3},
             "agent": {"name": "web"}, "data": {"srcip": "9.9.9.9"}}  # fmt: skip
    return _write(path, json.dumps(alert))


def _evtx(path: Path) -> Path:
    pytest.importorskip("evtx")
    return write_evtx(path, [sysmon(f"whoami {i}") for i in range(50)])


def _msg(path: Path) -> Path:
    return _write(path, made_msg("hello", "a@a.example", "text"))


def sound_file(name: str, folder: Path) -> tuple[Path, ColumnSpec]:
    """Write a sound file of a format; return it with the columns to read."""
    rows = ColumnSpec(features=get_task("pe").features, any_bytes=True)
    alerts = ColumnSpec(features=get_task("alert-triage").features, any_bytes=True)
    mbox = b"".join(b"From a@a.example Thu Jan  1 00:00:00 2026\n" + _mail() for _ in range(5))
    csv = "url,label\n" + "".join(f"{row['url']},{row['label']}\n" for row in _ROWS)
    lines = "\n".join(map(json.dumps, _ROWS))
    audit = "".join(_AUDIT.format(n=n) for n in range(20))
    zeek = "#separator \\x09\n#fields\tts\turl\n" + "".join(f"1\t{r['url']}\n" for r in _ROWS)
    makers = {
        "alerts": lambda: (_alerts(folder / "alerts.json"), alerts),
        "auditd": lambda: (_write(folder / "audit.log", audit), ColumnSpec(mixed=True)),
        "csv": lambda: (_write(folder / "a.csv", csv), TABLE),
        "eml": lambda: (_write(folder / "a.eml", _mail()), ANY_BYTES),
        "evtx": lambda: (
            _evtx(folder / "a.evtx"),
            ColumnSpec(get_task("command-line").text_columns, mixed=True),
        ),
        "html": lambda: (_write(folder / "a.html", "<p>hello</p>"), ANY_BYTES),
        "jsonl": lambda: (_write(folder / "a.jsonl", lines), TABLE),
        "lines": lambda: (_write(folder / "a.txt", "one\n\ntwo\n" * 50), ColumnSpec()),
        "mail-html": lambda: (_write(folder / "a.eml", _mail(html=True)), ANY_BYTES),
        "mbox": lambda: (_write(folder / "a.mbox", mbox), ANY_BYTES),
        "msg": lambda: (_msg(folder / "a.msg"), ANY_BYTES),
        "parquet": lambda: (_parquet(folder / "a.parquet"), TABLE),
        "pe": lambda: (_write(folder / "a.exe", _program()), rows),
        "zeek": lambda: (_write(folder / "http.log", zeek), TABLE),
        "warc": lambda: (_write(folder / "a.warc.gz", _warc()), ANY_BYTES),
    }
    return makers[name]()
