import hashlib
import io
import json
import zipfile
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buckler.bundle.archive import WEIGHTS, parse_bundle, parse_tensors, read_bundle
from buckler.bundle.manifest import parse_manifest
from buckler.bundle.writer import pack, set_threshold, vector_texts
from buckler.errors import BundleError, OutputError, SettingsError
from buckler.operating_point import OperatingPoint
from buckler.runtime import Scorer, load
from buckler.serving.scan import scan
from buckler.tasks import Task, get_bundle_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.bundles import entries, rebuilt, with_entry, with_manifest
from tests.support.made_up import made_up_events


def test_a_bundle_scores_as_the_student_that_it_was_made_from(tmp_path):
    events = made_up_events(1500, np.random.default_rng(3))
    fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 11}, folds=3))
    write_fitted(tmp_path / "a.buckler", fitted)
    scorer = load(tmp_path / "a.buckler")
    z = fitted.student.predict_logits(events.texts)[:, 0].astype(np.float64)
    got = scorer.score(events.raw)
    assert np.allclose(got.scores, 1 / (1 + np.exp(-z)), atol=1e-6)
    assert (got.label_indices == events.labels).mean() > 0.97
    by_list = scorer.score(events.raw_texts)
    assert np.array_equal(got.outputs, by_list.outputs)
    threaded = scorer.score(events.raw, threads=3)
    assert np.array_equal(got.outputs, threaded.outputs)


@pytest.mark.parametrize(
    ("classes", "positive", "settings"),
    [
        (2, (1,), {}),
        (2, (0,), {}),
        (3, (1, 2), {}),
        (29, (), {}),
        (2, (1,), {"hidden": 16, "learning_rate": 0.1}),
        (5, (0,), {"hidden": 32, "learning_rate": 0.1}),
    ],
)
def test_every_shape_of_task_makes_the_round_trip(tmp_path, classes, positive, settings):
    names = [f"c{i}" for i in range(classes)]
    events = made_up_events(1200, np.random.default_rng(4))
    labels = np.array([events.texts[i][0] % classes for i in range(len(events))], np.int32)
    task = Task("t", dict.fromkeys(names, "x"), tuple(names[i] for i in positive), "url-v3", 768)
    events = replace(events, task=task, labels=labels)
    fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 10, **settings}, folds=2))
    write_fitted(tmp_path / "a.buckler", fitted)
    scorer = load(tmp_path / "a.buckler")
    verdicts = scorer.score(events.raw)
    assert verdicts.probabilities.shape == (1200, classes)
    assert np.allclose(verdicts.probabilities.sum(axis=1), 1, atol=1e-5)
    assert (verdicts.label_indices == labels).mean() > 0.75
    verdict = scorer.score_one("http://example.com/x")
    assert sum(verdict.probabilities.values()) == pytest.approx(1, abs=1e-5)
    if positive:
        assert verdict.score == pytest.approx(
            sum(verdict.probabilities[names[i]] for i in positive), abs=1e-5
        )
        assert scorer.score_of("http://example.com/x") == pytest.approx(verdict.score)
    assert scorer.explain("http://example.com/x", top=3).contributions


TEXTS = ["https://login-river7.example/verify.php?u=7", "", "aaaaaaaaaaaaaaaa", "a"]


@pytest.mark.parametrize("text", TEXTS)
def test_contributions_add_up_to_the_logit(url_scorer, url_bundle, text):
    found = url_scorer.explain(text, label="phishing", top=10_000)
    pieces = found.contributions
    assert all(p.text == text[p.start : p.end] for p in pieces if p.start is not None)
    assert len({(p.text, p.start, p.place) for p in pieces}) == len(pieces)
    assert found.coverage == pytest.approx(1)
    bias = parse_tensors(read_bundle(url_bundle).weights[WEIGHTS])["bias"][0]
    (p,) = url_scorer._classifier.model.score_list([text]).astype(np.float64)
    assert sum(piece.weight for piece in pieces) + bias == pytest.approx(
        np.log(p / (1 - p)), abs=1e-4
    )
    opposite = url_scorer.explain(text, label="benign", top=3).contributions
    assert [p.weight for p in opposite] == [-p.weight for p in pieces[:3]]


@pytest.mark.parametrize("segments", ["mean", "max", "soft"])
def test_contributions_add_up_where_segments_count(tmp_path, segments):
    events = made_up_events(600, np.random.default_rng(3))
    spec = StudentSpec("ngram", {"table_bits": 10, "segments": segments}, folds=2)
    fitted = fit_student(events, spec)
    write_fitted(tmp_path / "a.buckler", fitted)
    scorer = load(tmp_path / "a.buckler")
    for text in TEXTS:
        pieces = scorer.explain(text, label="phishing", top=10_000).contributions
        assert len({p.text for p in pieces}) == len(pieces)
        (p,) = scorer._classifier.model.score_list([text]).astype(np.float64)
        total = sum(piece.weight for piece in pieces) + float(fitted.student.bias_[0])
        assert total == pytest.approx(np.log(p / (1 - p)), abs=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"min_order": 3},
        {"max_order": 0},
        {"hidden": 16, "learning_rate": 0.1},
        {"segments": "mean"},
        {"segments": "soft"},
    ],
)
def test_contributions_of_many_classes_add_up_too(tmp_path, settings):
    names = [f"c{i}" for i in range(3)]
    classes = dict.fromkeys(names, "x")
    task = Task("t", classes, ("c1",), "url-v3", max_bytes=768, segmenter="host")
    events = made_up_events(600, np.random.default_rng(4))
    labels = np.array([events.texts[i][0] % 3 for i in range(len(events))], np.int32)
    labels[::9] = 1  # no certainty, whose probabilities are zero
    events = replace(events, task=task, labels=labels)
    fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 10, **settings}, folds=2))
    write_fitted(tmp_path / "a.buckler", fitted)
    bias = fitted.student.bias_.astype(np.float64)
    scorer = load(tmp_path / "a.buckler")
    for text in TEXTS:
        p = np.log(scorer.score([text]).probabilities[0].astype(np.float64))
        for index, name in enumerate(names):
            found = scorer.explain(text, label=name, top=10_000)
            weights = [piece.weight for piece in found.contributions]
            logit = (p - p.mean())[index] - (bias - bias.mean())[index]
            assert sum(weights) == pytest.approx(logit, abs=1e-4)


def test_vectors_are_fixed_and_hold_nothing_of_the_training_data(url_bundle):
    assert vector_texts() == vector_texts()
    stored = json.loads(entries(url_bundle)["vectors.json"])["vectors"]
    assert len(stored) == len(vector_texts()) == 64


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_bundle_is_refused(url_bundle, tmp_path, share):
    data = url_bundle.read_bytes()
    path = tmp_path / "cut.buckler"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BundleError, match=r"cut\.buckler"):
        load(path)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_an_altered_byte_is_noticed_or_harmless(url_bundle, data):
    original = url_bundle.read_bytes()
    altered = bytearray(original)
    at = data.draw(st.integers(0, len(original) - 1))
    altered[at] ^= data.draw(st.integers(1, 255))
    try:
        bundle = parse_bundle(bytes(altered))
    except BundleError:
        return
    # Bytes of the zip's own bookkeeping (dates, attributes) carry nothing.
    assert bundle.entries == read_bundle(url_bundle).entries


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_refused_as_a_bundle(data):
    with pytest.raises(BundleError):
        parse_bundle(data)
    with pytest.raises(BundleError):
        parse_manifest(data)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(390, 410).map(lambda digits: 10**digits)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.just("\ud800"),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3),
    max_leaves=8,
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_manifest_with_any_value_anywhere_is_read_or_refused(url_bundle, data):
    manifest = json.loads(entries(url_bundle)["manifest.json"])
    node = manifest
    while True:
        key = data.draw(st.sampled_from(sorted(node)))
        if isinstance(node[key], dict) and node[key] and data.draw(st.booleans()):
            node = node[key]
            continue
        node[key] = data.draw(json_values)
        break
    content = entries(url_bundle) | {"manifest.json": json.dumps(manifest).encode()}
    with suppress(BundleError):
        Scorer(parse_bundle(rebuilt(content)))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(vectors=[]),
        lambda d: d.update(vectors={}),
        lambda d: d.update(tolerance=10**400),
        lambda d: d["vectors"][0].update(outputs=["0x1p99999"]),
        lambda d: d["vectors"][0].update(outputs=["0x1p999"]),
        lambda d: d["vectors"][0].update(outputs=[]),
        lambda d: d["vectors"][0].update(input=5),
        lambda d: d.update(vectors=d["vectors"] * 17),  # more than 1,024
        lambda d: d["vectors"][0].update(input="0" * (1 << 25)),
    ],
)
def test_vectors_that_make_no_sense_are_refused(url_bundle, change):
    document = json.loads(entries(url_bundle)["vectors.json"])
    change(document)
    with pytest.raises(BundleError, match="vectors"):
        Scorer(parse_bundle(with_entry(url_bundle, "vectors.json", document)))


def test_a_bundle_may_not_state_how_far_off_our_own_kernels_are(url_bundle):
    document = json.loads(entries(url_bundle)["vectors.json"])
    document["tolerance"] = 0.05
    for vector in document["vectors"]:
        vector["outputs"] = [(float.fromhex(p) * 0.97).hex() for p in vector["outputs"]]
    with pytest.raises(BundleError, match="scores its conformance vectors differently"):
        Scorer(parse_bundle(with_entry(url_bundle, "vectors.json", document)))


def test_digests_that_are_none_are_refused(url_bundle):
    for digest in ("\u00e9" * 64, "\ud800" * 64, 10**400, None):
        with pytest.raises(BundleError):
            parse_bundle(
                with_manifest(
                    url_bundle, lambda m, d=digest: m["files"]["card.md"].update(sha256=d)
                )
            )


def test_hostile_archives_are_refused(url_bundle):
    content = entries(url_bundle)
    for hostile, words in (
        (rebuilt(content | {"../evil": b"x"}), "unexpected file"),
        (rebuilt(content | {"code.py": b"x"}), "unexpected file"),
        (rebuilt(content, zipfile.ZIP_DEFLATED), "compressed"),
        (rebuilt({k: v for k, v in content.items() if k != "card.md"}), "not those that"),
        (rebuilt({k: v for k, v in content.items() if k != "manifest.json"}), r"manifest\.json"),
        (
            rebuilt(content | {"weights.safetensors": content["weights.safetensors"][:-1]}),
            "altered",
        ),
        (rebuilt(content | {"card.md": b"x" * len(content["card.md"])}), "altered"),
    ):
        with pytest.raises(BundleError, match=words):
            parse_bundle(hostile)
    twice = io.BytesIO(url_bundle.read_bytes())
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(twice, "a") as archive,
    ):
        archive.writestr("card.md", b"other")
    with pytest.raises(BundleError):
        parse_bundle(twice.getvalue())


def test_no_byte_stands_outside_the_entries(url_bundle):
    data = url_bundle.read_bytes()
    content = entries(url_bundle)
    commented = bytearray(data)
    commented[-2:] = (4).to_bytes(2, "little")
    first = data.index(b"PK\1\2")
    for hostile in (
        data + b"\0",
        b"\0" + data,
        data + data[first:],
        bytes(commented) + b"note",
        data[:first] + b"hidden" + data[first:],
        rebuilt(content)[:-22] + rebuilt(content)[-22:] * 2,
    ):
        with pytest.raises(BundleError):
            parse_bundle(hostile)
    assert parse_bundle(rebuilt(content)).entries == content


def test_entries_may_not_share_their_bytes(url_bundle):
    """Overlapping entries would be gigabytes in memory that the file does not have."""
    content = entries(url_bundle)
    data = rebuilt(content)
    first = data.index(b"PK\1\2")
    central = bytearray(data[first:])
    at = 0
    while central.startswith(b"PK\1\2", at):  # each points to the first entry
        central[at + 42 : at + 46] = bytes(4)
        at += 46 + int.from_bytes(central[at + 28 : at + 30], "little")
    with pytest.raises(BundleError, match="directory"):
        parse_bundle(data[:first] + bytes(central))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "latin-1"])
def test_a_manifest_is_utf8(url_bundle, encoding):
    content = entries(url_bundle)
    text = content["manifest.json"].decode().replace('"created"', '"x": "\u00e9", "created"')
    with pytest.raises(BundleError, match="not sound JSON"):
        parse_bundle(rebuilt(content | {"manifest.json": text.encode(encoding)}))


@pytest.mark.parametrize("name", ["manifest.json", "vectors.json"])
def test_a_key_that_stands_twice_is_refused(url_bundle, name):
    content = entries(url_bundle)
    text = content[name].decode()
    first, key = text.index("{") + 1, text.split('"')[1]
    twice = f'{text[:first]}"{key}": 1,{text[first:]}'.encode()
    changed = content | {name: twice}
    if name != "manifest.json":
        manifest = json.loads(content["manifest.json"])
        digest = hashlib.sha256(twice).hexdigest()
        manifest["files"][name] = {"size_bytes": len(twice), "sha256": digest}
        changed["manifest.json"] = json.dumps(manifest).encode()
    with pytest.raises(BundleError):
        Scorer(parse_bundle(rebuilt(changed)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m["operating_curve"]["scores"].reverse(), "scores must rise"),
        (lambda m: m["operating_curve"]["fprs"].reverse(), "rates fall"),
        (lambda m: m["operating_curve"]["recalls"].pop(), "each with both rates"),
        (lambda m: m["operating_curve"]["recalls"].insert(0, 9), "each with both rates"),
        (
            lambda m: m["operating_curve"].update(fprs=[-1.0], scores=[1], recalls=[1]),
            "from 0 to 1",
        ),
        (lambda m: m["operating_curve"].update(least_fpr=0), "from 0 to 1"),
        (lambda m: m["operating_curve"].update(n_negatives="many"), "n_negatives"),
        (lambda m: m.update(operating_point={"fpr": 0.1, "recall": 0.5}), "exactly one"),
        (lambda m: m.update(operating_point={"wish": 0.1}), "operating_point"),
        (lambda m: m.update(format_version=2), "version 2.*train the bundle again"),
        (
            lambda m: m.update(format_version=9, provenance={"buckler": "999.10.0"}),
            "version 9.*upgrade Buckler to 999.10.0 or later",
        ),
        (lambda m: m.update(format="other"), "not that of a Buckler bundle"),
        (lambda m: m["student"].update(model="oracle"), "unknown model 'oracle'.*plug-in.*train"),
        (
            lambda m: m["normalizer"].update(id="url-v9"),
            "unknown normalizer.*train the bundle again",
        ),
        (lambda m: m["student"]["settings"].update(kernel_version=99), "kernel version 99"),
        (lambda m: m["student"]["settings"].update(table_bits=24), "table has"),
        (lambda m: m["student"]["settings"].update(width=1 << 24), "width"),
        (lambda m: m["student"]["settings"].update(max_order=4), "scores its conformance"),
        (lambda m: m["student"]["settings"].update(scale=1e-3), "scores its conformance"),
        (lambda m: m["normalizer"].update(max_bytes=1 << 30), "max_bytes"),
        (lambda m: m.update(threshold=1.5), "threshold must be"),
        (lambda m: m["task"].update(positive=["nobody"]), "positive"),
        (lambda m: m["task"]["classes"].update(third="x"), "do not fit the task"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(url_bundle, change, words):
    with pytest.raises(BundleError, match=words):
        Scorer(parse_bundle(with_manifest(url_bundle, change)))


def test_writing_is_all_or_nothing(tmp_path, url_bundle):
    events = made_up_events(600, np.random.default_rng(3))
    fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 8}, folds=2))
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_fitted(tmp_path / "file" / "a.buckler", fitted)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    with pytest.raises(SettingsError, match="negatives"):
        write_fitted(tmp_path / "a.buckler", fitted, operating_point=OperatingPoint(fpr=1e-4))


def test_a_bundle_carries_the_task_that_is_not_installed(tmp_path):
    events = made_up_events(300, np.random.default_rng(3))
    fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 8}, folds=2))
    own = replace(events.task, name="own", text_columns=("note",), aliases={"bad": "phishing"})
    write_fitted(tmp_path / "a.buckler", replace(fitted, task=own))
    manifest = load(tmp_path / "a.buckler").manifest
    assert get_bundle_task(manifest) == own
    (tmp_path / "a.csv").write_text("Note;other\nhttp://a.example/;x\n")
    done = scan(tmp_path / "a.buckler", [tmp_path / "a.csv"], tmp_path / "out.jsonl")
    assert done.rows == 1
    with pytest.raises(SettingsError, match="not sound"):
        get_bundle_task(replace(manifest, task_definition={"name": "own", "medium": 3}))


def test_the_threshold_can_be_chosen_again(url_bundle, tmp_path):
    bundle = parse_bundle(url_bundle.read_bytes())
    urls = [f"http://h{n}.example/login/{n}" for n in range(50)]
    for point in (
        OperatingPoint(fpr=0.05),
        OperatingPoint(recall=0.5),
        OperatingPoint(threshold=0),
    ):
        changed = set_threshold(bundle, point)
        (tmp_path / "a.buckler").write_bytes(pack(changed.entries))
        scorer, other = load(tmp_path / "a.buckler"), load(url_bundle).with_operating_point(point)
        assert scorer.threshold == other.threshold != load(url_bundle).threshold
        assert (scorer.score(urls).detected == other.score(urls).detected).all()
        assert scorer.manifest.operating_sentence in changed.entries["card.md"].decode()


def test_without_a_threshold_one_half_decides(url_bundle):
    def forget(m):
        m.update(threshold=None, operating_point=None, operating_curve=None)

    scorer = Scorer(parse_bundle(with_manifest(url_bundle, forget)))
    assert scorer.threshold == 0.5
    verdicts = scorer.score(["http://a.example/", "http://paypal.verify.example/login.php?u=1"])
    assert (verdicts.detected == (verdicts.scores >= np.float32(0.5))).all()
    assert "No threshold was chosen" in scorer.manifest.operating_sentence
    with pytest.raises(SettingsError, match="too few"):
        scorer.with_operating_point(OperatingPoint(recall=0.9))


def test_a_missing_file_and_nulls(url_scorer, tmp_path):
    with pytest.raises(BundleError, match="cannot be read"):
        load(tmp_path / "none.buckler")
    verdicts = url_scorer.score([None, "http://a.example"])
    assert np.isnan(verdicts.scores[0]) and 0 <= verdicts.scores[1] <= 1
    assert len(url_scorer.score([])) == 0
    with pytest.raises(TypeError, match="Arrow column"):
        url_scorer.score(7)
