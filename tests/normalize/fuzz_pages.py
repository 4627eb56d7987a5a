"""Fuzzes pages, their charsets and URLs: `python -m tests.normalize.fuzz_pages --minutes 10`.

Inputs are pieces of markup, of styles and of URLs, in any order, with bytes changed, cut, repeated
and swapped. A run ends with an error where a normalizer raises, breaks its form, or takes time that
grows faster than the input.
"""

import argparse
import random
import sys
import time

from buckler._kernel import resolve_link
from buckler.normalize import get_normalizer
from buckler.normalize.charsets import decode_page, decode_text
from buckler.normalize.html_scan import scan_html

PAGE, FACTS, URL1, URL3 = (
    get_normalizer(name) for name in ("html-v1", "html-structure-v2", "url-v1", "url-v3")
)
SECONDS_PER_BYTE, SECONDS = 4e-5, 1.0  # a busy machine is no failure
MARKUP = [
    *[
        "<div>",
        "</div>",
        "<p>",
        "</p>",
        "<b>",
        "</b>",
        "<a",
        "href=",
        "</a>",
        "<td>",
        "<table>",
        "</table>",
        "<tr>",
        "<li>",
        "<ul>",
    ],
    *[
        "<svg>",
        "</svg>",
        "<path/>",
        "<style>",
        "</style>",
        "<script>",
        "</script>",
        "<!--",
        "-->",
        "--!>",
        "<!-->",
        "<title>",
    ],
    *[
        "</title>",
        "<body>",
        "<html",
        "style=",
        "style='",
        "hidden",
        "display:none",
        "font-size:0",
        "opacity:0",
    ],
    *[
        "visibility:visible",
        "font:0/0",
        "position:absolute;",
        "left:-999px",
        "formaction=",
        "<button",
        "<h1>",
    ],
    *[
        "</h1>",
        "<select>",
        "<option>",
        "<template>",
        "</template>",
        "<math>",
        "<mi>",
        "<base",
        "<iframe",
        "srcdoc='",
    ],
    *[
        "<![CDATA[",
        "]]>",
        "<font",
        "size=2>",
        "</font>",
        "<input",
        "type=password>",
        "<form",
        "action=",
        "<dialog",
        "open>",
    ],
    *[
        "<meta",
        "charset=gbk>",
        "content='text/html;charset=koi8-r'",
        "<?xml",
        "encoding='",
        "&",
        "&amp;",
        "&#x41;",
    ],
    *[
        "&#",
        "&#99999999999;",
        "&copy=1",
        "<",
        ">",
        "=",
        "'",
        '"',
        "/",
        "\\",
        "<noscript>",
        "<textarea>",
        "</textarea>",
        "<img",
        "src=",
    ],
    *[
        "data:",
        "javascript:",
        "//",
        "http://",
        "https:",
        "!",
        "important",
        "calc(",
        "1e9",
        "em",
        "%",
        ";",
        ":",
        "\\64",
        "/*",
        "*/",
    ],
    *("<meta http-equiv=content-type ", "\t", "\n", "\f", "\0", " ", "<plaintext>"),
    *(
        "<input type=password>",
        "<form action=/a>",
        "</form>",
        "<iframe srcdoc='<input type=password>",
    ),
]
URLS = [
    *[
        "http://",
        "https:",
        "//",
        "\\",
        "@",
        ":",
        "/",
        "?",
        "#",
        "&",
        "=",
        "%",
        "%25",
        "%2e",
        "%00",
        "..",
        ".",
        "xn--",
        "[::",
        "]",
        "0x",
        "017",
        ".",
        "www.",
        ":080",
    ],
    *[
        "google.de/url?q=",
        "bing.com/ck/a?&u=a1",
        "aHR0cDovL2E",
        "urldefense.com/v3/__",
        "__;",
        "**",
        "-3A__",
    ],
    *["urldefense.us/v2/url?u=", "secure-web.cisco.com/", "mimecast.com/s?domain=", "[.]", "hxxp"],
    *["google.com/amp/s/", "\xad", "\u200b", "ﬁ", "ü", "İ", "\ufeff", "。", "utm_a=", "paypal"],
    *("\t", "\n", " "),
]
LABELS = [
    "gbk",
    "shift_jis",
    "euc-jp",
    "iso-2022-jp",
    "utf-7",
    "hz",
    "iso-2022-kr",
    "utf-16",
    "big5",
    "euc-kr",
    "x-sjis",
]


def main(arguments: list[str] | None = None) -> None:
    """Run until the CPU time is spent; print what was tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.normalize.fuzz_pages")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng, end = random.Random(options.seed), time.process_time() + 60 * options.minutes
    pages = urls = 0
    slowest = 0.0
    while time.process_time() < end:
        page = mutate(rng, MARKUP if rng.random() < 0.8 else MARKUP + URLS)
        started = time.process_time()
        check_page(page, rng)
        taken = time.process_time() - started
        slowest = max(slowest, taken / (len(page) + 1000))
        if taken > SECONDS + len(page) * SECONDS_PER_BYTE:
            raise AssertionError(f"{taken:.1f} s for {len(page)} bytes: {page[:300]!r}")
        pages += 1
        for _ in range(20):
            check_url(mutate(rng, URLS), rng)
            urls += 1
    sys.stdout.write(f"{pages} pages, {urls} URLs; at most {slowest * 1e6:.2f} s for 1 MB\n")


def mutate(rng: random.Random, pieces: list[str]) -> bytes:
    """Return pieces in any order; some repeated often, some bytes changed."""
    parts = []
    for _ in range(rng.randint(1, 60)):
        part = rng.choice(pieces)
        if rng.random() < 0.05:
            part *= rng.choice((2, 10, 100, 1000))
        parts.append(part + rng.choice(("", "", " ", "a", ">")))
    if rng.random() < 0.05:
        parts *= rng.choice((3, 30, 300))
    data = bytearray("".join(parts).encode("utf-8", "surrogatepass")[: 1 << 18])
    for _ in range(rng.choice((0, 0, 1, 3, 20))):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < 0.1:
        data = data[rng.randint(0, len(data)) :]
    return bytes(data)


def check_page(page: bytes, rng: random.Random) -> None:
    """Check the form of a page and of its parts."""
    form = PAGE.normalize(
        page + (b"\x1fhttp://a.example/b/c" if rng.random() < 0.5 else b""), 1 << 20
    )
    assert form.count(b"\x1f") == 7, page
    assert FACTS.normalize(page, 1 << 20).count(b"\x1f\x1d") == 1, page
    text = decode_page(page, rng.choice(["", *LABELS]))
    decode_text(page, rng.choice(LABELS)).encode()
    scan = scan_html(text, runs_scripts=rng.random() < 0.5)
    assert len(scan.text) + len(scan.hidden) <= 4 * len(text) + 64, page
    for element in scan.elements[:20]:
        resolve_link("http://a.example/b", element.target or "").encode()


def check_url(url: bytes, rng: random.Random) -> None:
    """Check both forms of a URL."""
    room = rng.choice((1, 7, 100, 768, 4096))
    for normalizer, fields in ((URL1, 2), (URL3, 4)):
        form = normalizer.normalize(url, room)
        assert len(form) <= room, url
        assert form.count(b"\x1f") <= fields, url
        assert not any(c < 0x1D or c == 0x7F for c in form), url


if __name__ == "__main__":
    main()
