import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.normalisers import get_normaliser
from buckler.normalisers.email import email_fields
from buckler.normalisers.html_text import links, visible_text

MULTIPART = b"""\
From: A <a@example.com>
Subject: =?utf-8?q?Hello_=E2=9C=93?= and =?iso-8859-1?b?6Q==?=
Received: from secret.example
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=XX

--XX
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Caf=E9 today
--XX
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PHA+UGF5IDxhIGhyZWY9Imh0dHA6Ly9ldmlsLmV4YW1wbGUveD9hPTEmYW1wO2I9MiI+aGVyZTwv
YT48L3A+PHNjcmlwdD52YXIgaGlkZGVuPTE7PC9zY3JpcHQ+
--XX
Content-Type: application/pdf; name="invoice.pdf"
Content-Disposition: attachment; filename="invoice.pdf"

JVBERi0=
--XX--
"""


def test_a_message_becomes_subject_text_links_and_attachments():
    subject, text, targets, attachments = email_fields(MULTIPART).split("\x1f")
    assert subject == "Hello ✓ and é"
    assert text.split() == ["Café", "today", "Pay", "here"]
    assert targets == "http://evil.example/x?a=1&b=2"
    assert attachments == "invoice.pdf application/pdf"


def test_headers_that_tell_the_mail_system_are_left_out():
    assert "secret.example" not in email_fields(MULTIPART)


def test_bytes_and_str_of_a_message_agree():
    assert email_fields(MULTIPART.decode()) == email_fields(MULTIPART)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"From x\n",
        b"no headers at all",
        b"Content-Type: multipart/mixed\n\nno boundary",
        b"Content-Type: text/html; charset=no-such\n\n\xff",
        b"Content-Type: text/plain; charset=punycode\n\n" + b"a-" * 1000,
        b"Subject: =?utf-8?b?!!!?=\n\nx",
        b"Subject: =?idna?q?a?=\n\nx",
        b"Content-Transfer-Encoding: base64\n\n====",
        b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 x\nM\n",
        b"Content-Type: message/rfc822\n\n" * 500,
        b"Content-Type: multipart/mixed; boundary=a\n\n--a\n" * 300,
    ],
)
def test_broken_messages_are_judged_as_the_text_that_they_are(raw):
    assert email_fields(raw).count("\x1f") == 3


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_behind_any_header_give_four_fields(data):
    for head in (b"", b"Content-Type: text/html\n\n", b"Subject: =?utf-8?q?", MULTIPART[:200]):
        assert email_fields(head + data).count("\x1f") == 3


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "\n",
                "--XX",
                "--XX--",
                "Content-Type: ",
                "multipart/mixed; ",
                "boundary=XX",
                "text/html",
                "<a href=",
                "x",
                ";",
                '"',
                "=?",
                "?=",
            ]
        ),
        max_size=60,
    )
)
def test_shuffled_mime_never_raises(parts):
    email_fields("".join(parts))


@pytest.mark.parametrize(
    "piece", ["<", "<a", "<script", "<!--", "href=", "<a href='", "&", "</head"]
)
def test_a_mebibyte_of_hostile_html_is_done_in_one_pass(piece):
    # Quadratic work would take hours here; nothing is asserted on time.
    source = piece * (1_000_000 // len(piece))
    visible_text(source)
    assert len(links(source, 64)) <= 64


def test_scripts_styles_and_comments_are_not_visible():
    source = "<head><title>t</title></head><header>H</header><style>s</style><!-- c -->a&amp;b<br>c"
    assert visible_text(source).split() == ["H", "a&b", "c"]


def test_long_messages_are_cut_and_fields_cannot_be_forged():
    form = get_normaliser("email-v1").canonical(b"Subject: a\x1fb\n\n" + b"word " * 400_000, 8192)
    assert len(form) <= 8192
    assert form.startswith(b"a b\x1fword word")
