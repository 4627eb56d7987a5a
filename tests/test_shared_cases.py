"""Inputs that failed once, as they lie beside this checkout: each now gives the right answer.

The inputs are written for the project and stay outside it; every kind has a test of its own input
beside the code too. Each test here is named by the number of its folder.
"""

import gzip
import io
import json
import re
import subprocess
import sys
import threading
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from http.server import ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import pytest

from buckler.cli.main import run_command_line
from buckler.dataset import ColumnNames, read_dataset
from buckler.labels import LabelStore
from buckler.normalize import get_normalizer
from buckler.readers import ColumnSpec, Quarantine, read_batches
from buckler.tasks import get_task
from tests.support.cli import ENVIRONMENT

CASES = Path(__file__).resolve().parents[1].parent / "shared" / "cases"
FOLDERS = {path.name[:2]: path for path in sorted(CASES.glob("[0-9][0-9]-*"))}
SITE, LINK = "bank.example.net", "bank.example.net/login"
MEMORY_BYTES, LIMIT_BYTES, CPU_S = 600 << 20, 8 << 30, 20

pytestmark = pytest.mark.skipif(
    not FOLDERS, reason="the collected cases are not beside this checkout (shared/cases)"
)


def case(number: str, name: str = "") -> Path:
    if number not in FOLDERS:
        pytest.skip(f"shared/cases has no folder {number}")
    return FOLDERS[number] / name


def inputs(number: str) -> list[Path]:
    return [p for p in sorted(case(number).iterdir()) if p.name != "EXPECTED.md"]


def run(*arguments: object) -> tuple[int, str]:
    """Run a command in this process; return its exit code and all that it prints."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = run_command_line([str(argument) for argument in arguments])
    return code, out.getvalue()


def run_bounded(*commands: tuple[object, ...], stdin: bytes = b"") -> tuple[bytes, bytes]:
    """Run commands in a child and check its memory; beyond a CPU time it is killed.

    Returns
    -------
    bytes, bytes
        All output, and all errors and exit codes.
    """
    code = (
        "import json, resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({LIMIT_BYTES}, {LIMIT_BYTES}))\n"
        f"resource.setrlimit(resource.RLIMIT_CPU, ({CPU_S}, {CPU_S}))\n"
        "from buckler.cli.main import run_command_line\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    print('exit code', run_command_line(command), file=sys.stderr, flush=True)\n"
        "from tests.support.memory import peak_memory_kib\n"
        "own = peak_memory_kib()\n"
        "children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        f"assert max(own, children) << 10 < {MEMORY_BYTES}, (own, children)\n"
    )
    listed = json.dumps([[str(argument) for argument in command] for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", code, listed],
        capture_output=True,
        input=stdin,
        check=False,
        env={**ENVIRONMENT, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def scan(tmp_path: Path, bundle: str, *arguments: object) -> list[dict[str, object]]:
    """Scan as a user does; return the verdicts."""
    target = tmp_path / "verdicts.jsonl"
    code, printed = run("scan", "-b", bundle, "-o", target, "--text", "--force", *arguments)
    assert code == 0, printed
    return [json.loads(line) for line in target.read_text().splitlines()]


def normalized(normalizer: str, path: Path) -> list[list[str]]:
    """Return the fields of the normalized text of each event of a file."""
    task = get_task("html" if normalizer.startswith("html") else "email")
    events = read_dataset([path], task, labeled=False)
    rules = get_normalizer(normalizer)
    return [rules.normalize(raw, 1 << 20).decode().split("\x1f") for raw in events.raw_texts]


def mail(path: Path) -> dict[str, str]:
    names = ("subject", "marks", "attachments", "links", "hidden", "text")
    (fields,) = normalized("email-v2", path)
    return dict(zip(names, fields, strict=True))


@contextmanager
def client(bundle: str):
    pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")
    from starlette.testclient import TestClient

    from buckler.serving.http.app import build_app
    from buckler.serving.http.serve_settings import ServeSettings

    with TestClient(build_app(ServeSettings(bundles=[bundle]))) as opened:
        yield opened


def post(bundle: str, body: bytes, kind: str = "application/json"):
    with client(bundle) as opened:
        return opened.post("/v1/score", content=body, headers={"Content-Type": kind})


def watch(bundle: str, folder: Path, target: Path) -> list[dict[str, object]]:
    pytest.importorskip("orjson", reason="the extra 'stream' is not installed")
    from buckler.serving.stream.folder import watch_folder

    stop, left, found = threading.Event(), len(list(folder.iterdir())), []

    def on_file(result):
        found.append(result)
        if len(found) == left:
            stop.set()

    timer = threading.Timer(20, stop.set)
    timer.start()
    watch_folder(bundle, folder, target, stop, interval_s=0.01, on_file=on_file)
    timer.cancel()
    return found


def test_01_poison_mails_cost_no_verdict(tmp_path):
    mails = inputs("01")
    found = scan(tmp_path, "email", *mails)
    assert [record["path"] for record in found] == [str(path) for path in mails]
    bodies = [path.read_bytes().decode("latin-1") for path in mails]
    answer = post("email", json.dumps({"texts": bodies}).encode())
    assert answer.status_code == 200
    assert all("score" in verdict for verdict in answer.json()["verdicts"])
    lines = b"".join(json.dumps({"raw": body}).encode() + b"\n" for body in bodies)
    printed, errors = run_bounded(("stream", "-", "-b", "email", "-c", "raw"), stdin=lines)
    assert len(printed.splitlines()) == len(mails), errors
    folder = tmp_path / "in"
    folder.mkdir()
    for path in mails:
        (folder / path.name).write_bytes(path.read_bytes())
    assert sum(result.rows for result in watch("email", folder, tmp_path / "out")) == len(mails)


def test_03_file_names_of_any_bytes(tmp_path):
    folder = tmp_path / "mails"
    folder.mkdir()
    subprocess.run(["bash", case("03", "make.sh")], cwd=folder, check=True)
    found = scan(tmp_path, "email", folder)
    names = [Path(str(record["path"])).name for record in found]
    assert names == ["caf\\xe9.eml", "plain.eml"]
    assert sum(result.rows for result in watch("email", folder, tmp_path / "out")) == 2


def test_04_times_out_of_range_are_unknown(tmp_path):
    for name in ("bigts.csv", "bigts.jsonl"):
        events = read_dataset([case("04", name)], get_task("url-threat"))
        seconds = events.times.tolist()
        assert len(events) == 50
        assert sum(second == 1767607200 for second in seconds) == 49
    code, printed = run(
        "triage", case("04", "bigtime.json"), "-b", "alert-triage", "-o", tmp_path / "i.csv"
    )
    assert code == 0, printed


def test_06_messages_of_other_events_are_no_commands(tmp_path):
    path = case("06", "winlogbeat.jsonl")
    code, printed = run("scan", path, "-b", "command-line", "-o", tmp_path / "v.jsonl")
    assert (code, len((tmp_path / "v.jsonl").read_text().splitlines())) == (0, 1)
    assert "3 other events passed over" in printed


def test_07_a_path_is_joined_with_its_host(tmp_path):
    for arguments in ((), ("-c", "http.url")):
        found = scan(tmp_path, "url", case("07", "eve.jsonl"), *arguments)
        assert found[1]["text"] == "http://paypa1-secure-login.weebly.com/"
        assert (found[1]["label"], found[0]["label"]) == ("phishing", "benign")
    lines = case("07", "eve.jsonl").read_bytes()
    printed, _ = run_bounded(("stream", "-", "-b", "url", "-c", "http.url"), stdin=lines)
    verdict = json.loads(printed.splitlines()[1])
    assert verdict["label"] == "phishing"
    assert verdict["score"] == pytest.approx(found[1]["score"])


def test_08_an_inner_size_shows_text():
    form = mail(case("08", "mjml.eml"))
    assert "your parcel is on its way" in form["text"] and not form["hidden"]
    assert len(form["links"].split()) == 1
    (page,) = normalized("html-v1", case("08", "mjml.html"))
    assert "your parcel is on its way" in page[-1] and "shop.example.net" in page


def test_10_charsets_mean_what_browsers_take_them_for():
    texts = {
        "charset-tis-620-x.eml": "계정을 확인",
        "charset-windows-874.eml": "กรุณายืนยันบัญชี",
        "gb2312-with-gbk-char.eml": "请点击链接更新您的账户,朱镕基",
        "html-meta-charset-only.eml": "请确认您的账户信息",
        "iso-2022-jp-with-nec-chars.eml": "アカウント1を確認してください",
        "ks_c_5601-with-cp949.eml": "계정을 확인하십시오 똠방각하",
        "latin1-label-cp1252-bytes.eml": "“your account” \u2013 it\u2019s 5 €",
        "meta-euc-kr-cp949.html": "로그인 똠방",
        "meta-gb2312-gbk.html": "请登录您的账户朱镕基",
        "meta-iso8859-1-cp1252.html": "“sign in” \u2013 it\u2019s",
        "meta-shift_jis-cp932.html": "ログイン1㈱",
        "meta-x-sjis.html": "ログイン",
        "shift_jis-with-cp932.eml": "アカウントを確認してください1㈱",
        "subject-ew-gb2312-gbk.eml": "朱镕基通知",
    }
    assert texts.keys() == {path.name for path in inputs("10")}
    for name, text in texts.items():
        rules = "html-v1" if name.endswith(".html") else "email-v2"
        (fields,) = normalized(rules, case("10", name))
        assert text in (fields[0], fields[-1]), name


def test_12_headers_of_raw_bytes():
    assert mail(case("12", "subject-raw-utf8.eml"))["subject"] == "überprüfung nötig"
    assert mail(case("12", "subject-raw-latin1.eml"))["subject"] == "überprüfung nötig"
    assert mail(case("12", "subject-ew-with-raw-8bit.eml"))["subject"] == "bestätigung"
    assert "rechnung für märz.pdf" in mail(case("12", "att-filename-raw-utf8.eml"))["attachments"]


def test_13_headers_go_on_behind_what_is_none():
    for path in inputs("13"):
        form = mail(path)
        assert form["subject"] == "konto", path
        assert form["text"].startswith("bitte bestätigen sie ihr konto"), path
        assert form["links"] == LINK, path


def test_15_padding_inside_ends_no_text():
    form = mail(case("15", "b64-padding-inside.eml"))
    assert form["text"].startswith("hello bitte bestätigen sie") and form["links"] == LINK


def test_17_a_multipart_without_parts_is_text():
    for path in inputs("17"):
        form = mail(path)
        assert form["text"].startswith("bitte bestätigen sie"), path
        assert (form["links"], form["attachments"]) == (LINK, ""), path


def test_18_a_word_in_a_text_is_no_boundary():
    form = mail(case("18", "boundary-word-65.eml"))
    assert form["text"].startswith("your mailbox is locked. sign in") and form["links"] == LINK


def test_20_attached_messages_are_read():
    for path in inputs("20"):
        form = mail(path)
        assert form["links"] == LINK, path
        assert re.search("bestätigen sie|your account is locked", form["text"]), form


def test_21_code_pages_of_outlook():
    texts = {path.name: mail(path) for path in inputs("21")}
    assert {form["links"] for form in texts.values()} == {LINK}
    assert "подтвердите" in texts["ansi-cp1251.msg"]["text"]
    assert "bestätigen" in texts["ansi-cp1252.msg"]["text"]
    assert "確認" in texts["ansi-cp932.msg"]["text"]
    assert texts["unicode.msg"]["text"].isprintable()


def test_22_ignored_code_points_hide_no_host(tmp_path):
    url = get_normalizer("url-v3")
    for path in inputs("22"):
        if path.suffix == ".txt":
            found = url.normalize(path.read_bytes(), 4096).split(b"\x1f")[0]
            assert found.decode() == SITE, path
            (verdict,) = scan(tmp_path, "url", path)
            code, printed = run("score", "url", f"http://{LINK}")
            assert code == 0
            assert f"{verdict['score']:.4f}"[:4] in printed
    assert mail(case("22", "href-with-newline.eml"))["links"] == LINK


def test_23_no_page_is_cut_before_its_form():
    for path in inputs("23"):
        (fields,) = normalized("html-v1", path)
        assert "password-password" in fields[2], path
        assert "asks-password" in fields[3], path


def test_25_marks_and_declarations_in_their_order(tmp_path):
    for path in inputs("25"):
        (fields,) = normalized("html-v1", path)
        assert "войдите" in fields[-1], path


def test_26_pages_before_damage_are_judged(tmp_path):
    whole = {"corrupt-last": (4, 1), "junk-between": (5, 1), "trunc-last": (4, 1)}
    for path in inputs("26"):
        quarantine = Quarantine()
        spec = ColumnSpec(("text",))
        rows = sum(len(batch.chunk.rows) for batch in read_batches([path], spec, quarantine))
        if (name := path.name.partition(".")[0]) in whole:
            assert (rows, quarantine.count) == whole[name], path
        elif name == "br-enc":
            assert (rows, quarantine.count) in ((1, 0), (0, 1)), path
        else:
            assert rows == 5 and not quarantine.count, path


def test_28_severities_do_not_depend_on_the_name(tmp_path):
    task = get_task("alert-triage")
    for name in ("events.json", "wazuh.json"):
        events = read_dataset([case("28", name)], task, format_name="alerts", labeled=False)
        levels = events.features.values[:, task.numbers.index("level")]
        assert levels.tolist() == pytest.approx([3 / 15, 1, 7 / 15]), name
        code, printed = run(
            "triage", case("28", name), "-b", "alert-triage", "-o", tmp_path / f"{name}.csv"
        )
        assert code == 0, printed


def test_30_an_event_without_a_feature_is_an_error(tmp_path):
    path = case("30", "empty.jsonl")
    code, printed = run("scan", path, "-b", "pe", "-o", tmp_path / "v.jsonl")
    assert (code, "features" in printed) == (2, True)
    for body in (b"{}", path.read_bytes()):
        answer = post("pe", b'{"events": [' + body + b"]}")
        assert "features" in answer.text and "label" not in answer.text, answer.text


def test_31_sentences_begin_no_mail():
    for path in inputs("31"):
        fields = normalized("email-v2", path)
        assert [each[0] for each in fields] == ["one", "two"], path


def test_32_groups_are_of_who_sent_the_mail():
    groups = {
        path.name: read_dataset([path], get_task("email"), labeled=False).groups[0]
        for path in inputs("32")
    }
    assert groups == {
        "folded.eml": "evil.example",
        "spoof.eml": "evil.example",
        "idn.eml": "münchen.de",
        "body.eml": None,
    }


@contextmanager
def scripted_replies():
    """Serve the replies of the case; yield the address and the module, whose MODE picks one."""
    source = case("33", "server.py").read_text().rpartition("ThreadingHTTPServer((")[0]
    module = {"__name__": "replies"}
    with patch.object(sys, "argv", ["server.py", "good", "0"]):
        exec(compile(source, "server.py", "exec"), module)  # noqa: S102
    server = ThreadingHTTPServer(("127.0.0.1", 0), module["H"])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", module
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


READ = (
    *("good", "list-content", "dict-content", "lone-surrogate", "think-tags", "reasoning-model"),
    *("fence", "raw-newline-why", "label-dot", "usage-null", "lp-null-logprob", "lp-empty", "bom"),
    *("nul-why", "no-logprobs-400", "top-logprobs-5", "leading-ws", "dup-choices"),
)
UNREAD = ("think-cut", "reasoning-length", "null-refusal", "content-filter", "int-content")
WAITS = {"retry-huge": "asks to wait 86,400 s", "retry-inf": "asks to wait inf s"}


# The server of the case leaves its log to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file .*log:ResourceWarning")
def test_33_replies_of_models(tmp_path, monkeypatch):
    pytest.importorskip("openai", reason="the extra 'llm' is not installed")
    monkeypatch.chdir(tmp_path)
    task = get_task("url-threat")
    (tmp_path / "urls.txt").write_text("http://a.example/\n")
    with scripted_replies() as (address, module):
        for mode in (*READ, *UNREAD, *WAITS):
            module["MODE"], module["N"][0] = mode, 0
            settings = f'model = "m"\nbase_url = "{address}"\nattempts = 1\nsamples = 2\n'
            (tmp_path / "chat.toml").write_text(settings)
            code, printed = run(
                *("label", tmp_path / "urls.txt", "-t", "url-threat", "--teacher", "chat"),
                *("--settings", tmp_path / "chat.toml", "-s", tmp_path / f"{mode}.db"),
            )
            assert code in (0, 2), (mode, printed)
            assert WAITS.get(mode, "") in " ".join(printed.split()), (mode, printed)
            with LabelStore(tmp_path / f"{mode}.db") as store:
                found = [p.argmax() for b in store.annotations(task) for p in b.probabilities]
            wanted = [task.class_names.index("benign")] if mode in READ else []
            assert found == wanted, (mode, printed)


def test_34_imports_of_annotations(tmp_path):
    counts = {"bom.json": 1, "nel.jsonl": 1, "note-surr.json": 1, "u2028.jsonl": 2}
    for name, count in counts.items():
        store = tmp_path / f"{name}.db"
        LabelStore(store).close()
        code, printed = run(
            *("review", "import", case("34", name), "-t", "command-line", "-s", store),
            *("--as", "label-studio"),
        )
        assert code == 0 and re.search(rf"\b{count}\b", printed), printed
        with LabelStore(store) as labels:
            batches = list(labels.annotations(get_task("command-line")))
        assert sum(len(batch.event_ids) for batch in batches) == count, printed


def test_35_a_lone_surrogate_costs_one_verdict():
    answer = post("url", case("35", "body.json").read_bytes())
    assert answer.status_code == 200
    good, bad = answer.json()["verdicts"]
    assert "score" in good and "error" in bad


def test_36_wrappers_show_what_they_wrap(tmp_path):
    url = get_normalizer("url-v3")
    for line in case("36", "urls.txt").read_text().splitlines():
        host, path = url.normalize(line, 4096).decode().split("\x1f")[:2]
        assert (host, path) == ("evil.example", "a/b"), line
    assert len(scan(tmp_path, "url", case("36", "urls.txt"))) == 2


def test_37_fields_of_process_events():
    pytest.importorskip("sigma", reason="the extra 'sigma' is not installed")
    from buckler.teachers import get_teacher

    task = get_task("command-line")
    who = get_teacher("sigma", case("37", "s.toml"), task)
    for name in ("sysmon.jsonl", "renamed.jsonl"):
        events = read_dataset([case("37", name)], task, ColumnNames(keep=who.columns))
        assert who.titles(events) == [["Office Starts Shell"]], name
    columns = ColumnNames(event_fields=("host",))
    events = read_dataset([case("37", "evtx_dump.jsonl")], task, columns, labeled=False)
    assert events.times.tolist() == [1767607200]
    assert events.column("event.host").tolist() == ["pc1"]


def test_38_ports_are_no_codes():
    command = get_normalizer("command-v2")
    for line in case("38", "cmd.txt").read_text().splitlines():
        fields = command.normalize(line, 4096).decode().split("\x1f")
        assert fields[0].split()[:3] == line.split()[:3] and not any(fields[1:]), fields


def test_40_times_of_tables(tmp_path):
    subprocess.run([sys.executable, case("40", "make.py")], cwd=tmp_path, check=True)
    day, task = 1767571200, get_task("url-threat")
    times = {
        name: read_dataset([tmp_path / f"{name}.parquet"], task, labeled=False).times.tolist()
        for name in ("date", "nan", "view")
    }
    assert times["date"] == [day, day] and times["view"] == [day + 36_000] * 2
    assert times["nan"][0] != times["nan"][0]
    code, printed = run(
        "train", tmp_path / "labellist.parquet", "-t", "url-threat", "-o", tmp_path / "out"
    )
    assert code == 2 and "label" in printed, printed


def test_41_a_pipe_without_a_reader_ends_quietly():
    line = b'{"url":"http://a.example/"}\n'
    with subprocess.Popen(
        [sys.executable, "-m", "buckler.cli.main", "stream", "-", "-b", "url"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        writer = threading.Thread(target=_feed, args=(process.stdin, line * 1000))
        writer.start()
        assert b"label" in process.stdout.readline()
        process.stdout.close()
        printed = process.stderr.read()
        writer.join()
    assert process.returncode in (0, -13, 141) and b"rror" not in printed, printed


def _feed(pipe, block: bytes) -> None:
    with suppress(OSError):
        for _ in range(200):
            pipe.write(block)
    with suppress(OSError):
        pipe.close()


def test_50_a_hostile_view_is_refused():
    code = (
        "import sys; from pathlib import Path; import tests.test_shared_cases as t\n"
        "answer = t.post('url', Path(sys.argv[1]).read_bytes(), t.ARROW)\n"
        "print(answer.status_code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, case("50", "arrow-view-segv.bin")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "400\n"), done


ARROW = "application/vnd.apache.arrow.stream"


def test_51_hostile_bundles_are_refused():
    commands = [
        command
        for path in inputs("51")
        for command in (("verify", path), ("score", path, "http://a.example/"))
    ]
    _, errors = run_bounded(*commands)
    lines = errors.decode().splitlines()
    assert lines[1::2] == ["exit code 2"] * len(commands), lines
    assert all(re.match(r"error: \S+: ", line) for line in lines[::2]), lines


def test_02_52_53_slow_inputs_and_bombs(tmp_path):
    commands = []
    for path in (case("02", "slow.eml"), *inputs("52"), case("53", "bomb.parquet")):
        file = tmp_path / path.name.removesuffix(".gz")
        data = path.read_bytes()
        file.write_bytes(gzip.decompress(data) if path.suffix == ".gz" else data)
        bundles = {".txt": "command-line", ".eml": "email", ".gz": "html", ".parquet": "url"}
        bundle = bundles.get(file.suffix, "html")
        commands.append(("scan", file, "-b", bundle, "-o", f"{file}.jsonl"))
    _, errors = run_bounded(*commands)
    codes = re.findall(rb"exit code (\d+)", errors)
    assert codes == [b"0"] * (len(commands) - 1) + [b"2"] and b"bomb" in errors, errors
    for command in commands[:-1]:
        assert Path(command[-1]).read_bytes().count(b"\n") == 1
    answer = post("url", case("53", "bomb3.arrow").read_bytes(), ARROW)
    assert answer.status_code == 413


def test_every_folder_has_a_test():
    tested = {
        number
        for name in globals()
        if name.startswith("test_")
        for number in re.findall(r"(?<=_)\d\d(?=_)", name)
    }
    assert not FOLDERS.keys() - tested
