"""Charsets as the Encoding standard and the HTML standard say."""
# ruff: noqa: RUF001 - letters of other alphabets are the point

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buckler.normalize.charsets import decode_page, decode_text, find_codec

LABELS = {
    "gb18030": "gb2312 GBK x-gbk chinese gb_2312-80",
    "cp932": "shift_jis Shift-JIS x-sjis windows-31j ms_kanji",
    "cp949": "euc-kr ks_c_5601-1987 korean x-windows-949 windows-949",
    "cp1252": "iso-8859-1 latin1 ibm819 x-cp1252",
    "cp1254": "iso-8859-9 latin5",
    "cp874": "tis-620 windows-874 iso-8859-11 dos-874",
    "big5hkscs": "big5 cn-big5 x-x-big5 cp950",
    "iso8859-8": "iso-8859-8-i logical visual hebrew",
    "koi8-u": "koi8-ru koi8-u",
    "utf-8": "UTF8 unicode-1-1-utf-8 'utf-8'",
    "mac-roman": "macintosh x-mac-roman",
    "utf-16-le": "utf-16 unicode ucs-2",
}


@pytest.mark.parametrize(
    ("codec", "label"), [(c, label) for c, labels in LABELS.items() for label in labels.split()]
)
def test_labels_mean_what_browsers_take_them_for(codec, label):
    assert find_codec(f" {label}\n") == codec


@pytest.mark.parametrize("label", ["", "", "idna", "punycode", "base64", "rot13", "\0", "é" * 99])
def test_other_codecs_of_python_are_no_charsets(label):
    assert find_codec(label) == ""
    assert decode_text("naïve".encode(), label) == "naïve"


@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        ("für".encode(), "us-ascii", "für"),
        ("für".encode("latin-1"), "us-ascii", "für"),
        (b"caf\xe9", "", "café"),
        ("Größe und Maß".encode()[:-1], "", "Größe und Ma\ufffd"),
        ("Größe".encode() * 20 + b"\xff", "utf-8", "Größe" * 20 + "\ufffd"),
        (b"\xef\xbb\xbfa", "iso-8859-1", "a"),
        ("lost \ufffd\ufffd before".encode(), "", "lost \ufffd\ufffd before"),
        ("ter\u00e7a \ufffd \ufffd \ufffd".encode(), "utf-8", "ter\u00e7a \ufffd \ufffd \ufffd"),
        (b"+ADw-html+AD4-", "utf-7", "<html>"),
        ("aß".encode("utf-16"), "", "aß"),
        ("приветствуем".encode(), "iso-2022-jp", "приветствуем"),
    ],
)
def test_bytes_are_read_as_mail_programs_and_browsers_read_them(data, label, text):
    assert decode_text(data, label) == text


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("gb2312", "gbk", "陶喆的賬戶，镕"),
        ("big5", "big5hkscs", "你的賬戶"),
        ("shift_jis", "cp932", "ログイン②㈲髙"),
        ("euc-kr", "cp949", "비밀번호 펲시콜라"),
        ("iso-8859-1", "cp1252", "“5 €” – it’s"),
        ("windows-874", "cp874", "รหัสผ่าน"),
        ("x-mac-cyrillic", "mac-cyrillic", "пароль"),
        ("euc-jp", "euc-jp", "パスワード ｱｲ 丂"),
        ("iso-2022-jp", "iso-2022-jp", "パスワード abc"),
        ("hz-gb-2312", "hz", "密码"),
        ("iso-2022-kr", "iso2022_kr", "비밀번호"),
    ],
)
def test_a_wrong_byte_costs_one_character(label, codec, text):
    data = text.encode(codec)
    assert decode_text(data, label) == text
    if codec not in ("hz", "iso2022_kr"):
        assert decode_text(data + b"\xff" + b"  tail", label).startswith(text)


@pytest.mark.parametrize("label", ["iso-2022-jp", "euc-jp"])
def test_rows_of_vendors_in_japanese(label):
    data = {"iso-2022-jp": b'\x1b$B-"-j\x1b(Bx\x1b(I1\x1b$(D0!', "euc-jp": b"\xad\xa2\xad\xeax"}
    assert decode_text(data[label], label).startswith("②㈱x")


@pytest.mark.parametrize("label", ["", "utf-8", "no-such"])
@pytest.mark.parametrize("cut", [b"", b"\xd0", b" \xff ", b"\xe2\x82"])
def test_utf_8_with_a_cut_character_stays_utf_8(label, cut):
    text = "Введите пароль — сейчас"
    assert decode_text(cut + text.encode() + cut, label).strip(" \ufffd") == text
    assert decode_text("caf\xe9 5\x80".encode("latin-1"), label) == "café 5€"


@pytest.mark.parametrize(
    ("page", "label", "text"),
    [
        (b"\xef\xbb\xbf<meta charset=windows-1251>\xd0\x92", "koi8-r", "В"),
        (b"<meta charset=windows-1251>\xc2", "koi8-r", "б"),
        (b"<!-- <meta charset=koi8-r> --><meta charset=windows-1251>\xc2", "", "В"),
        (b"<!--><meta charset=windows-1251><!-- -->\xc2", "", "В"),
        (b"<!--" + b"x" * 20_000 + b"--><meta charset=windows-1251>\xc2", "", "В"),
        (b"<p title='<meta charset=koi8-r>'><meta charset=windows-1251>\xc2", "", "В"),
        (b"<META name=x content='charset=koi8-r'><meta charset = windows-1251>\xc2", "", "В"),
        (b"<meta content='text/html; charset=cp1251' http-equiv=Content-Type>\xc2", "", "В"),
        (b"<meta charset=nonsense><meta charset='windows-1251'/>\xc2", "", "В"),
        (b"<metadata charset=koi8-r><meta charset=windows-1251>\xc2", "", "В"),
        (b"<?xml version='1.0' encoding='windows-1251'?>\xc2", "", "В"),
        ("<meta charset=utf-16>В".encode(), "", "В"),
        (b"<meta charset=utf-7>+AGE-", "", "+AGE-"),
        (b"<meta charset=x-user-defined>\x80", "", "€"),
        ("<meta charset=windows-1251>В stored as text".encode(), "", "В stored as text"),
        ("<p>В".encode("utf-16"), "", "<p>В"),
        ("<p>В".encode("utf-16-be"), "", "В"),
    ],
)
def test_what_counts_first_for_the_charset_of_a_page(page, label, text):
    assert decode_page(page, label).endswith(text)


@given(st.binary(max_size=400), st.sampled_from([*map(str, LABELS), "utf-7", "hz", "euc-jp", "x"]))
def test_any_bytes_are_text_in_any_charset(data, label):
    for decode in (decode_text, decode_page):
        decode(data, label).encode()
        decode(b"<meta charset=" + label.encode() + b">" + data).encode()


@pytest.mark.parametrize(
    "piece", [b"<meta ", b"<meta '", b"<!--", b'<a "', b"\x1b$B", b"<", b"\x8f"]
)
def test_declarations_are_looked_for_in_linear_time(piece):
    decode_page(piece * ((1 << 18) // len(piece)))
    decode_text(piece * ((1 << 18) // len(piece)), "iso-2022-jp")
    decode_text(piece * ((1 << 18) // len(piece)), "euc-jp")
