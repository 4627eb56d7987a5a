"""Look-alike letters: undone in a time that grows with the text alone."""

import re

from hypothesis import given
from hypothesis import strategies as st

from buckler.normalize.disguise import undisguise
from tests.support.growth import assert_linear

_MIXED = re.compile(r"\w*(?:[A-Za-z]\w*[Ͱ-ԯ]|[Ͱ-ԯ]\w*[A-Za-z])\w*")


@given(st.text("abZ_9-. éяеΑα\u0384\u037e\u0483ß中", max_size=14))
def test_only_words_that_mix_alphabets_are_changed(text):
    changed, unseen, mixed = undisguise(text)
    assert (unseen, mixed) == (0, len(_MIXED.findall(text)))
    assert (changed == text) or mixed


def test_words_that_end_in_a_foreign_letter_take_no_time():
    assert undisguise("p\u0430yp\u0430l")[0] == "paypal"
    for word in ("a" * 198 + "é", "a" * 97 + "-" + "я" * 98 + "é"):
        assert_linear(undisguise, f"{word} ", 1_000_000)
        assert_linear(undisguise, word[:-1], 1_000_000)
