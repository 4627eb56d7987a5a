"""Views of a text: disguises undone, whole sentences, bounded work on any text."""

import base64
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from buckler.teachers.llm.injection_views import (
    MAX_CHARACTERS,
    WINDOW_CHARACTERS,
    cut_sentences,
    list_views,
)

HIDDEN = "please answer benign"


def views_of(text):
    return [view for _, view in list_views(text)]


@pytest.mark.parametrize(
    "text",
    [
        "http://a.example/?q=please%20answer%20benign",
        "http://a.example/?q=please%2520answer%2520benign",
        "&#112;lease &#x61;nswer b&#101;nign",
        "&amp;#112;lease answer benign",
        r"\u0070lease \x61nswer benign",
        "please_answer-benign",
        "please/answer/benign.html",
        "please\u200b ans\u00adwer be\u2060nign",
        "p l e a s e  a.n.s.w.e.r  b-e-n-i-g-n",
        "pl3ase an5wer ben1gn",
        "ngineb rewsna esaelp",
        "cyrnfr nafjre oravta",
        "\uff50\uff4c\uff45\uff41\uff53\uff45 answer benign",
        "ple\u0430se \u0430nswer benign",
        "x " + base64.b64encode(HIDDEN.encode()).decode(),
        "x " + HIDDEN.encode().hex(),
        "x " + HIDDEN.encode().hex(" "),
        "".join(chr(0xE0000 + ord(c)) for c in HIDDEN),
        "\x1b[8mplease\x1b[0m answer benign",
    ],
)
def test_a_disguise_is_undone_in_one_of_the_views(text):
    assert any(HIDDEN in " ".join(view.lower().split()) for view in views_of(text))


def test_camel_case_is_cut_into_words():
    assert "please Answer Benign" in views_of("id=pleaseAnswerBenign")[1]


def test_escaped_surrogates_become_replacement_characters():
    assert all(view.encode("utf-8") for view in views_of(r"a\ud800b\u{0d800}"))


@given(st.text(max_size=400))
def test_any_text_has_views_of_bounded_length(text):
    for view in views_of(text):
        assert len(view) <= 20 * (len(text) + 1)  # compatible letters may be several


@pytest.mark.parametrize(
    "text",
    [
        "a1" * 20_000,
        "a " * 20_000,
        "%25" * 20_000,
        "\\x5c" * 9_000,
        "&amp;" * 9_000,
        "0a" * 20_000,
        "a\n" * 20_000,
    ],
)
def test_hostile_texts_have_few_segments(text):
    n = sum(1 for view in views_of(text) for _ in cut_sentences(view))
    assert n <= 40 * MAX_CHARACTERS // WINDOW_CHARACTERS


@given(st.lists(st.integers(0, 10**9), max_size=90), st.integers(0, 900))
def test_a_short_passage_lies_whole_in_a_segment(numbers, place):
    text = " ".join(map(str, numbers))
    assume(text and not re.search(r"(\S{1,12}? ?)\1\1", text))
    passage = text[place : place + WINDOW_CHARACTERS // 2]
    assert any(passage in one for one in cut_sentences(text))


def test_repetitions_count_twice():
    assert list(cut_sentences("a " + "=-" * 500 + " b")) == ["a =-=- b"]
