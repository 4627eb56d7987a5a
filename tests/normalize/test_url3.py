"""url-v3: fields in plain text, and features that select rows themselves."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler import _kernel
from buckler.dataset.splits import minhash, near_duplicates_of
from buckler.normalize import get_normalizer
from buckler.normalize.known_sites import KNOWN_SITES, USER_CONTENT
from buckler.normalize.sites import site_of

URL3 = get_normalizer("url-v3")
PATHS = ("portable", "avx2", "avx512")
SIGNS = (
    *("brand in sub", "lure in sub", "brand in name", "lure in name", "brand behind"),
    *("lure behind", "own brand", "disguised", "near", "address", "port", "user info"),
    *("foreign", "look-alike", "target", "tracked", "known site"),
)


def fields(text: str, max_bytes: int = 768) -> list[str]:
    return URL3.normalize(text, max_bytes).split(b"\x1f\x1d")[0].decode().split("\x1f")


def features(text: str, max_bytes: int = 768) -> dict[str, int]:
    words = URL3.normalize(text, max_bytes).split(b"\x1f\x1d")[1].decode("ascii")
    assert len(words) % 4 == 0
    found = {}
    for at in range(0, len(words), 4):
        number = sum((ord(c) - 0x30) << 6 * i for i, c in enumerate(words[at + 1 : at + 4]))
        found.setdefault(words[at], number)
    return found


def signs(text: str) -> set[str]:
    number = features(text)["u"]
    return {sign for at, sign in enumerate(SIGNS) if number >> at & 1}


def step(n: int) -> int:
    return n if n < 4 else 2 * (n.bit_length() - 1) + (n >> n.bit_length() - 2 & 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HTTPS://WWW.Example.COM:443/A/b.php?x=1&utm_source=m", ["example.com", "A/b.php", "x=1"]),
        ("a.example", ["a.example", "", ""]),
        ("https://www.google.com/url?q=https://b.example/x", ["b.example", "x", "", "google.com"]),
        ("http://a.example/r?u=http://b.example/c", ["a.example", "r", "u=http://b.example/c"]),
    ],
)
def test_disguises_are_undone(text, expected):
    assert fields(text)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("hxxps://evil[.]example[.]com/a", "evil.example.com", "a"),
        ("hxxp[://]evil(dot)example/a", "evil.example", "a"),
        ("http://3232235777/a", "192.168.1.1", "a"),
        ("http://0xC0A80101/", "192.168.1.1", ""),
        ("http://0300.0250.1.1:8080/", "192.168.1.1:8080", ""),
        ("http://192.168.257/", "192.168.1.1", ""),
        ("http://256.1.1.1.1/", "256.1.1.1.1", ""),
        ("http://4294967296/", "4294967296", ""),
        ("http://09.1.1.1/", "09.1.1.1", ""),
        ("http://1.2.3.4.5/", "1.2.3.4.5", ""),
        ("http://[::1]/a", "[::1]", "a"),
        ("http://xn--pypal-4ve.com/", "paypal.com", ""),
        (
            "https://www.google.com/url?q=https%3A%2F%2Fwww.evil.example%2Fa&sa=D",
            "evil.example",
            "a",
        ),
        (
            "https://nam02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fa.example%2Fb&data=x",
            "a.example",
            "b",
        ),
        (
            "https://l.facebook.com/l.php?u=https%3A%2F%2Fwww.google.com%2Furl%3Fq%3Dhttp%253A%252F%252Fb.example",
            "b.example",
            "",
        ),
        ("https://google.com/search?q=http://a.example/", "google.com", "search"),
        ("https://notgoogle.com/url?q=http://a.example/", "notgoogle.com", "url"),
        ("", "", ""),
    ],
)
def test_it_sees_through_disguises(text, host, path):
    assert fields(text)[:2] == [host, path]


def test_it_leaves_out_where_a_visitor_came_from():
    assert fields("http://a.example/?utm_source=x&id=7&gclid=abc&fbclid=d")[2] == "id=7"


def test_it_names_where_a_link_leads():
    assert fields("http://a.example/go?to=https://www.b.example/Path&x=1")[3] == "b.example/path"
    assert fields("https://web.archive.org/web/2020/http://b.example/x")[3] == "web.archive.org"


def test_counts_are_those_of_the_fields():
    url = "http://login.my-shop24.example.co.uk/a/bc12.html?q=1"
    found = features(url)
    host, path = "login.my-shop24.example.co.uk", "a/bc12.html"
    assert [found[c] for c in "abcdefghi"] == [
        *(step(len(host)), step(len("example")), 2, step(2), 1),
        *(2, step(len(path)), step(2), step(3)),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://paypal.fr/", {"own brand", "brand in name"}),
        ("https://www.paypal.com/signin", {"known site", "lure behind"}),
        ("https://outlook.office365.com/owa/", {"known site"}),
        ("https://a.service.gov.uk/", {"known site", "lure in name"}),
        ("https://paypal.com.evil.ru/", {"brand in sub"}),
        ("https://docs.google.com/forms/d/x", {"own brand", "brand in name"}),
        ("https://paypal.example.com/signin", {"brand in sub", "lure behind"}),
        ("https://secure-paypal.com/", {"brand in name", "lure in name"}),
        ("https://paypa1.com/", {"disguised", "near"}),
        ("https://paypai.com/", {"near"}),
        ("https://my-dhl.com/", {"brand in name"}),
        ("https://dhl.ru/", {"brand in name", "own brand"}),
        ("https://dhl.com/", {"known site"}),
        ("https://shdhlx.com/", set()),
        ("https://a.example/Apple/LOGIN", {"brand behind", "lure behind"}),
        ("http://3232235777/", {"address"}),
        ("http://a.example:8080/", {"port"}),
        ("http://u@a.example/", {"user info"}),
        ("http://\u0430pple.com/", {"foreign", "look-alike", "brand in name"}),
        ("http://a.example/?utm_source=x&u=http://b.example/", {"tracked", "target"}),
        ("http://paypal-login.com/", {"brand in name", "lure in name"}),
        ("http://gooogle.com/", {"near"}),
        ("http://paypla.com/", {"near"}),
        ("http://paypal.com.evil.ru/verify", {"brand in sub", "lure behind"}),
        ("http://evil.ru/paypal/", {"brand behind"}),
        ("http://1.2.3.4:81/", {"address", "port"}),
        ("http://xn--pypal-4ve.com/", {"foreign", "look-alike", "brand in name"}),
        ("http://m\u00fcnchen.de/", {"foreign"}),
        ("http://plain.example/", set()),
    ],
)
def test_signs(text, expected):
    assert signs(text) == expected


def test_every_known_site_is_known_and_its_user_content_is_not():
    for site in KNOWN_SITES:
        assert site_of(site) == site  # as the kernel finds it
        assert "known site" in signs(f"https://www.{site}/a"), site
        assert site == "gov.uk" or "known site" in signs(f"https://a.b-1.{site}"), site
        for other in (f"xq{site}", f"{site}.example", site.replace(".", "-", 1) + ".example"):
            assert "known site" not in signs(f"https://{other}/"), other
    for host in USER_CONTENT:
        assert "known site" not in signs(f"https://{host}/a"), host


def test_a_long_path_never_hides_the_features():
    text = "http://a.example/" + "x" * 5000 + "/paypal?" + "y" * 5000
    form = URL3.normalize(text, 768)
    assert len(form) <= 768
    assert len(features(text)) >= 21


_PIECES = (
    *("http://", "https://", "www.", ".", "..", "-", "--", "xn--", "/", "//", "/./", "?", "#", "&"),
    *("=", "utm_source=a", "google", ".com", ".co.uk", ".com.au", ".google", "paypal", "PayPal"),
    *(
        "login",
        "office365",
        "dhl",
        "paypal.com",
        "gov.uk",
        "0",
        "1.2.3.4",
        "0x7f",
        "@",
        ":80",
        ":8080",
        ":",
        "://",
        "%41",
    ),
    *("%", "\\", '"', "_", "~", "\xe9", "vk", "wl.co", "l.", "bing.com/ck/", "A", "Z", "paypa1"),
    *(".html", "docs.google.com", "yandex", "WWW.", "GOOGLE.COM/url?q=", ".CO.UK", "XN--a", ".COM"),
)
urls = st.lists(
    st.sampled_from([*_PIECES, " ", "a" * 70, "7" * 9, "x/" * 90]) | st.text("aB3.-/", max_size=9),
    max_size=12,
).map("".join)


@settings(max_examples=300)
@given(urls, st.integers(0, 700), st.sampled_from([768, 768, 400, 300, 99, 10, 1]))
def test_the_short_way_gives_what_the_long_one_gives(text, at, max_bytes):
    text = "http://a" + text.strip(' "')
    at = min(at, len(text) - 1)
    broken = text[:at] + "\t" + text[at:]  # a tab inside is dropped, which only the long way does
    assert URL3.normalize(broken, max_bytes) == URL3.normalize(text, max_bytes)


@settings(max_examples=200)
@given(urls)
def test_every_instruction_set_gives_the_same_features(text):
    before = _kernel.simd()
    found = {URL3.normalize(text, 768) for name in PATHS if _kernel.simd_select(name)}
    _kernel.simd_select(before)
    assert len(found) == 1


def test_features_are_cut_for_comparing():
    forms = URL3.normalize_column(
        pa.array(["http://a.example/river", "http://b.example/house"]), 768
    )
    assert forms.without_features()[0] == b"a.example\x1friver\x1f"
    assert near_duplicates_of(minhash(forms)[:1], minhash(forms)[1:]).tolist() == [-1]


def test_a_score_of_a_text_is_that_of_its_normalized_text():
    rng = np.random.default_rng(0)
    texts = ["http://a.example/", "https://paypal-login.example/x", "", "http://[::1]/" + "a" * 900]
    forms = [URL3.normalize(text, 768) for text in texts]
    for width, outputs in ((1, 1), (32, 29)):
        table = rng.integers(-127, 128, (1 << 10, width)).astype(np.int8)
        bias = np.zeros(outputs, np.float32)
        found = []
        for kind, batch in ((5, texts), (0, forms)):
            model = _kernel.Ngram(kind, 768, 1, 5, 10, width, outputs, 0.01, table, None, bias)
            out = np.empty((len(texts), outputs), np.float32)
            model.score_list(batch, out)
            found.append(out)
        if width == 1:
            data = [_kernel.ngram_rows(1, 5, 10, f) + _kernel.feature_rows(10, f) for f in forms]
            rows = [np.frombuffer(each, np.uint32) for each in data]
            logits = [0.01 * table[r].sum() / np.sqrt(len(r)) for r in rows]
            assert np.allclose(found[1][:, 0], 1 / (1 + np.exp(-np.array(logits))), atol=1e-5)
        assert np.array_equal(found[0], found[1])
