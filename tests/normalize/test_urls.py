"""URLs as the URL standard and its tests say, and what stands inside wrappers.

The facts of the web platform tests (hosts, paths) and of UTS 46 (mappings), written anew.
"""
# ruff: noqa: RUF001, S104 - letters of other alphabets, and addresses, are the point

import base64
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import buckler.kernel
from buckler.normalize import get_normalizer

WRAPPERS = re.findall(
    r'^    W\("([^"]+)", "([^"]*)", (\w+)\)',
    Path(buckler.kernel.__file__).with_name("url_wrappers.c").read_text(),
    re.M,
)
URL1, URL3, SITE = (get_normalizer(name) for name in ("url-v1", "url-v3", "url-site-v1"))


def fields(text: str | bytes) -> list[str]:
    return URL3.normalize(text, 768).split(b"\x1f\x1d")[0].decode("utf-8", "replace").split("\x1f")


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        # tabs, line breaks, what stands at the ends
        ("http://bank.ex\tample/login", "bank.example", "login"),
        ("ht\ntp\r:/\t/bank.example\n/lo\r\ngin", "bank.example", "login"),
        ("  \t http://bank.example/a \n", "bank.example", "a"),
        ("\x00\x1b http://bank.example/\x1f", "bank.example", ""),
        ("\ufeffhttp://bank.example/a\u200b", "bank.example", "a"),
        ("\u00a0\u3000http://bank.example\u2003", "bank.example", ""),
        ("h\u200btt\u2060p://bank.example/", "bank.example", ""),
        # ignored code points, and those that map to others
        ("http://ba\u00adnk.example/", "bank.example", ""),
        ("http://ba%C2%ADnk.example/", "bank.example", ""),
        ("http://b\u200ca\u200dn\u2060k\ufe0f.example", "bank.example", ""),
        ("http://b\U000e0100ank.example", "bank.example", ""),
        ("http://www.\u200bbank.example", "bank.example", ""),
        ("http://b\u034fank.exam\u180bple:\u200b443/", "bank.example", ""),
        ("http://ＢＡＮＫ．example", "bank.example", ""),
        ("http://bank。example｡net", "bank.example.net", ""),
        ("http://\U0001d41b\U0001d44e\u24dd\u212a.example", "bank.example", ""),
        ("http://\ufb01rst-ba\u24dek.example".replace("\u24de", "n"), "first-bank.example", ""),
        ("http://o\ufb03ce.example", "office.example", ""),
        ("http://\u2121.example", "tel.example", ""),
        ("http://mu\u0308nchen.example", "münchen.example", ""),
        ("http://MU\u0308NCHEN.example", "münchen.example", ""),
        ("http://xn--mnchen-3ya.example", "münchen.example", ""),
        ("http://faß.example", "faß.example", ""),
        # IPv4
        ("http://0x7f.1", "127.0.0.1", ""),
        ("http://0X7F000001/", "127.0.0.1", ""),
        ("http://017700000001", "127.0.0.1", ""),
        ("http://2130706433.", "127.0.0.1", ""),
        ("http://127.0.0x1:8080/", "127.0.0.1:8080", ""),
        ("http://127.1.:8080/", "127.0.0.1:8080", ""),
        ("http://0x/", "0.0.0.0", ""),
        ("http://0x.0x.0", "0.0.0.0", ""),
        ("http://１２７.０.０.１", "127.0.0.1", ""),
        ("http://%31%32%37.0.0.1", "127.0.0.1", ""),
        ("http://0x100000000", "0x100000000", ""),
        ("http://1.2.3.256", "1.2.3.256", ""),
        ("http://1.2.3.09", "1.2.3.09", ""),
        ("http://1..2", "1..2", ""),
        # IPv6
        ("http://[0:0:0:0:0:0:0:1]:443/a", "[::1]", "a"),
        ("http://[2001:DB8:0:0:1:0:0:1]", "[2001:db8::1:0:0:1]", ""),
        ("http://[::ffff:192.168.1.1]:81", "[::ffff:c0a8:101]:81", ""),
        ("http://[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7:0]", ""),
        ("http://[1::8]", "[1::8]", ""),
        ("http://[::]", "[::]", ""),
        ("http://[::127.0.0.1.]", "[::127.0.0.1.]", ""),
        ("http://[1::2::3]", "[1::2::3]", ""),
        ("http://[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7:8:9]", ""),
        ("http://[12345::]", "[12345::]", ""),
        ("http://[:1]", "[:1]", ""),
        ("http://[]", "[]", ""),
        # ports, user info, slashes, dots
        ("http://bank.example:00443/", "bank.example", ""),
        ("http://bank.example:0/", "bank.example", ""),
        ("http://bank.example:008080/", "bank.example:8080", ""),
        ("http://bank.example:/", "bank.example", ""),
        ("http://bank.example:80@evil.example/", "evil.example", "bank.example:80@"),
        ("http://a:b@c:d@evil.example/x", "evil.example", "a:b@c:d@x"),
        ("http:\\\\evil.example\\@bank.example", "evil.example", "@bank.example"),
        ("https:/evil.example", "evil.example", ""),
        ("https:////evil.example", "evil.example", ""),
        ("\\\\evil.example\\a", "evil.example", "a"),
        ("http://a.example/b/../c/./d", "a.example", "c/d"),
        ("http://a.example/b/%2E%2e/c/.", "a.example", "c/"),
        ("http://a.example/../..//b", "a.example", "b"),
        ("http://a.example/b/c/..", "a.example", "b/"),
        ("http://a.example/.b/..c/d./...", "a.example", ".b/..c/d./..."),
    ],
)
def test_hosts_and_paths_as_the_url_standard_reads_them(text, host, path):
    assert fields(text)[:2] == [host, path]


INSIDE = "https://evil.example/a?b=1&c=2"
ESCAPED = "https%3A%2F%2Fevil.example%2Fa%3Fb%3D1%26c%3D2"
BASE64 = base64.urlsafe_b64encode(INSIDE.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "wrapped",
    [
        f"https://www.google.de/url?sa=t&url={ESCAPED}&usg=x",
        f"https://google.co.uk/url?q={ESCAPED}",
        f"https://www.google.com.au/url?q={ESCAPED}&amp;sa=D",
        f"https://www.google.com/aclk?adurl={ESCAPED}",
        "https://www.google.com/amp/s/evil.example/a?b=1&c=2",
        "https://evil-example.cdn.ampproject.org/c/s/evil.example/a?b=1&c=2",
        f"https://www.bing.com/ck/a?!&&p=1&u=a1{BASE64}&ntb=1",
        f"https://r.search.yahoo.com/_ylt=x/RU={ESCAPED}/RK=2/RS=y",
        f"https://yandex.ru/clck/jsredir?from=x&url={ESCAPED}",
        f"https://t.umblr.com/redirect?z={ESCAPED}&t=x",
        f"https://href.li/?{INSIDE}",
        f"https://web.archive.org/web/2020/{INSIDE}",
        f"https://eur01.safelinks.protection.outlook.com/?url={ESCAPED}&data=05%7C01&reserved=0",
        f"https://urldefense.proofpoint.com/v1/url?u={ESCAPED}&k=x",
        "https://urldefense.proofpoint.com/v2/url?u=https-3A__evil.example_a-3Fb-3D1-26c-3D2&d=Dw&e=",
        "https://urldefense.us/v2/url?u=https-3A__evil.example_a-3Fb-3D1-26c-3D2&d=Dw&e=",
        f"https://urldefense.com/v3/__{INSIDE}__;!!x!y$",
        f"https://urldefense.us/v3/__{INSIDE.replace('//', '/')}__;!!x!y$ ",
        f"https://urldefense.com/v3/__{INSIDE.replace('?', '*')}__;Pw!!x!y$",
        f"https://urldefense.com/v3/__{INSIDE.replace('?b', '**A')}__;P2I!!x!y$",
        f"https://linkprotect.cudasvc.com/url?a={ESCAPED}&c=E,1,x&typo=1",
        f"https://protect2.fireeye.com/v1/url?k=1&q=1&e=2&u={ESCAPED}",
        f"https://secure-web.cisco.com/1abc/def/{ESCAPED}",
        f"https://x-y.trendmicro.com:443/wis/clicktime/v1/query?url={ESCAPED}&umid=z",
        f"https://eu.protection.sophos.com/?d=evil.example&u={BASE64}&i=1",
        f"https://clicktime.symantec.com/3abc?u={ESCAPED}",
        f"https://protect.checkpoint.com/v2/___{INSIDE}___.YzJ1",
        f"https://www.google.com/url?q=https%3A%2F%2Furldefense.com%2Fv3%2F__{ESCAPED}__%3B!!x",
    ],
)
def test_wrappers_are_taken_off_with_the_query_of_the_target(wrapped):
    host, path, query, target = fields(wrapped)
    assert [host, path, query] == ["evil.example", "a", "b=1&c=2"]
    assert target


@pytest.mark.parametrize(("host", "path", "kind"), WRAPPERS)
@pytest.mark.parametrize("before", ["", "a.", "a-b.c."])
def test_every_wrapper_that_the_kernel_lists_is_taken_off(host, path, kind, before):
    assert len(WRAPPERS) > 40
    values = {
        "AMP": "s/evil.example/a",
        "DEFENSE": "v3/__https://evil.example/a__;!!x",
        "NAME_IN_QUERY": "s/x?domain=evil.example/a",
    }
    value = values.get(kind, "?u=https://evil.example/a")
    for country in ("com", "de", "co.uk", "com.au") if "*" in host else ("",):
        wrapped = f"https://{before}{host.replace('*', country)}/{path}{value}"
        assert fields(wrapped)[:2] == ["evil.example", "a"]


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://protect-us.mimecast.com/s/abc?domain=evil.example", "evil.example"),
        ("https://www.google.evil.com/url?q=http://a.example", "google.evil.com"),
        ("https://notgoogle.de/url?q=http://a.example", "notgoogle.de"),
        ("https://google.de.evil.example/url?q=http://a.example", "google.de.evil.example"),
        ("https://evilurldefense.com/v3/__http://a.example__;", "evilurldefense.com"),
        ("https://urldefense.com/", "urldefense.com"),
        ("https://secure-web.cisco.com/", "secure-web.cisco.com"),
        ("https://www.bing.com/ck/a?u=a1aHR0", "bing.com"),
        ("https://outlook.com/owa?url=http://a.example", "outlook.com"),
    ],
)
def test_only_wrappers_are_taken_off(text, host):
    assert fields(text)[0] == host


_PIECES = """http:// https: google.de/url?q= bing.com/ck/a?&u=a1 aHR0cDovL2E urldefense.com/v3/__
__; ** urldefense.us/v2/url?u= -3A__ secure-web.cisco.com/ mimecast.com/s?domain= [:: ] /./ /../ & =
% google.com/amp/s/ %2e %3A%2F%2F \u00ad \ufb01 u\u0308 :080 0x7f . 1 * @ [.] \ufeff xn-- \u0130"""


@given(
    st.lists(
        st.sampled_from([*_PIECES.split(), "\t", "\n", " "]) | st.text(max_size=5), max_size=25
    )
)
def test_any_url_has_its_fields_and_no_control_characters(pieces):
    text = "".join(pieces)
    form, _, features = URL3.normalize(text, 4096).partition(b"\x1f\x1d")
    assert form.count(b"\x1f") in (2, 3)
    assert all(c >= 0x20 or c == 0x1F for c in form)
    assert all(0x20 < c < 0x7F for c in features)
    assert URL1.normalize(text, 4096).count(b"\x1f") == 2
    assert len(URL3.normalize(text, 99)) <= 99
    host, path = SITE.normalize(text, 4096).split(b"\x1f")
    whole = form.split(b"\x1f")
    assert host == whole[0] and whole[1].endswith(path)
    assert len(SITE.normalize(text, 99)) <= 99


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("www.paypal.com@a.example/b@c/d?q=1", "a.example b@c/d"),
        ("https://www.google.com/url?q=https%3A%2F%2Fb.example%2Fx%3Fid=1&sa=D", "b.example x"),
        ("http://a.example/b?ref=news#end", "a.example b"),
        ("http://a.example", "a.example "),
        ("", " "),
    ],
)
def test_a_site_is_host_and_path_alone(text, expected):
    assert SITE.normalize(text, 512).decode().replace("\x1f", " ") == expected


@given(st.text("ab.:/?#@%", max_size=30), st.integers(0, 30), st.sampled_from("\t\n\r"))
def test_a_break_changes_nothing_wherever_it_stands(text, at, mark):
    plain = "http://a.example/" + text
    broken = plain[:at] + mark + plain[at:]
    assert URL3.normalize(broken, 768) == URL3.normalize(plain, 768)
