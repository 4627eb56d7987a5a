import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.bundle.onnx_check import check_onnx
from buckler.errors import BundleError, SettingsError
from buckler.normalize import NormalizedTexts
from buckler.normalize.padding import padded_batches
from buckler.runtime import load
from buckler.students import get_student
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.made_up import dataset_of, made_up_events

pytest.importorskip("torch", reason="the extra `torch` is not installed")
onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")

SMALL = {"filters": 16, "hidden": 32, "embedding": 8, "epochs": 4, "max_length": 64}


WORDS = ["news", "shop", "garden", "music", "travel"]


def examples(n=1500, seed=0, classes=2):
    rng = np.random.default_rng(seed)
    if classes == 2:
        return made_up_events(n, rng)
    labels = rng.integers(classes, size=n).astype(np.int32)
    texts = [
        b"x%d %s %d" % (rng.integers(999), WORDS[k].encode(), rng.integers(99)) for k in labels
    ]
    return dataset_of(NormalizedTexts.from_bytes(texts), labels, classes)


def accuracy(student, data):
    z = student.predict_logits(data.texts)
    guess = (z[:, 0] > 0).astype(int) if z.shape[1] == 1 else z.argmax(axis=1)
    return float((guess == data.targets.argmax(axis=1)).mean())


@pytest.mark.parametrize("classes", [2, 5])
def test_it_learns_what_it_has_not_seen(classes):
    student = get_student("bytecnn", {**SMALL, "epochs": 12, "patience": 12})
    student.fit(examples(classes=classes), examples(400, 9, classes))
    assert accuracy(student, examples(500, 5, classes)) > 0.95


def test_training_is_reproducible_and_depends_on_the_seed():
    data = examples(400)
    z = [
        get_student("bytecnn", {**SMALL, "seed": seed}).fit(data).predict_logits(data.texts)
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(z[0], z[1])
    assert not np.array_equal(z[0], z[2])


def test_soft_targets_are_learned_as_probabilities():
    texts = NormalizedTexts.from_bytes([b"same text"] * 300)
    soft = np.tile(np.array([[0.8, 0.2]], np.float32), (300, 1))
    own = {**SMALL, "epochs": 60, "patience": 60, "precision": "float32"}
    student = get_student("bytecnn", own)
    student.fit(dataset_of(texts, np.zeros(300, np.int32)).with_targets(soft))
    z = float(student.predict_logits(texts)[0, 0])
    assert 1 / (1 + np.exp(-z)) == pytest.approx(0.2, abs=0.03)


def test_a_training_that_was_stopped_goes_on_and_ends_the_same(tmp_path):
    data = examples(400)
    own = {**SMALL, "precision": "float32"}
    whole = get_student("bytecnn", own).fit(data)

    class StoppedError(Exception):
        pass

    def stop(epoch, loss, held_out):
        if epoch == 3:
            raise StoppedError

    folder = {"checkpoints": str(tmp_path)}
    with pytest.raises(StoppedError):
        get_student("bytecnn", {**own, **folder}).fit(data, None, stop)
    seen = []
    resumed = get_student("bytecnn", {**own, **folder})
    resumed.fit(data, None, lambda epoch, *_: seen.append(epoch))
    assert seen == [3, 4]
    assert np.array_equal(whole.predict_logits(data.texts), resumed.predict_logits(data.texts))
    other = get_student("bytecnn", {**own, **folder, "seed": 9})
    other.fit(data, None, lambda epoch, *_: seen.append(epoch))
    assert seen[2:] == [1, 2, 3, 4], "another seed is another training"


def test_every_precision_says_nearly_the_same_and_calibration_carries_over():
    data = examples(1500)
    student = get_student("bytecnn", {**SMALL, "precision": "float32"}).fit(data)
    student.rescale(0.5, 1.0)
    exact = student.predict_logits(data.texts)
    torch_logits = student._network_logits(__import__("torch"), student.network_, data.texts)
    assert np.allclose(exact, 0.5 * torch_logits + 1.0, atol=1e-3)
    sizes = {}
    for precision in ("float32", "float16", "int8"):
        other = student.with_precision(precision)
        exported = other.export()
        sizes[precision] = len(exported.onnx)
        check_onnx(exported.onnx)
        got = other.predict_logits(data.texts)
        assert exported.settings["precision"] == precision
        assert np.abs(got - exact).mean() < (0.15 if precision == "int8" else 0.01)
    assert sizes["float16"] < sizes["float32"]


def test_int8_is_not_chosen_where_it_costs_too_much(monkeypatch):
    from buckler.students.torch import onnx_export

    monkeypatch.setattr(onnx_export, "points_lost", lambda before, after, targets: 1.0)
    student = get_student("bytecnn", SMALL).fit(examples(300))
    assert student.export().settings["precision"] == "float32"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=70), max_size=40), st.sampled_from([16, 32, 64]))
def test_padding_loses_and_adds_nothing(parts, max_length):
    texts = NormalizedTexts.from_bytes(parts)
    seen = {}
    for rows, padded in padded_batches(texts, max_length, 16, 200):
        assert padded.shape[1] % 16 == 0
        for row, line in zip(rows, padded, strict=True):
            cut = parts[row][:max_length]
            assert line.tobytes() == cut + bytes(len(line) - len(cut))
            assert len(line) == min(max(16, -(-len(cut) // 16) * 16), max_length)
            seen[int(row)] = True
    assert len(seen) == len(parts)


@pytest.fixture(scope="module")
def cnn_bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("cnn") / "cnn.buckler"
    events = made_up_events(1500, np.random.default_rng(0))
    write_fitted(path, fit_student(events, StudentSpec("bytecnn", SMALL, folds=2)))
    return path


def test_a_bundle_scores_alike_from_lists_columns_and_threads(cnn_bundle):
    scorer = load(cnn_bundle)
    column = made_up_events(700, np.random.default_rng(3)).raw
    by_column = scorer.score(column).outputs
    by_list = scorer.score(column.to_pylist()).outputs
    threaded = scorer.score(column, threads=3).outputs
    alone = [scorer.score_one(text).score for text in column.to_pylist()[:50]]
    assert np.allclose(by_column, by_list, atol=1e-5)
    assert np.allclose(by_column, threaded, atol=1e-5)
    assert np.allclose(by_column[:50], alone, atol=1e-5)
    with_null = scorer.score(["http://a.example/", None])
    assert np.isnan(with_null.outputs).tolist() == [False, True]
    assert len(scorer.score([]).outputs) == 0


def logit(scorer, normalized):
    return float(scorer._classifier.model.logits(NormalizedTexts.from_bytes([normalized]))[0, 0])


def test_the_words_that_decide_are_named(cnn_bundle):
    scorer = load(cnn_bundle)
    text = "https://verify-river7.example/login.php?u=7"
    found = scorer.explain(text, label="phishing", top=4).contributions
    normalized = get_task("url-threat").text_normalizer.normalize(text, 512).split(b"\x1f\x1d")[0]
    assert len(found) == 4
    whole = logit(scorer, normalized)

    def lost(start, end):
        hidden = bytearray(normalized)
        hidden[start:end] = b"\x01" * (end - start)
        return whole - logit(scorer, bytes(hidden))

    for piece in found:
        assert piece.text == text[piece.start : piece.end]
        start = re.search(rb"\b%b\b" % piece.text.encode(), normalized).start()
        end = start + len(piece.text)
        mark = end + len(re.match(rb"[^\w\x1f]*", normalized[end:])[0])  # belongs to the word
        assert piece.weight == pytest.approx(lost(start, end) + lost(end, mark), abs=0.05)
    weights = [abs(piece.weight) for piece in found]
    assert weights == sorted(weights, reverse=True)
    against = scorer.explain(text, label="benign", top=4).contributions
    assert [piece.weight for piece in against] == [-piece.weight for piece in found]


def test_the_bundle_names_no_training_code_but_needs_the_runtime_extra(cnn_bundle, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Exception, match=r"buckler\[onnx\]"):
        load(cnn_bundle)


def model_of(path):
    import zipfile

    with zipfile.ZipFile(path) as archive:
        return onnx.load_from_string(archive.read("model.onnx"))


def external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def looping(model):
    model.graph.node.append(onnx.helper.make_node("Loop", ["a", "b"], ["c"], body=model.graph))


def foreign(model):
    model.graph.node.append(onnx.helper.make_node("Relu", ["a"], ["b"], domain="evil"))


def with_function(model):
    opset = [onnx.helper.make_opsetid("", 17)]
    model.functions.append(onnx.helper.make_function("evil", "f", ["a"], ["b"], [], opset))


def huge_pad(model):
    node = onnx.helper.make_node("Conv", ["a", "w"], ["b"], pads=[0, 1 << 40])
    model.graph.node.append(node)


def huge_volume(model):
    value = np.array([60_000, 60_000], np.int64)
    model.graph.initializer.append(onnx.numpy_helper.from_array(value, "shape"))


def many_products(model):
    product = onnx.helper.make_node("MatMul", ["logits", "logits"], ["p"])
    model.graph.node.extend([product] * 200)


def huge_shape(model):
    value = np.array([1 << 40], np.int64)
    model.graph.initializer.append(onnx.numpy_helper.from_array(value, "shape"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external, "other files"),
        (looping, "Loop|graph inside"),
        (foreign, "not ONNX's own"),
        (with_function, "functions"),
        (huge_pad, "size of"),
        (huge_shape, "size of"),
        (huge_volume, "tensor of"),
        (many_products, "too many nodes"),
    ],
)
def test_a_network_that_could_do_harm_is_refused(cnn_bundle, change, words):
    model = model_of(cnn_bundle)
    check_onnx(model.SerializeToString())
    change(model)
    with pytest.raises(BundleError, match=words):
        check_onnx(model.SerializeToString())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_network_are_refused(data):
    with pytest.raises(BundleError):
        check_onnx(data)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_length": 17}, "max_length"),
        ({"widths": "a"}, "widths"),
        ({"precision": "int4"}, "precision"),
        ({"device": "tpu"}, "device"),
        ({"dropout": 1.0}, "dropout"),
        ({"color": 1}, "color"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(SettingsError, match=words):
        get_student("bytecnn", {**SMALL, **changes}).fit(examples(50))


def test_settings_of_a_bundle_are_json(cnn_bundle):
    manifest = load(cnn_bundle).manifest
    assert json.loads(manifest.to_json())["student"]["family"] == "bytecnn"
    assert replace(manifest, name="x").name == "x"
