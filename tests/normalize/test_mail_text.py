"""What the kernel does with the lines and words of mails is what plain rules do."""

import re
from base64 import b64decode
from binascii import a2b_qp

from hypothesis import given, settings
from hypothesis import strategies as st

from buckler._kernel import (
    base64_bytes,
    base64_lines,
    is_mail_header,
    line_feeds,
    links_in,
    quoted_bytes,
    wallets_in,
)
from buckler.normalize.email_v2 import _IN_TEXT
from buckler.normalize.mail_headers import Mailbox, mailboxes, read_headers

LINES = st.lists(
    st.sampled_from(
        [
            *(
                "From: ",
                "Subject:a",
                "X-A :",
                "to:",
                "note: x",
                " fold",
                "\tf",
                "\0",
                ":",
                "é:",
                "\r",
            ),
            *("a" * 200 + ":", "a" * 201 + ":", "list-:", "listing: ", "\n", "\n", "\n\n"),
        ]
    ),
    max_size=12,
).map(lambda pieces: "".join(pieces).encode())


@settings(max_examples=200)
@given(LINES)
def test_lines_end_in_line_feeds_alone(text):
    expected = text.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert line_feeds(text) == expected


@settings(max_examples=300)
@given(LINES)
def test_headers_are_those_of_their_lines(text):
    headers, begin = read_headers(text)
    block = text[:begin]
    names = [re.match(rb"([!-9;-~]{1,200})[ \t]*:", line) for line in block.split(b"\n")]
    known = [match for match in names if match and is_mail_header(match[0])]
    assert (begin > 0) == (bool(known) or text.startswith(b"\n"))
    for name, values in headers.items():
        assert sum(m[1].lower() == name.encode() for m in known) == len(values)
        assert not any(b"\0" in value or b"\n" in value for value in values)


_PARTS = ["a", "b.c", "@", "x@y.example", "<a@b.example>", " (A B)", '"A B" ', "A. B ", "_", "-"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(_PARTS), max_size=5).map("".join))
def test_a_usual_address_is_read_as_any_other(value):
    quick, slow = mailboxes(value.encode()), mailboxes(f"{value} , ".encode())
    assert quick == slow


def test_names_stand_before_or_behind_addresses():
    assert mailboxes(b'"A  B" <a@b.example.>') == [Mailbox("A B", "a@b.example")]
    assert mailboxes(b"a@b.example (A B)") == [Mailbox("A B", "a@b.example")]
    assert mailboxes(b'"A B <a@b.example>') == [Mailbox("A B", "a@b.example")]
    assert mailboxes(b"") == []


_WALLET = re.compile(
    r"\b(?:bc1[a-z0-9]{25,60}|0x[0-9a-fA-F]{40}|[13][a-km-zA-HJ-NP-Z1-9]{25,34})\b"
)


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(["bc1", "0x", "1", "3", "aB" * 20, "q2" * 13, "l", "_", " ", ".", "é", "-"])
    ).map("".join)
)
def test_wallets_are_counted(text):
    for most in (len(text), len(text) // 2):
        found = wallets_in(text, most)
        expected = len(_WALLET.findall(text[:most]))
        assert found == expected or (found == -1 and not text.isascii())


_BASE64_LINES = re.compile(
    rb"(?:(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?[ \t]*(?:\n|\Z))*"
)
_TEXT_LINE = re.compile(rb"^[^\n ]{1,200} [^\s]", re.M)
_BASE64 = [
    b"QUJD",
    b"A",
    b"B/",
    b"=",
    b"==",
    b"\n",
    b" ",
    b"\t",
    b"a b",
    b"x" * 199,
    b"-",
    b"\xff",
    b"\r",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(_BASE64), max_size=9).map(b"".join))
def test_base64_is_read_as_by_the_rules(body):
    text = _TEXT_LINE.search(body)
    assert base64_lines(body) == (
        _BASE64_LINES.match(body).end(),
        text.start() if text else -1,
    )
    pieces = re.sub(rb"[^A-Za-z0-9+/=]", b"", body).split(b"=")
    whole = [piece[: len(piece) - (len(piece) % 4 == 1)] for piece in pieces]
    assert base64_bytes(body) == b"".join(b64decode(piece + b"==") for piece in whole)


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*_BASE64[3:8], b"=3D", b"=e9", b"=g", b"=\n", b"\r", b"a"])))
def test_quoted_bytes_are_those_of_the_standard_library_without_blanks_at_ends(pieces):
    body = b"".join(pieces)
    trimmed = b"\n".join(line.rstrip(b" \t") for line in body.split(b"\n"))
    has_blank_ends = b" \n" in body or b"\t\n" in body
    assert quoted_bytes(body) == a2b_qp(trimmed if has_blank_ends else body)


_LINKS = [
    "http://",
    "HTTPS://",
    "wWw.",
    "h",
    "w",
    "a.b/c",
    "_",
    " ",
    "\u00a0",
    '"',
    "]",
    "é",
    "\ud800",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*_LINKS, "\x1c", "\x85", "z" * 250]), max_size=12).map("".join))
def test_links_in_texts_are_those_of_the_pattern(text):
    expected = [match[0] for match in _IN_TEXT.finditer(text)][:3]
    found = links_in(text, 3)
    assert found == expected or (found is None and not text.isascii())
