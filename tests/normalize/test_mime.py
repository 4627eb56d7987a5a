"""Mail that breaks the grammar is read as mail programs show it."""

from base64 import b64encode, encodebytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.normalize.email_v2 import email_fields
from buckler.normalize.mime import MAX_DEPTH, MAX_PARTS, parse_message
from tests.normalize import fuzz_mail
from tests.support.growth import assert_linear

HTML = '<p>Bitte bestätigen: <a href="https://bank.example.net/login">hier</a></p>'
TEXT = "Bitte bestätigen: hier"
LINK = "bank.example.net/login"
ENCODED = b64encode(HTML.encode()).decode()
TOP = "From: a@b.example\nTo: c@d.example\nSubject: Konto\nMIME-Version: 1.0\n"
CODED = f"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{ENCODED}\n"
PART = f"--B\n{CODED}--B--\n"
NAMES = ("subject", "marks", "attachments", "links", "hidden", "text")


def fields(raw: str | bytes) -> dict[str, str]:
    return dict(zip(NAMES, email_fields(raw).split("\x1f"), strict=True))


def shown(raw: str | bytes) -> str:
    return " ".join(fields(raw)["text"].split())


@pytest.mark.parametrize(
    "raw",
    [
        "\ufeff" + TOP + CODED,
        (TOP + CODED).encode("utf-16"),
        "\n \n" + TOP + CODED,
        "From a@b.example Mon Jan  5 10:00:00 2026\n" + TOP + CODED,
        ">From a@b.example Mon Jan  5 10:00:00 2026\n" + TOP + CODED,
        TOP + ">From a@b.example Mon Jan  5 10:00:00 2026\n" + CODED,
        TOP + "X-Scan clean\n continued\n" + CODED,
        (TOP + CODED).replace(": ", " : "),
        (TOP + CODED).replace(": ", ":\n\t"),
        (TOP + CODED).replace("\n", "\r\n"),
        (TOP + CODED).replace("\n", "\r"),
        (TOP + CODED).replace("\n", "\r\r\n"),
        TOP.replace("Konto", "Kon\0to") + CODED,
        TOP.upper().replace("KONTO", "Konto") + CODED,
    ],
)  # fmt: skip
def test_headers_are_found(raw):
    form = fields(raw)
    assert (form["subject"], form["links"]) == ("Konto", LINK)
    assert shown(raw) == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "Note: pay now\n\nhttp://pay.example/x",
        "http://pay.example/x\n\nFrom: nobody@b.example",
        "Pay now\nSubject to change: yes\n\nhttp://pay.example/x",
        "From now on, pay here:\n\nhttp://pay.example/x",
    ],
)
def test_text_without_headers_stays_whole(text):
    assert shown(text) == " ".join(text.split())
    assert fields(text)["links"] == "pay.example/x"


def test_a_body_may_begin_without_an_empty_line():
    assert shown("Subject: Konto\nPlease confirm.\nNote: now\n\nBye") == (
        "Please confirm. Note: now Bye"
    )
    assert shown("Subject: Konto\n \nPlease confirm.") == "Please confirm."


@pytest.mark.parametrize(
    "encoding",
    [
        "\n base64",
        '"base64"',
        "base64 (comment)",
        "(7bit) BASE64;",
        "'base64'",
        "7bit\nContent-Transfer-Encoding: base64",
        "x-base64",
    ],
)
def test_transfer_encodings_are_recognized(encoding):
    raw = TOP + CODED.replace("Encoding: base64", f"Encoding: {encoding}")
    assert (fields(raw)["links"], shown(raw)) == (LINK, TEXT)


@pytest.mark.parametrize(
    "body",
    [
        "".join(b64encode(HTML[i : i + 7].encode()).decode() + "\n" for i in range(0, 99, 7)),
        "!" + "\n".join(ENCODED[i : i + 5] for i in range(0, 999, 5)),
        ENCODED.rstrip("="),
        ENCODED + "\n____________\nA list\nTo leave this list, please write to its owner",
        HTML,
    ],
)
def test_base64_is_read_as_far_as_it_can_be(body):
    raw = TOP + CODED.replace(ENCODED, body)
    assert fields(raw)["links"] == LINK
    assert shown(raw).startswith(TEXT)


@pytest.mark.parametrize("charset", ["utf-8", "windows-1252", "iso-8859-1", "utf-16"])
@pytest.mark.parametrize("footer", ["list footer here", "-- \nsent by a group", "Übung für alle"])
def test_a_footer_behind_base64_changes_no_letter_of_it(charset, footer):
    text = "Bitte bestätigen Sie Ihr Konto über die Schaltfläche."
    head = f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64\n\n"
    raw = (TOP + head).encode() + encodebytes(text.encode(charset)) + f"\n{footer}\n".encode()
    assert shown(raw) == f"{text} {' '.join(footer.split())}"


@pytest.mark.parametrize("charset", ["koi8-r", "windows-1251", "shift_jis", "euc-jp", "gb18030"])
@pytest.mark.parametrize("written_in", ["", "utf-8"])
def test_a_footer_of_other_letters_is_text_too(charset, written_in):
    text, footer = ("確認 http://a.example/b", "___\nメール") if "j" in charset else (
        "пароль http://a.example/b", "___\nЖдём вашу"
    )  # fmt: skip
    head = f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64\n\n"
    raw = (TOP + head).encode() + encodebytes(text.encode(charset))
    raw += f"{footer}\n".encode(written_in or charset)
    assert fields(raw)["links"] == "a.example/b"
    assert shown(raw) == f"{text} {' '.join(footer.split())}"


def test_what_a_link_may_hide_behind_is_decoded():
    hidden = "!" + b64encode(b" https://evil.example/ \xe9\xff\x00\x01").decode()
    raw = TOP + CODED.replace("html", "plain").replace(
        ENCODED, b64encode(b"hi!").decode() + "\n" + hidden
    )
    assert fields(raw)["links"] == "evil.example/"


@pytest.mark.parametrize(
    ("rest", "link"),
    [
        ("; Format=flowed; DelSp=Yes", "a.example/login-path"),
        ("; format=flowed; delsp=no", "a.example/log"),
        ("; format=flowed", "a.example/log"),
    ],
)
def test_a_link_over_two_flowed_lines_is_whole(rest, link):
    raw = f"{TOP}Content-Type: text/plain{rest}\n\nhttp://a.example/log \nin-path\n-- \nme\n"
    assert fields(raw)["links"] == link
    assert fields(raw)["text"].endswith("-- \nme\n")


def test_quoted_printable_and_uuencode():
    raw = TOP + "Content-Transfer-Encoding: Quoted-Printable\n\nl=F6=  \nsen f=fcr=3D =zz\n"
    assert shown(raw) == "lösen für= =zz"
    coded = "begin 644 a\n#:&D@\n`\nend\n"
    assert shown(TOP + "Content-Transfer-Encoding: x-uuencode\n\n" + coded) == "hi"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ('multipart/mixed; boundary="B"', PART),
        ("multipart/mixed; boundary=B", PART.replace("--B--\n", "")),
        ("multipart/mixed; boundary=B", CODED + "--B--\n"),
        ('multipart/mixed; boundary="foo\n bar"', PART.replace("--B", "--foo bar")),
        ("multipart/mixed;\n\tboundary=B", PART),
        ('"multipart/mixed"; boundary=B', PART),
        ("multipart/mixed boundary=B", PART),
        ("multipart (x) / mixed; boundary=B (y)", PART),
        ("multipart; boundary=B", PART),
        ("multipart/alternative", PART),
        ("multipart/alternative; boundary=A", PART),
        ("multipart/mixed; boundary=A; boundary=B", PART),
        ("multipart/mixed; boundary*0=X; boundary*1=Y", PART.replace("--B", "--XY")),
        ("multipart/mixed; boundary=B", PART.replace("--B", "--B \t")),
        ("multipart/mixed; boundary=B", PART.replace("--B\n", "--Bxyz\n")),
        ("multipart/mixed; boundary=B", f"--B\n\nhi\n--B--\n{PART}".replace("hi", "")),
        ("multipart/mixed; boundary=B", "--B\n\n" * 2 * MAX_PARTS + PART),
        ("multipart/mixed; boundary=B", f"--B\nContent-Type: multipart/x; boundary=B\n\n{PART}"),
    ],
)  # fmt: skip
def test_parts_are_found(kind, body):
    raw = f"{TOP}Content-Type: {kind}\n\n{body}"
    assert fields(raw)["links"] == LINK
    assert shown(raw) == TEXT


def test_an_encoded_multipart_is_decoded():
    inner = b64encode(PART.encode()).decode()
    kind = "Content-Type: multipart/mixed; boundary=B\nContent-Transfer-Encoding: base64\n\n"
    assert shown(TOP + kind + inner) == TEXT
    assert shown(TOP + kind + PART) == TEXT


def test_a_multipart_without_parts_is_text():
    assert shown(f"{TOP}Content-Type: multipart/mixed; boundary=B\n\nhello") == "hello"


def test_words_of_the_text_are_no_boundaries():
    raw = f"{TOP}Content-Type: multipart/mixed; boundary=B\n\n--B\n\n{'boundary ' * 99}\n{PART}"
    assert fields(raw)["links"] == LINK


def test_a_boundary_that_begins_another_does_not_cut_it():
    inner = f"--B\nContent-Type: multipart/mixed; boundary=BB\n\n{PART.replace('--B', '--BB')}--B--"
    assert shown(f"{TOP}Content-Type: multipart/mixed; boundary=B\n\n{inner}") == TEXT


@pytest.mark.parametrize(
    ("headers", "text", "attachments"),
    [
        ("Content-Type: text/html; name=a.html", TEXT, "a.html text/html page"),
        ("Content-Disposition: inline; filename=a.txt", HTML, "a.txt text/plain document"),
        ("Content-Type: text/html\nContent-Disposition: attachment", "", " text/html"),
        ("Content-Type: text/html\nContent-Disposition: (x) Attachment; filename=a.htm", "",
         "a.htm text/html page"),
        ("Content-Type: text/csv; name=a.csv", "", "a.csv text/csv document"),
        ("Content-Type: text/x; name=a.h\nContent-Disposition: inline", HTML, "a.h text/x"),
        ("Content-Type: text/x-amp-html", TEXT, ""),
    ],
)  # fmt: skip
def test_parts_with_a_name_are_shown_where_mail_programs_show_them(headers, text, attachments):
    raw = f"{TOP}Content-Type: multipart/mixed; boundary=B\n\n--B\n{headers}\n\n{HTML}\n--B--"
    form = fields(raw)
    assert (" ".join(form["text"].split()), form["attachments"]) == (text, attachments)


@pytest.mark.parametrize(
    ("disposition", "attachments"),
    [
        ('filename="a.pdf"', "a.pdf application/pdf document"),
        ("filename=Invoice (1).pdf", "Invoice (1).pdf application/pdf document"),
        ("filename*0=inv; filename*1=oice.exe", "invoice.exe application/pdf program"),
        ("filename*1*=%A4.exe; filename*0*=utf-8''%C3", "ä.exe application/pdf program"),
        ("filename=a.pdf; filename*=utf-8''b%2eexe",
         "b.exe application/pdf program a.pdf application/pdf document"),
        ("filename==?utf-8?q?=C3=A4=2Eexe?=", "ä.exe application/pdf program"),
        ('filename="für März.pdf"', "für März.pdf application/pdf document"),
        ('filename="a.exe. ."', "a.exe. . application/pdf program"),
        ('filename="a.pdf     .exe "', "a.pdf     .exe application/pdf program double-ending"),
        ('filename="a.p\u200bdf.ex\u200be"',
         "a.p\u200bdf.ex\u200be application/pdf program double-ending"),
        ("filename*=idna''a.pdf", "a.pdf application/pdf document"),
        ("filename*=a\0b''a.pdf", "a.pdf application/pdf document"),
        ("name*0=a; name*=b; filename=a.pdf", "a.pdf application/pdf document"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_names_of_attachments(disposition, attachments, charset):
    raw = f"Content-Type: application/pdf\nContent-Disposition: attachment; {disposition}\n\nx"
    if charset == "utf-8" or "\u200b" not in raw:
        assert fields(raw.encode(charset))["attachments"] == attachments


ATTACHED = f"From: x@y.example\nSubject: inner\n{CODED}"


@pytest.mark.parametrize(
    "part",
    [
        f"Content-Type: message/rfc822\n\n{ATTACHED}",
        f"Content-Type: message/global\n\n\n\n{ATTACHED}",
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
        + b64encode(ATTACHED.encode()).decode(),
        "Content-Type: application/octet-stream; name=a.EML\nContent-Transfer-Encoding: base64\n\n"
        + b64encode(ATTACHED.replace("\n", "\r\n").encode()).decode(),
        f'Content-Disposition: attachment; filename="a.eml"\n\n{ATTACHED}',
    ],
)
def test_attached_messages_are_read(part):
    raw = f"{TOP}Content-Type: multipart/mixed; boundary=X\n\n--X\n\nlook\n--X\n{part}\n--X--"
    assert fields(raw)["links"] == LINK
    assert shown(raw) == f"look inner {TEXT}"
    digest = f"{TOP}Content-Type: multipart/digest; boundary=X\n\n--X\n\n{ATTACHED}\n--X--"
    assert shown(digest) == f"inner {TEXT}"


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Überprüfung nötig".encode(), "Überprüfung nötig"),
        ("Überprüfung nötig".encode("latin-1"), "Überprüfung nötig"),
        (b"=?iso-8859-1?Q?Best\xe4tigung?=", "Bestätigung"),
        (b"=?utf-8?b?4pw=?=\n =?UTF-8?B?kyBhYg==?= c =?iso-8859-1*de?q?=e9_?=", "✓ ab c é"),
        (b"=?utf-8?Q?What's up??= now", "What's up? now"),
        (b"=?gb2312?B?19a3+w==?==?x?=", "字符=?x?="),
        (b"\n =?utf-8?q?folded?=", "folded"),
    ],
)
def test_subjects(subject, text):
    assert fields(b"From: a@b.example\nSubject: " + subject + b"\n\nx")["subject"] == text


def test_raw_headers_are_utf_8_or_of_the_charset_of_the_text():
    kind = b"Content-Type: text/plain; charset=windows-1251\nSubject: "
    for subject in ("привет".encode(), "привет".encode("cp1251")):
        assert fields(kind + subject + b"\n\nx")["subject"] == "привет"


def test_utf_7_with_a_wrong_byte():
    raw = (
        b"Content-Type: text/html; charset=utf-7\n\n+ADw-p+AD4-hello and some more\xe9+ADw-/p+AD4-"
    )
    assert shown(raw).startswith("hello and some more")


def test_charsets_of_texts():
    page = '<meta charset="windows-1251"><p>привет</p>'.encode("cp1251")
    assert shown(b"Content-Type: text/html\n\n" + page) == "привет"
    for label in ("utf-8''", "us-ascii'en'"):
        raw = f"Content-Type: text/plain; charset*={label}utf-8\n\nfür"
        assert shown(raw) == "für"
    assert shown(b'Content-Type: text/plain; charset="a\0b"\n\nf\xfcr') == "für"


def test_parts_depth_and_time_are_bounded():
    nested = "".join(
        f"--{i}\nContent-Type: multipart/mixed; boundary={i + 1}\n\n" for i in range(500)
    )
    assert (
        len(parse_message(f"{TOP}Content-Type: multipart/mixed; boundary=0\n\n{nested}"))
        <= 1 + MAX_DEPTH
    )
    assert len(parse_message(b"Content-Type: message/rfc822\n\n" * 500)) == 1 + MAX_DEPTH
    many = "--B\n\nx\n" * 5000
    assert (
        len(parse_message(f"{TOP}Content-Type: multipart/mixed; boundary=B\n\n{many}")) == MAX_PARTS
    )


_HOSTILE = [
    *(";a=b", "a", " ", "(", '"', "<", ",", ":", "@", "a@", "=?a?q?", "=?a?b?b?=", "\\", "\n "),
    *(";a*0=b", "\n\nx:", "=", "--B\n", "a:b\n", '="', "\n--", "a=", "to:b\n"),
]


@pytest.mark.parametrize("piece", _HOSTILE)
@pytest.mark.parametrize(
    "head", ["From: ", "Content-Type: multipart/mixed; boundary=B; ", "Subject: ", TOP + CODED]
)
def test_anything_without_end_is_read_in_linear_time(head, piece):
    assert_linear(lambda text: email_fields(text.encode()), piece, 1 << 19, head)


_PIECES = [
    *(*_HOSTILE, "\n", "\r", "--B", "--B--", "Content-Type: ", "multipart/mixed; ", "boundary=B"),
    *("text/html", "message/rfc822", "Content-Transfer-Encoding: base64", "From: ", "\0", "\ufeff"),
    *("Content-Disposition: attachment; filename=a.eml", "charset=", "utf-7", "é", "begin 644"),
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=4), max_size=60).map("".join))
def test_shuffled_mail_is_read(raw):
    for data in (raw, raw.encode("utf-8", "surrogatepass")):
        for part in parse_message(data):
            assert isinstance(part.text, str)
            assert part.span is None or 0 <= part.span[0] <= part.span[1] <= part.span[2]
    assert email_fields(raw).count("\x1f") == 5


def test_a_second_of_mutations_is_read():
    assert fuzz_mail.main(["--minutes", "0.02"]) == 0
