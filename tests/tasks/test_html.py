"""Pages: the form, the guard before the parser, files and web archives, attacks."""
# ruff: noqa: RUF001

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buckler.attacks import Attacker, attacks_on
from buckler.dataset import read_dataset
from buckler.errors import InputError
from buckler.normalize import get_normalizer
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import ColumnSpec, get_reader
from buckler.synthesis.defanging import defang, refang
from buckler.synthesis.format_check import find_format_error
from buckler.synthesis.generators.grammar import expand
from buckler.synthesis.template import read_template
from buckler.tasks import get_task
from tests.support.web_archives import archive

RNG = np.random.default_rng(0)
PAGE = get_normalizer("html-v1")
TASK = replace(get_task("html"), normalizer="html-v1")
NAMES = ("page", "title", "forms", "marks", "hosts", "scripts", "hidden", "text")
FAKE = """<html><head><title>Sign in - PayPal</title>
<link rel=icon href="https://www.paypalobjects.com/f.ico"><script>eval(atob("x"))</script></head>
<body><div style="display:none">secret words</div>
<form method=POST action="https://evil.example/p.php"><input name=email>
<input type=password name=pw><button>Log In</button></form>
<img src="https://www.paypalobjects.com/l.png"><a href="#">Help</a> v\u0435rify your account
</body></html>"""


def fields(raw: str | bytes, max_bytes: int = 8192) -> dict[str, str]:
    form = PAGE.normalize(raw, max_bytes).decode("utf-8", "replace").split("\x1f")
    return dict(zip(NAMES, form, strict=True))


def test_a_fake_login_page():
    form = fields(FAKE + "\x1fhttp://paypa1.secure.example/x")
    assert form["page"] == "paypa1.secure.example/x"
    assert form["title"] == "sign in - paypal"
    assert form["forms"] == "form-post to-other log in text-email password-password"
    assert form["hosts"] == "paypalobjects.com"
    assert form["scripts"] == "eval atob"
    assert form["hidden"] == "secret words"
    assert form["text"] == "log in help verify your account"
    marks = set(form["marks"].split())
    assert {"form-other", "asks-password", "resources-mostly-other", "icons-mostly-other"} <= marks
    assert {"brand-of-other-site", "brand-in-title-not-site", "link-nowhere", "lookalike"} <= marks
    assert "no-address" not in marks


def test_the_same_page_on_its_own_site():
    page = FAKE.replace("https://evil.example/p.php", "/signin").replace("paypalobjects", "paypal")
    marks = set(fields(page + "\x1fhttps://www.paypal.com/signin")["marks"].split())
    assert "form-own" in marks
    assert not marks & {"form-other", "brand-of-other-site", "brand-in-title-not-site"}


def test_saved_pages_tell_their_address():
    page = "<!-- saved from url=(0022)http://a.example/x/ -->\n<p>x</p>"
    assert fields(page)["page"] == "a.example/x/"
    assert "no-address" in fields("<p>x</p>")["marks"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("<p>caf\u00e9".encode(), "caf\u00e9"),
        ("<meta charset=iso-8859-1><p>caf\u00e9".encode("latin-1"), "caf\u00e9"),
        ("<p>caf\u00e9".encode("latin-1"), "caf\u00e9"),
        ("<p>caf\u00e9".encode("utf-16"), "caf\u00e9"),
        (b"<meta charset=undefined><p>x", "x"),
        ("<p>a&amp;b&#8203;c", "a&bc"),
        ("<p title='>'>seen</p>", "seen"),
        ("no markup", "no markup"),
        ("", ""),
    ],
)
def test_charsets_and_entities(raw, text):
    assert fields(raw)["text"] == text


_MARKUP = (
    *("<div>", "</div>", "<form>", "</form>", "<input", "<b>", "<p>", "<table>", "<td>", "</a>"),
    *("<a href=x>", "<script>", "</script>", "<style>", "<!--", "-->", "<title>", "<svg>", "&amp;"),
    *("<select>", "<option>", "text", "<", ">", '"', "'", "="),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(_MARKUP) | st.text(max_size=8), max_size=60).map(" ".join))
def test_any_page_has_eight_fields(source):
    assert PAGE.normalize(source, 1 << 20).count(b"\x1f") == 7


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_have_eight_fields(data):
    assert PAGE.normalize(data, 1 << 20).count(b"\x1f") == 7


_PASSWORD = "<form action=/in><input type=password></form>"


@pytest.mark.parametrize(
    "before",
    [
        "<svg>" + "<path d='M0'/>" * 600 + "</svg>",
        "<div>" * 10_000,
        "<a href=x>link " * 600,
        "<button>x" * 600,
        "<ruby>" + "<rt>a" * 600,
        "<h2>" * 600,
        "<form></form>" * 600,
        "<p>" + "".join(f"<b id={i}>" for i in range(600)) + "<p>" * 3000,
        "<a " + "".join(f"x{i}=1 " for i in range(3000)) + ">",
        "<div></span>" * 3000,
        "<table><tr><td>" * 3000,
    ],
)
def test_no_depth_and_no_number_hides_the_form(before):
    form = fields(before + _PASSWORD)
    assert "form-get to-" in form["forms"]
    assert form["forms"].endswith("password-password")
    assert "asks-password" in form["marks"]


@pytest.mark.parametrize(
    ("action", "where"),
    [
        ("https://evil.example/", "other"),
        ("https:evil.example/", "own"),  # the scheme of the page: a relative path
        ("https:/evil.example/", "own"),
        ("http:/evil.example/", "other"),
        ("\\\\evil.example/a", "other"),
        ("/\\evil.example/a", "other"),
        (" //evil.example", "other"),
        ("ht\ntps://ev\til.example/", "other"),
        ("login.php", "own"),
        ("/login", "own"),
        ("?x=//evil.example", "own"),
        ("data:text/html,x", "data"),
    ],
)
def test_targets_lead_where_browsers_go(action, where):
    page = f'<form action="{action}"></form>\x1fhttps://bank.example/x/y'
    assert fields(page)["forms"] == f"form-get to-{where}"
    button = f'<button formaction="{action}">go</button>\x1fhttps://bank.example/x/y'
    assert fields(button)["forms"] == f"form-butto to-{where} go"


def test_the_base_of_a_page_counts():
    page = "<base href='https://evil.example/a/'><form action=x></form><a href=y>z</a>"
    form = fields(page + "\x1fhttps://bank.example/")
    assert form["forms"] == "form-get to-other"
    assert form["hosts"] == "evil.example"


@pytest.mark.parametrize(
    "piece",
    ["<div>", "<div></x>", "<b><p>", "<a href='", "<!--", "<script>", "<", "<a ", "<table><tr><td>",
     "<select><option>", "<template>", "<svg><g>", "&amp", "<title>"],
)  # fmt: skip
def test_a_mebibyte_of_hostile_markup_comes_to_an_end(piece):
    fields(piece * ((1 << 20) // len(piece)))


def test_folders_of_pages_are_labeled_by_their_name(tmp_path):
    for folder in ("benign", "phishing"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.html").write_text(f"<p>{folder}</p>")
    (tmp_path / "benign" / "b.htm").write_text("")
    quarantine = Quarantine()
    events = read_dataset([tmp_path], TASK, quarantine=quarantine)
    assert events.label_names.tolist() == ["benign", "phishing"]
    assert dict(quarantine.reasons) == {"empty page": 1}


@pytest.mark.parametrize("gzip", [True, False])
def test_web_archives(tmp_path, gzip):
    path = tmp_path / ("a.warc.gz" if gzip else "a.warc")
    pages = [
        ("http://a.example/x", b"<p>one\x1f</p>", "text/html; charset=utf-8"),
        ("http://a.example/y.png", b"png", "image/png"),
        ("http://b.example.co.uk/", b"<p>two</p>", "text/html"),
        ("http://c.example/", b" ", "text/html"),
    ]
    path.write_bytes(archive(*pages, gzip=gzip))
    quarantine = Quarantine()
    events = read_dataset([path], TASK, quarantine=quarantine)
    assert [t.split(b"\x1f")[0] for t in (events.texts[0], events.texts[1])] == [
        b"a.example/x",
        b"b.example.co.uk/",
    ]
    assert events.groups.tolist() == ["a.example", "example.co.uk"]
    assert all(seconds > 1_600_000_000 for seconds in events.column("ts"))
    assert quarantine.passed_over == {"other records": 2}
    assert dict(quarantine.reasons) == {"empty page": 1}


def test_the_charset_of_the_carrier_counts_before_what_a_page_declares(tmp_path):
    page = "<meta charset=koi8-r><p>цветы П".encode("windows-1251")
    kind = "text/html; charset=windows-1251"
    (tmp_path / "a.warc.gz").write_bytes(archive(("http://a.example/", page, kind)))
    head = f"MIME-Version: 1.0\nContent-Type: {kind}\n\n".encode()
    (tmp_path / "b.eml").write_bytes(head + page)
    (tmp_path / "c.html").write_text("<p>цветы П", "utf-16")
    for name in ("a.warc.gz", "b.eml", "c.html"):
        format_name = "mail-html" if name == "b.eml" else None
        events = read_dataset([tmp_path / name], TASK, format_name=format_name)
        assert events.texts[0].decode().endswith("\x1fцветы п"), name


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=10), st.booleans())
def test_damaged_web_archives_are_an_error_or_fewer_pages(tmp_path, changes, gzip):
    data = bytearray(archive(*[("http://a.example/", b"<p>x</p>", "text/html")] * 4, gzip=gzip))
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path / ("b.warc.gz" if gzip else "b.warc")
    path.write_bytes(bytes(data))
    try:
        events = read_dataset([path], TASK)
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert len(events) <= 4


def test_a_column_with_the_address_is_context(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"html": "<p>x</p>", "url": "http://a.example/b"}')
    events = read_dataset([tmp_path / "a.jsonl"], TASK)
    assert events.texts[0].startswith(b"a.example/b\x1f")


@pytest.mark.parametrize("attack", attacks_on("html"), ids=lambda a: a.name)
def test_attacks_on_pages(attack):
    text = FAKE + "\x1fhttp://a.example/"
    made = attack(text, Attacker(np.random.default_rng(0), ["<p>An ordinary page of news.</p>"]))
    assert made != text or attack.name == "text-as-images"
    assert made.endswith("\x1fhttp://a.example/")
    form = fields(made)
    assert form["page"] == "a.example/"
    if attack.name == "split-form":
        assert "password-without-form" in form["marks"]
    if attack.name in ("homoglyphs", "invisible"):
        assert form["text"] == fields(text)["text"]


def test_scripts_survive_disguises_of_the_text():
    attack = next(a for a in attacks_on("html") if a.name == "homoglyphs")
    page = "<script>var account = 'password';</script><p>account</p>" * 20
    made = attack(page, Attacker(np.random.default_rng(1)))
    assert made.count("var account = 'password';") == 20


# --- the HTML of mails ----------------------------------------------------------------------------

HTML_MAIL = (
    b"From: Bank <a@bank.example>\nSubject: x\nDate: Mon, 02 Feb 2026 10:00:00 +0000\n"
    b'MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary="b"\n\n'
    b"--b\nContent-Type: text/plain\n\nplain words\n"
    b'--b\nContent-Type: text/html; charset="latin-1"\n\n'
    b'<html><form action="http://e.example/p"><input type="password"></form>v\xe9rify\x1f</html>\n'
    b"--b--\n"
)


def test_mails_give_their_html_and_those_without_are_passed_over(tmp_path):
    plain = b"From: a@b.example\nSubject: y\n\nno html here\n"
    (tmp_path / "phishing").mkdir()
    (tmp_path / "phishing" / "1.eml").write_bytes(HTML_MAIL)
    (tmp_path / "phishing" / "2.eml").write_bytes(plain)
    quarantine = Quarantine()
    events = read_dataset([tmp_path], TASK, format_name="mail-html", quarantine=quarantine)
    assert quarantine.passed_over.total() == 1
    assert len(events) == 1
    assert events.labels.tolist() == [TASK.class_names.index("phishing")]
    assert "vérify" in events.texts[0].decode()
    assert "plain words" not in events.texts[0].decode()
    assert events.table["ts"].to_pylist() == [1770026400]


def test_tables_of_mails_keep_their_columns(tmp_path):
    raw = [HTML_MAIL, b"From: x@y.example\n\nnone", HTML_MAIL.replace(b"password", b"text")]
    table = pa.table({"raw": raw, "label": ["phishing", "ham", "spam"], "group": ["a", "b", "c"]})
    pq.write_table(table, tmp_path / "mails.parquet")
    events = read_dataset([tmp_path / "mails.parquet"], TASK, format_name="mail-html")
    assert events.label_names.tolist() == ["phishing", "benign"]
    assert events.table["group"].to_pylist() == ["a", "c"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, len(HTML_MAIL)), st.binary(max_size=6)), max_size=6))
def test_damaged_mails_give_a_page_or_none(tmp_path, changes):
    raw = bytearray(HTML_MAIL)
    for at, data in changes:
        raw[at : at + len(data)] = data
    (tmp_path / "m.eml").write_bytes(bytes(raw))
    quarantine = Quarantine()
    chunks = get_reader(tmp_path / "m.eml", "mail-html").chunks(
        tmp_path / "m.eml", ColumnSpec(TASK.text_columns), quarantine
    )
    rows = sum(len(chunk.events) for chunk in chunks)
    assert rows + quarantine.passed_over.total() + quarantine.count == 1


# --- synthetic examples ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "label", "wrong"),
    [
        ("just words, no markup at all", "benign", "no page"),
        ("<html><body></body></html>", "benign", "a page that shows nothing"),
        ("<html><body>sign in here</body></html>", "phishing", "asks for nothing"),
        ("<html><body>sign in here</body></html>", "benign", None),
        ("<html><body>sign in <input name=a></body></html>", "phishing", None),
    ],
)
def test_the_form_of_synthetic_examples_of_pages(text, label, wrong):
    combination = next(c for c in read_template(TASK).combinations if c.label == label)
    found = find_format_error(text, combination, TASK)
    assert found is None if wrong is None else wrong in found


def test_fakes_of_the_plan_are_told_by_the_form_and_own_pages_are_not():
    template = read_template(TASK)
    made = {"phishing": [], "benign": []}
    for combination in template.combinations[::4]:
        page = refang(
            defang(expand(combination.patterns[0], template.slots | combination.slots, RNG))
        )
        if "saved from" in page and "brand" in combination.attributes:
            marks = fields(page)["marks"]
            made[combination.label].append("brand-of-other-site" in marks or "form-other" in marks)
    assert len(made["phishing"]) > 20 < len(made["benign"])
    assert np.mean(made["benign"]) < 0.15
    assert np.mean(made["phishing"]) > 0.5
