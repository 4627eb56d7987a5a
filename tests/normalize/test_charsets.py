import pytest
from hypothesis import given
from hypothesis import strategies as st

from buckler.normalize.charsets import decode_text, find_codec


@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        ("für".encode(), "", "für"),
        ("für".encode("latin-1"), "us-ascii", "für"),
        ("für".encode(), "us-ascii", "für"),
        (b"caf\xe9", "", "café"),
        ("Größe und Maß".encode()[:-1], "", "Größe und Ma\ufffd"),
        ("Größe".encode() * 20 + b"\xff", "utf-8", "Größe" * 20 + "\ufffd"),
        ("①髙".encode("cp932"), "Shift_JIS", "①髙"),
        ("镕".encode("gb18030"), "gb2312", "镕"),
        (b"\x93quoted\x94", "iso-8859-1", "“quoted”"),
        (b"\xef\xbb\xbfa", "iso-8859-1", "a"),
        ("aß".encode("utf-16"), "", "aß"),
    ],
)
def test_bytes_are_read_as_mail_programs_and_browsers_read_them(data, label, text):
    assert decode_text(data, label) == text


@pytest.mark.parametrize(
    "label", ["idna", "punycode", "hex", "rot13", "a\0b", "x" * 999, "us-ascii"]
)
def test_what_names_no_charset_has_no_codec(label):
    assert find_codec(label) == ""


@given(st.binary(max_size=200), st.sampled_from(["", "utf-7", "hz", "utf-16", "iso-2022-kr"]))
def test_any_bytes_are_decoded(data, label):
    decode_text(data, label).encode("utf-8", "surrogatepass")
