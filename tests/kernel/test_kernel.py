import threading

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler import _kernel

PATHS = ("portable", "avx2", "avx512")
MULTIPLIER = 0x9E3779B1
SEED = 0x85EBCA77
MASK = 0xFFFFFFFF


def cut_features(normalized: bytes) -> tuple[bytes, bytes, bytes]:
    """Features begin at one of the first eight separators."""
    at = -1
    for _ in range(8):
        at = normalized.find(b"\x1f", at + 1)
        if at < 0:
            break
        if normalized[at + 1 : at + 2] == b"\x1d":
            return normalized[:at], normalized[at : at + 2], normalized[at + 2 :]
    return normalized, b"", b""


def reference_features(normalized: bytes, bits: int) -> list[int]:
    words = np.frombuffer(cut_features(normalized)[2][: 4 * 64], np.uint8)
    words = words[: len(words) // 4 * 4].view("<u4")
    found = []
    for word in words.tolist():
        h = (word ^ SEED) * MULTIPLIER & MASK
        found.append(((h ^ h >> 15) * MULTIPLIER & MASK) >> (32 - bits))
    return found


def reference_rows(normalized: bytes, min_order: int, max_order: int, bits: int) -> list[list[int]]:
    """What buckler.h says, byte by byte."""
    normalized, _, _ = cut_features(normalized)
    framed = b"\x1f" + normalized + b"\x1f" + bytes(8)
    n = len(normalized) + 2
    rows = [[0] * n for _ in range(min_order, max_order + 1)]
    field = -1
    for start in range(n):
        if framed[start] == 0x1F and field < 7:
            field += 1
        h = (field + 1) * SEED & MASK
        for k in range(1, max_order + 1):
            h = ((h ^ framed[start + k - 1]) * MULTIPLIER) & MASK
            if k >= min_order:
                rows[k - min_order][start] = h >> (32 - bits)
    return rows


def kernel_rows(normalized: bytes, min_order: int, max_order: int, bits: int) -> np.ndarray:
    data = _kernel.ngram_rows(min_order, max_order, bits, normalized)
    shape = max_order - min_order + 1, len(cut_features(normalized)[0]) + 2
    return np.frombuffer(data, np.uint32).reshape(shape)


def make_model(rng, *, orders=(1, 5), bits=10, classes=2, hidden=0, max_bytes=512, kind=0):
    n_outputs = 1 if classes == 2 else classes
    width = hidden or (1 if n_outputs == 1 else -(-n_outputs // 16) * 16)
    table = rng.integers(-127, 128, (1 << bits, width)).astype(np.int8)
    head = rng.standard_normal((width, n_outputs)).astype(np.float32) if hidden else None
    bias = rng.standard_normal(n_outputs).astype(np.float32)
    model = _kernel.Ngram(kind, max_bytes, *orders, bits, width, n_outputs, 0.01, table, head, bias)
    return model, table, head, bias


def reference_score(normalized, table, head, bias, orders, bits):
    rows = [r for order in reference_rows(normalized, *orders, bits) for r in order]
    rows += reference_features(normalized, bits)
    factor = np.float32(0.01) / np.float32(np.sqrt(np.float32(len(rows))))
    x = table[rows].sum(axis=0, dtype=np.int64).astype(np.float32) * factor
    z = np.maximum(x, 0) @ head + bias if head is not None else x[: len(bias)] + bias
    z = z.astype(np.float64)
    if len(z) == 1:
        return 1 / (1 + np.exp(-z))
    e = np.exp(z - z.max())
    return e / e.sum()


texts = st.binary(max_size=700) | st.lists(
    st.sampled_from([b"\x1f", b"\x1d", b"\x1f\x1d", b"abcd", b"efg" * 30]), max_size=20
).map(b"".join)


@settings(max_examples=150, deadline=None)
@given(texts, st.integers(1, 8), st.integers(0, 7), st.integers(1, 24))
def test_rows_are_those_of_the_definition(text, min_order, more, bits):
    min_order, max_order = (1, 0) if more == 7 else (min_order, min(8, min_order + more))
    expected = reference_rows(text, min_order, max_order, bits)
    assert kernel_rows(text, min_order, max_order, bits).tolist() == expected
    features = np.frombuffer(_kernel.feature_rows(bits, text), np.uint32)
    assert features.tolist() == reference_features(text, bits)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(texts, max_size=12),
    st.sampled_from([(2, 0), (2, 16), (3, 0), (29, 0), (29, 32)]),
    st.sampled_from([(1, 5), (2, 3), (1, 1), (3, 8), (1, 0)]),
    st.integers(0, 2**32),
)
def test_every_instruction_set_gives_the_same_bits(batch, shape, orders, seed):
    model, *_ = make_model(
        np.random.default_rng(seed), classes=shape[0], hidden=shape[1], orders=orders
    )
    n_outputs = 1 if shape[0] == 2 else shape[0]
    before = _kernel.simd()
    results = []
    for name in PATHS:
        if _kernel.simd_select(name):
            out = np.zeros((len(batch), n_outputs), np.float32)
            model.score_list(batch, out)
            results.append(out)
    _kernel.simd_select(before)
    assert len(results) >= 1
    for other in results[1:]:
        assert np.array_equal(results[0].view(np.uint32), other.view(np.uint32))


@settings(max_examples=60, deadline=None)
@given(texts, st.sampled_from([(2, 0), (2, 16), (5, 0), (29, 32)]), st.integers(0, 2**32))
def test_scores_are_those_of_the_definition(text, shape, seed):
    model, table, head, bias = make_model(
        np.random.default_rng(seed), classes=shape[0], hidden=shape[1]
    )
    got = np.atleast_1d(model.score_one(text[:512]))
    expected = reference_score(text[:512], table, head, bias, (1, 5), 10)
    assert np.allclose(got, expected, rtol=2e-5, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=80)), max_size=30))
def test_list_column_views_and_single_agree(batch):
    batch = [t if t is None else t.encode("utf-8", "replace").decode() for t in batch]
    model, *_ = make_model(np.random.default_rng(1), kind=1)
    by_list = np.zeros(len(batch), np.float32)
    model.score_list(batch, by_list)
    for kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view()):
        column = pa.array(batch, kind)
        out = np.zeros(len(batch), np.float32)
        model.score_column(*column.__arrow_c_array__(), 0, len(batch), out)
        assert np.array_equal(by_list, out, equal_nan=True)
    for text, score in zip(batch, by_list, strict=True):
        if text is None:
            assert np.isnan(score)
        else:
            assert np.float32(model.score_one(text)) == score


def test_a_sliced_column_is_read_from_its_offset():
    model, *_ = make_model(np.random.default_rng(2))
    column = pa.array(["a", None, "ccc", "dddd"])
    whole, part = np.zeros(4, np.float32), np.zeros(2, np.float32)
    model.score_column(*column.__arrow_c_array__(), 0, 4, whole)
    model.score_column(*column.slice(1, 2).__arrow_c_array__(), 0, 2, part)
    assert np.array_equal(whole[1:3], part, equal_nan=True)


def test_a_stream_of_chunks_is_taken_apart():
    chunked = pa.chunked_array([["a", "b"], ["c"]])
    pairs = _kernel.split_stream(chunked.__arrow_c_stream__())
    assert [_kernel.column_length(array) for _, array in pairs] == [2, 1]


def test_lone_surrogates_are_scored_and_not_raised():
    model, *_ = make_model(np.random.default_rng(3))
    assert 0 <= model.score_one("a\ud800b") <= 1


@pytest.mark.parametrize(
    ("column", "words"),
    [(pa.array([1, 2]), "strings or bytes"), (pa.array(["a"]).dictionary_encode(), "dictionary")],
)
def test_a_column_of_another_type_is_refused(column, words):
    model, *_ = make_model(np.random.default_rng(4))
    with pytest.raises(TypeError, match=words):
        model.score_column(*column.__arrow_c_array__(), 0, 1, np.zeros(1, np.float32))


def test_wrong_sizes_are_refused():
    table, bias = np.zeros(1 << 10, np.int8), np.zeros(1, np.float32)
    arguments = [0, 512, 1, 5, 10, 1, 1, 0.1, table, None, bias]
    assert _kernel.Ngram(*arguments)
    wrong = {1: 0, 2: 0, 3: 9, 4: 25, 5: 17, 6: 2, 7: float("nan"), 8: table[1:], 10: bias[:0]}
    for index, value in wrong.items():
        with pytest.raises((ValueError, OverflowError)):
            _kernel.Ngram(*[value if i == index else a for i, a in enumerate(arguments)])
    model = _kernel.Ngram(*arguments)
    with pytest.raises(ValueError, match="wrong size"):
        model.score_list(["a", "b"], np.zeros(1, np.float32))
    with pytest.raises(IndexError):
        model.score_column(*pa.array(["a"]).__arrow_c_array__(), 0, 2, np.zeros(2, np.float32))
    with pytest.raises(TypeError):
        model.score_one(7)


def test_many_threads_score_alike():
    model, *_ = make_model(np.random.default_rng(5), classes=5)
    batch = [f"http://host{i}.example/{i * 7919}" for i in range(2000)]
    column = pa.array(batch)
    expected = np.zeros((2000, 5), np.float32)
    model.score_list(batch, expected)
    outs = [np.zeros((2000, 5), np.float32) for _ in range(8)]
    threads = [
        threading.Thread(
            target=lambda o=o: model.score_column(*column.__arrow_c_array__(), 0, 2000, o)
        )
        for o in outs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(expected, o) for o in outs)


def train_arguments(n=3, bits=8, **changes):
    data = {
        "settings": (1, 3, bits, 1, 1, 0.3, 0.0, 0.0, 1),
        "arrays": (
            np.zeros(1 << bits, np.float32),
            np.zeros(1 << bits, np.float32),
            None,
            None,
            np.zeros(1, np.float32),
            np.zeros(1, np.float32),
        ),
        "examples": (np.array([0, 2, 3, 5], np.int64), np.frombuffer(b"abcde", np.uint8)),
        "targets": np.array([[1], [0], [1]], np.float32),
        "weights": np.ones(3, np.float32),
        "order": np.array([0, 1, 2], np.uint32),
    } | changes
    return tuple(data.values())


@pytest.mark.parametrize(
    "changes",
    [
        {"order": np.array([3], np.uint32)},
        {"targets": np.zeros((2, 1), np.float32)},
        {"weights": np.zeros(2, np.float32)},
        {"examples": (np.array([0, 9], np.int64), np.frombuffer(b"abc", np.uint8))},
        {"examples": (np.array([2, 0, 3, 5], np.int64), np.frombuffer(b"abcde", np.uint8))},
        {"settings": (1, 3, 8, 1, 1, -1.0, 0.0, 0.0, 1)},
        {"settings": (1, 3, 8, 1, 1, 0.3, 0.0, 1.0, 1)},
        {"settings": (1, 3, 9, 1, 1, 0.3, 0.0, 0.0, 1)},
    ],
)
def test_training_refuses_what_does_not_fit(changes):
    with pytest.raises((ValueError, IndexError)):
        _kernel.train(*train_arguments(**changes))


def test_training_lowers_the_loss_and_is_the_same_on_every_instruction_set():
    before, tables = _kernel.simd(), []
    for name in PATHS:
        if not _kernel.simd_select(name):
            continue
        arguments = train_arguments()
        losses = [_kernel.train(*arguments) for _ in range(20)]
        assert losses[-1] < losses[0] / 2
        tables.append(arguments[1][0])
    _kernel.simd_select(before)
    for other in tables[1:]:
        assert np.array_equal(tables[0].view(np.uint32), other.view(np.uint32))
