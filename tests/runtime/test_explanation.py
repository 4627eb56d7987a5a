"""Explanations name pieces of the event as it was given, and these pieces decide."""

import re

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.dataset import Dataset
from buckler.normalize import NORMALIZERS
from buckler.operating_point import OperatingPoint
from buckler.runtime import load
from buckler.runtime.explanation import explain_weights, summarize
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted


def pieces_of(text, normalizer):
    """The pieces of a text where each byte of the normalized text weighs the same."""
    normalized = NORMALIZERS[normalizer].normalize(text, 8192)
    return explain_weights(np.ones(len(normalized)), normalized, text, normalizer)


def named(pieces, kind="text"):
    return {(piece.place, piece.text) for piece in pieces if piece.kind == kind}


# --- pieces stand in the event --------------------------------------------------------------------


def test_words_of_a_url_stand_where_they_were_given():
    text = "HTTPS://Login.PayPal.com.xn--mnchen-3ya.de/a%20b/V%65rify.php?id=1#login"
    pieces = pieces_of(text, "url-v3")
    for piece in pieces:
        assert piece.start is None or text[piece.start : piece.end] == piece.text
    assert {
        ("host", "Login"),
        ("host", "xn--mnchen-3ya"),
        ("path", "V%65rify"),
        ("path", "php"),
        ("query", "login"),
    } <= named(pieces)
    login = [piece.start for piece in pieces if piece.text.lower() == "login"]
    assert sorted(login) == [8, text.index("#login") + 1]


def test_the_structure_of_a_url_is_named_never_a_hash():
    text = "http://login.secure-update.x9.example.web.app:8080/verify/a.php?u=http://b.example"
    says = {piece.text for piece in pieces_of(text, "url-v3") if piece.kind == "trait"}
    assert {"6 labels in the host", "1 hyphen in the host", "2 parts in the path"} <= says
    assert {"a port", "another URL inside", "a luring word in the path"} <= says
    assert all(" " in each for each in says)


def test_disguised_and_decoded_words_of_a_command():
    encoded = "SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAIABOAGUAdAAuAFcAZQBiAEMAbABpAGUAbgB0ACkA"
    text = f'pow^ersh""ell -enc {encoded} 10.0.0.7\x1fexplorer.exe\x1fC:\\w\\cmd.exe\x1fbob'
    pieces = pieces_of(text, "command-v2")
    assert {
        ("command", 'pow^ersh""ell'),
        ("command", "-enc"),
        ("command", encoded),
        ("command", "10.0.0.7"),
        ("parent", "explorer.exe"),
        ("image", "cmd.exe"),
        ("user", "bob"),
    } <= named(pieces)
    decoded = [piece for piece in pieces if piece.kind == "decoded"]
    assert {piece.text for piece in decoded} == {"iex", "new-object", "net.webclient"}
    assert all(text[piece.start : piece.end] == encoded for piece in decoded)
    assert ("marks", "carets inside words") in named(pieces, "trait")


def test_sentences_of_a_mail():
    text = (
        "From: a@b.example\nSubject: Your account\nReply-To: c@gmail.com\n\n"
        "Dear user, your account\nat www.bank.example is locked. Please verify your password now!\n"
    )
    pieces = pieces_of(text, "email-text-v1")
    assert ("subject", "Your account") in named(pieces)
    assert ("text", "Please verify your password now!") in named(pieces)
    assert ("text", "Dear user, your account\nat www.bank.example is locked.") in named(pieces)
    assert ("marks", "replies go elsewhere") in named(pieces, "trait")


def test_forms_of_a_page():
    page = (
        "<title>Sign in. Now</title><form method=post action=https://e.example/x>"
        "<input type=password name=pin><button>Continue</button></form>"
    )
    pieces = pieces_of(page, "html-structure-v2")
    assert {("title", "Sign in."), ("forms", "Continue")} <= named(pieces)
    says = named(pieces, "trait")
    assert {("forms", "a field for: password"), ("forms", "a form to another site")} <= says
    assert {("features", "a form that posts to a full address"), ("features", "no icon")} <= says


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text(max_size=300), st.binary(max_size=300)),
    st.sampled_from(sorted(NORMALIZERS)),
)
def test_any_event_has_pieces_that_add_up(text, normalizer):
    normalized = NORMALIZERS[normalizer].normalize(text, 4096)
    weights = np.random.default_rng(len(normalized)).normal(size=len(normalized))
    pieces = explain_weights(weights, normalized, text, normalizer)
    if any(piece.text for piece in pieces):
        assert sum(piece.weight for piece in pieces) == pytest.approx(weights.sum(), abs=1e-6)
    given_text = text if isinstance(text, str) else text.decode("utf-8", "replace")
    for piece in pieces:
        assert piece.start is None or 0 <= piece.start < piece.end <= len(given_text)
    found = summarize(pieces, "x", 3)
    assert 0 <= found.coverage <= 1 + 1e-9
    assert found.because.isprintable()


def test_the_sentence_names_pieces_for_and_against(url_scorer):
    verdict = url_scorer.score_one("https://verify-music12.example/login.php?u=12", top=5)
    assert verdict.because.startswith("phishing because of ")
    assert f"{verdict.explanation.coverage:.0%} of the weight" in verdict.because
    assert [abs(piece.weight) for piece in verdict.why] == sorted(
        (abs(piece.weight) for piece in verdict.why), reverse=True
    )


def test_a_detection_is_explained_as_one(url_scorer):
    text = "https://verify-music12.example/login.php?u=12"
    score = url_scorer.score_of(text)
    at_half = url_scorer.with_operating_point(OperatingPoint(threshold=score / 2))
    verdict = at_half.score_one(text, top=1)
    assert (verdict.detected, verdict.explanation.label) == (True, "phishing")
    assert url_scorer.label_to_explain("benign", detected=True, text=text) == "phishing"


# --- the named pieces decide ----------------------------------------------------------------------

REAL = {
    "url-threat": ("url/threat-train.parquet", "url", "label", 4000),
    "command-line": ("command_line/labelled.parquet", "text", "label", 4000),
    "email": ("email/train.parquet", "raw", "label", 200),
    "html": ("html/pages.parquet", "html", "label", 120),
}


@pytest.mark.parametrize("name", REAL)
def test_deleting_named_pieces_moves_the_score_more_than_other_words(real_data, tmp_path, name):
    file, column, label, size = REAL[name]
    rng = np.random.default_rng(0)
    table = pq.read_table(real_data / file, columns=[column, label])
    table = table.filter(pc.less(pc.binary_length(table[column]), 20_000))
    table = table.take(np.sort(rng.permutation(len(table))[: size + 40]))
    task = get_task(name)
    texts = [t if isinstance(t, bytes) else t.encode() for t in table[column].to_pylist()]
    labels = np.array([task.class_index(value) for value in table[label].to_pylist()], np.int32)
    unseen = np.zeros(len(texts), bool)
    unseen[rng.permutation(len(texts))[:40]] = True
    rows = np.flatnonzero(~unseen)
    events = Dataset.from_texts([texts[row] for row in rows], task).with_labels(labels[rows])
    spec = StudentSpec("ngram", {"table_bits": 14, "epochs": 4}, folds=2)
    write_fitted(tmp_path / "a.buckler", fit_student(events, spec))
    scorer = load(tmp_path / "a.buckler")
    chosen, others = [], []
    for row in np.flatnonzero(unseen).tolist():
        text = texts[row].decode("utf-8", "replace")
        found = [
            piece
            for piece in scorer.explain(text, top=1000).contributions
            if piece.start is not None and piece.kind == "text"
        ]
        words = [match.span() for match in re.finditer(r"\w+", text)]
        if len(found) < 2 or len(words) < 4:
            continue
        chosen.append(moved(scorer, text, [(piece.start, piece.end) for piece in found[:2]]))
        draws = [rng.choice(len(words), 2, replace=False) for _ in range(3)]
        others += [moved(scorer, text, [words[at] for at in draw]) for draw in draws]
    assert len(chosen) >= 10
    assert np.mean(chosen) > 1.15 * np.mean(others)


def moved(scorer, text, spans):
    """How far the logit of the score moves without these pieces."""
    cut = text
    for start, end in sorted(spans, reverse=True):
        cut = cut[:start] + cut[end:]
    before, after = np.clip(scorer.score([text, cut]).scores.astype(float), 1e-6, 1 - 1e-6)
    return abs(np.log(before / (1 - before)) - np.log(after / (1 - after)))
