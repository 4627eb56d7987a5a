"""What the kernel finds in pages is what plain rules find, one call of Python for each."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from buckler._kernel import calls_in, encoded_runs, link_hosts, may_hide, resolve_link, words_in
from buckler.normalize.sites import host_and_path

NAMES = ("eval", "open", "Function")
CALL = re.compile(r"\b([A-Za-z_$][\w$]{1,30})\s{0,4}\(")
CODE = st.lists(
    st.sampled_from(
        [*NAMES, *("(", "$", " ", "\t", ".", "_", "9", "é", "»", "\u3000", "\x1c", "x", "a" * 30)]
    ),
    max_size=30,
).map("".join)
WORDS = ("paypal", "pal", "al", "login", "contextmenu")
ADDRESSES = st.lists(
    st.sampled_from(
        [
            *("http:", "HTTPS:", "mailto:", "/", "//", "\\", "?q", "#f", "a/b", "..", "\t", " "),
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
@given(st.lists(st.sampled_from([*WORDS, "PayP", "aL", "\u017f", " ", "log", "in"])).map("".join))
def test_words_are_found_in_any_case(text):
    lowered = "".join(c.lower() if c.isascii() else c for c in text)
    assert words_in(text, WORDS) == [word for word in WORDS if word in lowered]


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


@settings(max_examples=200)
@given(ADDRESSES, st.lists(ADDRESSES, max_size=3))
def test_hosts_are_those_of_the_resolved_targets(base, targets):
    resolved = [resolve_link(base, target) for target in targets]
    absolute = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.I | re.A)
    expected = [host_and_path(found)[0] if absolute.match(found) else "" for found in resolved]
    assert link_hosts(base, targets) == expected
