import string
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler import _kernel
from buckler.errors import SettingsError
from buckler.normalize import NORMALIZERS, NormalizedTexts, get_normalizer

URL, URL3, TEXT = (get_normalizer(name) for name in ("url-v1", "url-v3", "text-v1"))


def url(text: str | bytes, max_bytes: int = 512) -> bytes:
    return URL.normalize(text, max_bytes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://example.com/", b"example.com\x1f\x1f"),
        ("HTTPS://WWW.Example.COM:443/a//b?x=1#f", b"example.com\x1fa//b\x1fx=1#f"),
        ("example.com/login", b"example.com\x1flogin\x1f"),
        ("//example.com/login", b"example.com\x1flogin\x1f"),
        ("http:example.com/login", b"example.com\x1flogin\x1f"),
        ("http:\\\\example.com\\login", b"example.com\x1flogin\x1f"),
        ("hxxps://example.com/%6c%6Fgin", b"example.com\x1flogin\x1f"),
        ("http://ex%61mple.com./%252561", b"example.com\x1fa\x1f"),
        ("http://user:pw@example.com/", b"example.com\x1fuser:pw@\x1f"),
        ("http://google.com@evil.example/a", b"evil.example\x1fgoogle.com@a\x1f"),
        ("http://a@b@evil.example", b"evil.example\x1fa@b@\x1f"),
        ("http://xn--mnchen-3ya.de/", "münchen.de\x1f\x1f".encode()),
        ("http://MÜNCHEN.de/", "münchen.de\x1f\x1f".encode()),
        ("http://example。com/", b"example.com\x1f\x1f"),
        ("http://\uff45\uff58ample.com/", b"example.com\x1f\x1f"),
        ("http://example.com:8080/", b"example.com:8080\x1f\x1f"),
        ("  <http://example.com/a>  ", b"example.com\x1fa\x1f"),
        ("http://example.com?q=1/2", b"example.com\x1f\x1fq=1/2"),
        ("http://example.com/a\tb\x1fc", b"example.com\x1fab c\x1f"),
        ("http://example.com/Path?Query=A", b"example.com\x1fPath\x1fQuery=A"),
        ("", b"\x1f\x1f"),
        ("http://", b"\x1f\x1f"),
        ("%zz%", b"%zz%\x1f\x1f"),
    ],
)
def test_url_normalized_forms(text, expected):
    assert url(text) == expected


hosts = st.lists(
    st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12), min_size=1, max_size=4
).map(".".join)
paths = st.text(string.ascii_letters + string.digits + "/._-~", max_size=40)


@settings(max_examples=200)
@given(hosts, paths, st.sampled_from(["http", "https", "HTTP", "hxxp", "ftp"]), st.data())
def test_scheme_case_and_escapes_change_nothing(host, path, scheme, data):
    plain = url(f"{host}/{path}")
    assert url(f"{scheme}://{host}/{path}") == plain
    assert url(f"{scheme}://{host.upper()}/{path}") == plain
    escaped = "".join(f"%{ord(c):02X}" if data.draw(st.booleans()) else c for c in path.lstrip("/"))
    assert url(f"{scheme}://{host}/{escaped}") == plain
    escaped_host = "".join(f"%{ord(c):02x}" if data.draw(st.booleans()) else c for c in host)
    assert url(f"http://{escaped_host}/{path}") == plain


@settings(max_examples=200)
@given(
    st.text(st.characters(categories=["Ll", "Lo"], max_codepoint=0xFFFF), min_size=1, max_size=20)
)
def test_punycode_gives_the_host_that_it_stands_for(label):
    label = unicodedata.normalize("NFKC", label).lower()
    encoded = label.encode("punycode").decode()
    if label.isascii() or "." in label:
        return
    assert url(f"http://xn--{encoded}.example/") == url(f"http://{label}.example/")


@settings(max_examples=300)
@given(st.binary(max_size=2000), st.integers(1, 600))
def test_any_bytes_give_a_bounded_form_with_two_borders(data, max_bytes):
    form = url(data, max_bytes)
    assert len(form) <= max_bytes
    assert form.count(b"\x1f") <= 2
    assert all(c >= 0x20 and c != 0x7F for c in form if c != 0x1F)
    if max_bytes > len(data) * 4 + 16:
        assert form.count(b"\x1f") == 2


@settings(max_examples=200)
@given(st.text(max_size=200))
def test_text_is_folded_as_unicode_says(text):
    form = TEXT.normalize(text, 4096)
    assert len(form) <= 4096
    assert b"  " not in form
    folded = []
    for c in text:
        if c == "\x1f":
            folded.append(c)
            continue
        f = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", c).lower())
        folded.append(f if len(f) == 1 else c)
    expected = "".join(folded).replace("\u3002", ".")
    clean = "".join(" " if (c <= " " and c != "\x1f") or c == "\x7f" else c for c in expected)
    fields = [" ".join(p for p in f.split(" ") if p) for f in clean.split("\x1f")]
    got = form.decode("utf-8", "surrogatepass").split("\x1f")
    assert got == fields


@settings(max_examples=100)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=600)), max_size=20), st.integers(1, 700))
def test_columns_and_single_texts_agree(batch, max_bytes):
    for normalizer in (URL, TEXT, NORMALIZERS["none"]):
        column = normalizer.normalize_column(pa.array(batch, pa.large_binary()), max_bytes)
        single = [b"" if t is None else normalizer.normalize(t, max_bytes) for t in batch]
        assert [column[i] for i in range(len(column))] == single


def test_a_column_of_many_kinds_of_text_grows_its_buffer():
    batch = ["x" * 5000, "é" * 3000, ""] * 200
    forms = TEXT.normalize_column(pa.array(batch), 8192)
    assert [forms[i] for i in range(3)] == [b"x" * 5000, "é".encode() * 3000, b""]
    assert len(forms) == 600


def test_unknown_normalizers_and_bad_sizes_are_refused():
    with pytest.raises(SettingsError, match="url-v1"):
        get_normalizer("url-v9")
    with pytest.raises(ValueError, match="max_bytes"):
        _kernel.normalize(1, "a", 0)
    with pytest.raises(TypeError):
        URL.normalize_column(7, 512)


@settings(max_examples=200)
@given(hosts, paths)
def test_url_v3_is_url_v1_and_more(host, path):
    plain = f"http://h.{host}.example/{path}"
    assert URL3.normalize(plain, 768).split(b"\x1f")[:3] == url(plain).split(b"\x1f")


@settings(max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=20),
            st.sampled_from(
                [
                    "http://",
                    "[.]",
                    "google.com/url?q=",
                    "%3A%2F%2F",
                    "utm_a=",
                    "&",
                    "@",
                    "0x7f",
                    "017700000001",
                    "xn--",
                    "://",
                    "paypal",
                    "\x1f",
                ]
            ),
        ),
        max_size=20,
    ).map("".join),
    st.sampled_from([1, 5, 100, 300, 768]),
)
def test_any_url_has_a_form_with_features_that_fits(text, max_bytes):
    form = URL3.normalize(text, max_bytes)
    assert len(form) <= max_bytes
    data = text.encode("utf-8", "surrogatepass")
    assert URL3.normalize_column(pa.array([data], pa.large_binary()), max_bytes)[0] == form


@settings(max_examples=200)
@given(
    st.lists(st.lists(st.sampled_from([b"a", b"bc", b"\x1f", b"\x1d", b"\x1f\x1d"])), max_size=6)
)
def test_features_are_cut(parts):
    texts = [b"".join(p) for p in parts]
    cut = NormalizedTexts.from_bytes(texts).without_features()
    assert [cut[i] for i in range(len(cut))] == [t.partition(b"\x1f\x1d")[0] for t in texts]


@given(st.lists(st.binary(max_size=6), min_size=1, max_size=6), st.lists(st.integers(0, 5)))
def test_texts_are_taken_in_the_order_of_the_rows(texts, rows):
    rows = [row % len(texts) for row in rows]
    column = NormalizedTexts.from_bytes(texts)
    assert list(column.take(np.array(rows, np.intp))) == [texts[row] for row in rows]
    with pytest.raises(IndexError):
        column.take(np.array([len(texts)]))


@pytest.mark.parametrize(
    ("starts", "offsets"),
    [([9], [0, 2]), ([-1], [0, 1]), ([0], [0, -1]), ([0], [1, 2]), ([0, 0], [0, 9, 1]), ([0], [0])],
)
def test_texts_beyond_the_data_are_refused(starts, offsets):
    with pytest.raises(ValueError, match="not in the data"):
        _kernel.take_texts(b"0123456789", np.array(starts), np.array(offsets))
