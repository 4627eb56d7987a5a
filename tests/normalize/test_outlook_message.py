"""Outlook messages: code pages, rich text, messages inside, damage."""

import struct
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.normalize.email_v2 import email_fields
from buckler.normalize.mime import message_headers
from buckler.normalize.outlook_message import internet_message
from buckler.normalize.rich_text import decompress, read_rich_text
from tests.support.made_msg import compound_file, made_msg, message_tree

SUBJECT, HEADERS, BODY, RTF, HTML, DATA = 0x37, 0x7D, 0x1000, 0x1009, 0x1013, 0x3701
NAMES = ("subject", "marks", "attachments", "links", "hidden", "text")


def fields(data: bytes) -> dict[str, str]:
    raw = internet_message(data)
    assert raw is not None
    form = dict(zip(NAMES, email_fields(raw).split("\x1f"), strict=True))
    return {**form, "text": " ".join(form["text"].split())}


@pytest.mark.parametrize(
    ("text", "code_page", "codec"),
    [
        ("Bitte bestätigen", 1252, "cp1252"),
        ("Подтвердите", 1251, "cp1251"),
        ("確認してください", 932, "cp932"),
        ("请确认", 936, "gbk"),
        ("確認", 950, "big5"),
        ("확인", 949, "cp949"),
        ("potvrďte", 1250, "cp1250"),
        ("bestätigen", 65001, "utf-8"),
        ("Подтвердите", 0, ""),
        ("bestätigen", 28591, "latin-1"),
    ],
)
def test_texts_of_a_code_page(text, code_page, codec):
    tree = message_tree({SUBJECT: text, BODY: text}, (), code_page, codec)
    form = fields(compound_file(tree))
    assert (form["subject"], form["text"]) == (text, text)


def test_html_is_bytes_of_the_internet_code_page_or_text():
    page = "<p>Подтвердите</p>".encode("koi8-r")
    assert (
        fields(compound_file(message_tree({HTML: page}, (), 1251, "cp1251")))["text"]
        == "Подтвердите"
    )
    assert fields(made_msg("s", "a@b.example", "plain", "<p>page</p>"))["text"] == "plain page"


def test_a_sender_without_transport_headers():
    tree = message_tree({0x0C1A: "Bob", 0x5D01: "x@evil.example", SUBJECT: "s", BODY: "b"})
    raw = internet_message(compound_file(tree))
    assert message_headers(raw)["from"] == [b'"Bob" <x@evil.example>']


def test_headers_cannot_be_forged_by_texts():
    tree = message_tree({SUBJECT: "s\nFrom: a@b.example\n\nbody", BODY: "hello"})
    form = fields(compound_file(tree))
    assert (form["subject"], form["text"]) == (
        "s From: a@b.example  body".replace("  ", " "),
        "hello",
    )


INNER = {SUBJECT: "inner", BODY: "see http://evil.example/x"}


@pytest.mark.parametrize(
    "attachment",
    [
        {0x3001: "inner", DATA: message_tree(INNER, inside=True)},
        {0x3707: "a.msg", DATA: compound_file(message_tree(INNER))},
        {0x3707: "a.eml", DATA: b"Subject: inner\r\n\r\nsee http://evil.example/x"},
    ],
)
def test_messages_inside_are_read(attachment):
    form = fields(compound_file(message_tree({SUBJECT: "s", BODY: "look"}, (attachment,))))
    assert form["text"] == "look inner see http://evil.example/x"
    assert form["links"] == "evil.example/x"


@pytest.mark.parametrize("head", ["name=a.msg", "name=report", "filename=a.MSG"])
def test_an_outlook_message_in_a_mail_is_read(head):
    kind = "octet-stream" if "msg" in head.lower() else "vnd.ms-outlook"
    data = b64encode(compound_file(message_tree(INNER))).decode()
    disposition = f"\nContent-Disposition: attachment; {head}" if head[0] == "f" else ""
    part = f"Content-Type: application/{kind}; {head}{disposition}\nContent-Transfer-Encoding: "
    kind = "multipart/mixed; boundary=B"
    raw = f"Subject: s\nContent-Type: {kind}\n\n--B\n{part}base64\n\n{data}\n--B--"
    assert "evil.example/x" in email_fields(raw)


def test_messages_inside_are_bounded():
    tree = message_tree(INNER, inside=True)
    for _ in range(20):
        tree = message_tree(INNER, ({DATA: tree}, {DATA: tree}), inside=True)
        if len(str(tree)) > 300_000:
            break
    raw = internet_message(compound_file(message_tree(INNER, ({DATA: tree},))))
    assert raw is not None
    assert raw.count(b"message/rfc822") <= 64


COMPRESSED = bytes.fromhex(  # the example of [MS-OXRTFCP]
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)


def rich(source: bytes) -> bytes:
    return struct.pack("<II4sI", len(source) + 12, len(source), b"MELA", 0) + source


def test_rich_text_is_decompressed():
    assert decompress(COMPRESSED, 999) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert decompress(COMPRESSED, 5) == b"{\\rtf"
    assert read_rich_text(COMPRESSED, 999).text == "hello world"


@pytest.mark.parametrize(
    ("source", "text", "page"),
    [
        (
            rb"{\rtf1\ansicpg1251 \'cf\'ee\u1076?\par\b x\b0{\fonttbl{\f0 Arial;}}{\*\x y}}",
            "Под\nx",
            "",
        ),
        (rb"{\rtf1\uc2\u8364 ab\{c\}\~\emdash}", "€{c} —", ""),
        (
            rb"{\rtf1\ansi\fromhtml1 {\*\htmltag64 <p>}\htmlrtf {\b\htmlrtf0 hi{\*\htmltag4 <br>}"
            rb'\htmlrtf \par}\htmlrtf0{\*\htmltag84 <a href="http://evil.example/x">}'
            rb"{\*\mhtmltag84 no}go{\*\htmltag92 </a>}}",
            "",
            '<p>hi<br><a href="http://evil.example/x">go</a>',
        ),
    ],
)
def test_rich_text_and_the_page_inside(source, text, page):
    assert read_rich_text(rich(source), 9999) == (text, page)


def test_a_message_of_rich_text_alone_has_its_text_and_links():
    source = rb'{\rtf1\fromhtml1 {\*\htmltag <a href="http://evil.example/x">}go{\*\htmltag </a>}}'
    form = fields(compound_file(message_tree({SUBJECT: "s", RTF: rich(source)})))
    assert (form["text"], form["links"]) == ("go", "evil.example/x")


@settings(max_examples=200)
@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from([*rb"}{\\", b"\\u9999999", b"\\'z", b"\\uc-5", b"\\u-1", b"x"])).map(
        lambda pieces: b"".join(p if isinstance(p, bytes) else bytes([p]) for p in pieces)
    ),
    st.sampled_from([b"LZFu", b"MELA"]),
)
def test_any_rich_text_is_read(data, kind):
    read_rich_text(struct.pack("<II4sI", 0, 4000, kind, 0) + data, 4000)


@pytest.mark.parametrize(
    "data", [b"", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", compound_file({"a": b"x"})]
)
def test_what_is_no_outlook_message(data):
    assert internet_message(data) is None
