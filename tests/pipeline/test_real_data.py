"""End to end on the real public data, where they lie beside the checkout."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from buckler import pipeline
from buckler.pipeline.recipe import Recipe
from buckler.runtime import load
from tests.support.few_rows import few_rows

pytestmark = pytest.mark.slow


def run(real_data, tmp_path, task, train, test, **sections):
    recipe = Recipe.model_validate(
        {
            "task": task,
            "output": tmp_path,
            "data": {
                "train": [real_data / f"{name}.parquet" for name in train],
                "test": [real_data / f"{name}.parquet" for name in test],
            },
            "evaluation": {"resamples": 100},
            **sections,
        }
    )
    return pipeline.run(recipe)


@pytest.fixture(scope="module")
def url_threat(real_data, tmp_path_factory):
    return run(
        real_data,
        tmp_path_factory.mktemp("url-threat"),
        "url-threat",
        ["url/threat-train"],
        ["url/threat-test"],
        split={"on_leak": "allow"},
    )


def test_url_threat_is_better_than_the_linear_baselines(url_threat):
    figures = url_threat.assessment.figures
    # The better of fastText and scikit-learn on the same rows: 0.982, 0.638, 0.297.
    assert figures["auroc"].value > 0.982
    assert figures["tpr@fpr=0.01"].value > 0.70
    assert figures["tpr@fpr=0.001"].value > 0.28
    assert url_threat.assessment.too_few == [0.0001]
    assert url_threat.assessment.ece < 0.03


def test_the_deployed_thresholds_hold_about_what_they_promise(url_threat):
    for at in url_threat.assessment.thresholds:
        if at.target_fpr >= 1e-3:
            assert at.false_positives.value < 2.5 * at.target_fpr


def test_url_threat_is_small_and_has_slices(url_threat):
    assert url_threat.bundle.stat().st_size <= 3_000_000
    slices = {(s.by, s.value) for s in url_threat.assessment.slices}
    assert ("group", "seen in training") in slices
    assert ("group", "unseen") in slices
    assert ("month", "2026-04") in slices


def test_across_sources_it_is_worse_and_says_so(url_threat, real_data):
    scorer = load(url_threat.bundle)
    table = pq.read_table(real_data / "url" / "threat-2021.parquet")
    positive = np.array([label == "phishing" for label in table["label"].to_pylist()])
    score = scorer.score(table["url"]).scores
    order = np.argsort(score)
    ranks = np.empty(len(positive))
    ranks[order] = np.arange(1, len(positive) + 1)
    area = (ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2) / (
        positive.sum() * (~positive).sum()
    )
    assert 0.79 < area < url_threat.assessment.figures["auroc"].value


def test_url_categories_from_few_labels(real_data, tmp_path):
    done = run(
        real_data,
        tmp_path,
        "url-category",
        ["url/category-labelled"],
        ["url/category-test"],
        split={"on_leak": "drop"},
        student={"family": "ngram", "table_bits": 17},
    )
    assert done.assessment.figures["accuracy"].value > 0.61
    assert len(done.assessment.classes) == 29


def test_mail_in_three_classes(real_data, tmp_path):
    few_rows(real_data / "email/train.parquet", tmp_path, 3000)
    done = run(
        real_data,
        tmp_path / "out",
        "email",
        [tmp_path / "train"],
        ["email/test"],
        split={"on_leak": "allow"},
        student={"family": "ngram", "folds": 2},
    )
    assert done.assessment.figures["macro-F1"].value > 0.85
    assert done.assessment.class_counts == [574, 249, 900]


def test_a_run_is_reproducible_to_the_bit(real_data, tmp_path):
    weights = []
    for name in ("a", "b"):
        done = run(
            real_data,
            tmp_path / name,
            "url-category",
            ["url/category-labelled"],
            ["url/category-test"],
            split={"on_leak": "drop"},
            student={"family": "ngram", "folds": 2, "table_bits": 14},
        )
        weights.append(load(done.bundle).manifest.files["weights.safetensors"]["sha256"])
    assert weights[0] == weights[1]
