"""What the kernel finds in pages is what plain rules find, one call of Python for each."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from buckler import _kernel
from buckler._kernel import calls_in, encoded_runs, may_hide, resolve_link, words_in
from buckler.normalize.sites import host_and_path, read_links

NAMES = ("eval", "open", "Function")
CALL = re.compile(r"\b([A-Za-z_$][\w$]{1,30})\s{0,4}\(")
CODE = st.lists(
    st.sampled_from(
        [*NAMES, *("(", "$", " ", "\t", ".", "_", "9", "é", "»", "\u3000", "\x1c", "x", "a" * 30)]
    ),
    max_size=30,
).map("".join)
WORDS = ("paypal", "pal", "al", "login", "contextmenu")
LONG_WORDS = ("paypal", "login", "contextmenu")
SCHEMES = {"javascript": "script", "data": "data", "mailto": "mail", "tel": "phone"}
SCHEMES |= dict.fromkeys(("about", "blob", "chrome", "file", "chrome-extension"), "local")
ADDRESSES = st.lists(
    st.sampled_from(
        [
            *(
                "http:",
                "HTTPS:",
                "mailto:",
                "tel:",
                "chrome-extension:",
                "-:",
                "x:",
                "/",
                "//",
                "\\",
                "?q",
                "#f",
                "a/b",
                "..",
                "\t",
                " ",
            ),
            *("a.example", "é.example", "u@h:80", "\x00", ":", "\ud800"),
        ]
    ),
    max_size=6,
).map("".join)


@settings(max_examples=300)
@given(CODE)
def test_calls_are_those_of_the_rule(code):
    expected = [name for name in CALL.findall(code) if name in NAMES]
    found = calls_in(code, NAMES)
    assert found == expected or (found is None and not code.isascii())


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from([*WORDS, "PayP", "aL", "ContextMen", "u", "\u017f", " ", "log", "in"])
    ).map("".join)
)
def test_words_are_found_in_any_case(text):
    lowered = "".join(c.lower() if c.isascii() else c for c in text)
    for words in (WORDS, LONG_WORDS, LONG_WORDS[2:]):
        assert words_in(text, words) == [word for word in words if word in lowered]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["a", "Z9+/", "=", " ", "é", "bc"])).map("".join))
def test_runs_of_base64_are_counted(text):
    runs = re.findall(r"[A-Za-z0-9+/]+", text)
    assert encoded_runs(text, 3) == sum(len(run) >= 3 for run in runs)


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(["a", "\u0430", "\u03c9", " ", "\u200b", "\xad", "中", "é", "\n", "\ud800"])
    )
)
def test_what_may_hide_is_looked_at_closely(pieces):
    text = "".join(pieces)
    unseen, look_alike = {"\u200b", "\xad"}, {"\u0430", "\u03c9"}
    mixed = any("a" in word and look_alike & set(word) for word in re.split(r"[ \n]", text))
    assert may_hide(text) == (mixed or bool(unseen & set(text)))


def kind_of(target: str) -> str:
    if target[:1] in ("", "#"):
        return "fragment" if target else ""
    if target[0] == "/":
        return "absolute" if target.startswith("//") else "root"
    scheme, colon, rest = target.partition(":")
    if not colon or not scheme.isascii() or not scheme.replace("-", "").isalnum():
        return "relative"
    return SCHEMES.get(scheme.lower(), "absolute" if rest.startswith("//") else "relative")


@settings(max_examples=300)
@given(ADDRESSES, st.lists(ADDRESSES, max_size=3))
def test_links_are_those_of_the_resolved_targets(base, targets):
    absolute = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.I | re.A)

    def host(address, target):
        found = resolve_link(address, target)
        return host_and_path(found)[0] if absolute.match(found) else ""

    expected = [(kind_of(target), host("", target), host(base, target)) for target in targets]
    assert _kernel.read_links(base, [*targets, None]) == [*expected, ("none", "", "")]


def test_a_link_leads_to_its_own_site_another_or_none():
    address = "https://shop.example.co.uk/a/b"
    targets = ["c", "/d", "//www.example.co.uk/e", "http://example.com", "", "#f", None]
    places = [link.place for link in read_links(address, "example.co.uk", targets)]
    assert places == ["own", "own", "own", "other", "nowhere", "nowhere", "nowhere"]
    targets = ["JavaScript:a", "data:,b", "mailto:c", "tel:d", "https://e.example"]
    places = [link.place for link in read_links("", "", targets)]
    assert places == ["javascript", "data", "mailto", "own", "other"]
