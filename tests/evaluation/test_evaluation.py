import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.errors import InputError, SettingsError
from buckler.evaluation.agreement import disagreement
from buckler.evaluation.calibration import fit_calibration, fit_prior_shift, probabilities_of
from buckler.evaluation.evaluation import Predictions, evaluate_predictions
from buckler.evaluation.intervals import bootstrap, rate
from buckler.evaluation.metrics import (
    Ranking,
    auroc,
    average_precision,
    confusion,
    expected_calibration_error,
    f1_scores,
    make_operating_curve,
    reliability_bins,
    tpr_at_fpr,
)
from buckler.evaluation.report import (
    Mistake,
    ReportContext,
    deployed_table,
    headline_sentence,
    operating_table,
    report_html,
    report_json,
)
from buckler.operating_point import OperatingCurve, OperatingPoint
from buckler.training.noise import suspect_labels

rankings = (
    st.integers(2, 60)
    .flatmap(
        lambda n: st.tuples(
            st.lists(st.integers(0, 8), min_size=n, max_size=n),
            st.lists(st.booleans(), min_size=n, max_size=n),
        )
    )
    .filter(lambda pair: any(pair[1]) and not all(pair[1]))
)


@settings(max_examples=200)
@given(rankings)
def test_auroc_is_the_chance_that_a_positive_scores_higher(pair):
    scores, positive = map(np.array, pair)
    pairs = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p in scores[positive]
        for n in scores[~positive]
    ]
    assert auroc(Ranking(scores, positive).roc()) == pytest.approx(np.mean(pairs))


@settings(max_examples=200)
@given(rankings, st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
def test_detection_at_a_rate_is_the_best_threshold_that_keeps_within_it(pair, target):
    scores, positive = map(np.array, pair)
    best = 0.0
    for threshold in [*scores, scores.max() + 1]:
        detected = scores >= threshold
        if (detected & ~positive).sum() / (~positive).sum() <= target:
            best = max(best, (detected & positive).sum() / positive.sum())
    assert tpr_at_fpr(Ranking(scores, positive).roc(), target) == pytest.approx(best)


@settings(max_examples=100)
@given(rankings)
def test_average_precision_sums_precision_over_steps_of_recall(pair):
    scores, positive = map(np.array, pair)
    expected, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        detected = scores >= threshold
        recall = (detected & positive).sum() / positive.sum()
        expected += (recall - before) * (detected & positive).sum() / detected.sum()
        before = recall
    ranking = Ranking(scores, positive)
    got = average_precision(ranking.roc(), ranking.n_positive, ranking.n_negative)
    assert got == pytest.approx(expected)


@settings(max_examples=50)
@given(rankings, st.integers(0, 1000))
def test_row_weights_act_like_repeated_rows(pair, seed):
    scores, positive = map(np.array, pair)
    counts = np.random.default_rng(seed).integers(1, 4, len(scores))
    weighted = auroc(Ranking(scores, positive).roc(counts.astype(float)))
    repeated = auroc(Ranking(np.repeat(scores, counts), np.repeat(positive, counts)).roc())
    assert weighted == pytest.approx(repeated)


def test_wilson_intervals_hold_the_share_and_stay_in_bounds():
    assert rate(np.zeros(0, bool)).n_rows == 0
    for k, n in ((0, 5), (5, 5), (3, 1000)):
        r = rate(np.arange(n) < k)
        assert 0 <= r.low <= r.value <= r.high <= 1
    assert rate(np.zeros(1000, bool)).high == pytest.approx(0.00383, abs=1e-4)


def test_thresholds_keep_within_their_rate_or_say_that_negatives_are_too_few():
    rng = np.random.default_rng(0)
    score = rng.random(5000).astype(np.float32)
    positive = rng.random(5000) < 0.2
    curve = make_operating_curve([score[~positive]], score[positive], "test")
    found = curve.thresholds()
    assert list(found) == [0.01, 0.001]
    for target, value in found.items():
        assert (score[~positive] >= np.float32(value)).mean() <= target
        assert curve.rates_at(value)[0] <= target
        lower = np.nextafter(np.float32(value), np.float32(0))
        assert (score[~positive] >= lower).mean() > target
    with pytest.raises(SettingsError, match="takes 30,000 negatives, and there are"):
        curve.threshold(OperatingPoint(fpr=1e-4))


def test_ties_at_the_threshold_do_not_break_its_promise():
    negatives = np.concatenate([np.full(990, 0.5), np.full(10, 0.9)]).astype(np.float32)
    curve = make_operating_curve([negatives], np.full(500, 0.9, np.float32), "test")
    assert (negatives >= np.float32(curve.thresholds()[0.01])).mean() <= 0.01


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_curve_answers_every_wish_that_its_events_support(seed, n_sets, ties):
    rng = np.random.default_rng(seed)
    round_to = 2 if ties else 9
    sets = [
        rng.beta(1, 5, int(rng.integers(20, 2000))).round(round_to).astype(np.float32)
        for _ in range(n_sets)
    ]
    positives = rng.beta(5, 1, 300).round(round_to).astype(np.float32)
    curve = make_operating_curve(sets, positives, "test")
    for fpr in (curve.least_fpr, 0.0123, 0.1, 0.4):
        if fpr >= curve.least_fpr:
            threshold = np.float32(curve.threshold(OperatingPoint(fpr=fpr)))
            large = [own for own in sets if fpr * len(own) >= 1 - 1e-9]  # 1919 * (1 / 1919) < 1
            assert max((own >= threshold).mean() for own in large) <= fpr + 1e-6
    for recall in (0.005, 0.5, 0.805, 0.99):
        threshold = np.float32(curve.threshold(OperatingPoint(recall=recall)))
        assert (positives >= threshold).mean() >= recall - 1e-6
        assert (positives > threshold).mean() <= recall + 0.02
    assert list(curve.scores) == sorted(curve.scores)
    assert len(curve.scores) <= 250


def test_too_few_negatives_make_no_curve():
    five = np.linspace(0, 1, 5, dtype=np.float32)
    assert make_operating_curve([five], five, "test") is None
    assert make_operating_curve([], five, "test") is None
    alone = make_operating_curve([np.linspace(0, 1, 100, dtype=np.float32)], five[:0], "test")
    with pytest.raises(SettingsError, match="a recall of 0 at the most"):
        alone.threshold(OperatingPoint(recall=0.5))


def test_calibration_recovers_what_distorted_the_logits():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, 20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-z))).astype(np.int32)
    found = fit_calibration(((z - 1) * 4).astype(np.float32)[:, None], labels)
    assert found.slope == pytest.approx(0.25, rel=0.05)
    assert found.shift == pytest.approx(1, abs=0.1)
    logits = rng.normal(0, 2, (20_000, 5))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    drawn = np.array([rng.choice(5, p=row) for row in p[:5000]], np.int32)
    found = fit_calibration((logits[:5000] * 3).astype(np.float32), drawn)
    assert found.slope == pytest.approx(1 / 3, rel=0.05)


@given(st.floats(0.3, 3), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_prior_shift_is_found_from_labels(slope, strength, seed):
    rng = np.random.default_rng(seed)
    shift = np.array([-1.5, 0.5, 1], np.float32)
    z = rng.normal(0, 2, (5_000, 3))
    p = probabilities_of(slope * (z + strength * shift))
    labels = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1).astype(np.int32)
    found, added = fit_prior_shift(z.astype(np.float32), labels, shift)
    assert found.slope == pytest.approx(slope, rel=0.2)
    assert added == pytest.approx(slope * strength * shift, abs=0.25 * max(1, slope))
    assert added == pytest.approx(added[2] * shift, abs=1e-5)
    assert -1e-6 <= added[2] <= found.slope + 1e-6


def test_few_labels_without_an_error_bound_the_temperature():
    logits = np.eye(4, dtype=np.float32)[[0, 1, 2]]
    labels = np.arange(3, dtype=np.int32)
    assert fit_calibration(logits, labels).slope == 20
    found, added = fit_prior_shift(logits, labels, np.zeros(4, np.float32))
    assert found.slope == 20
    assert not added.any()


def test_calibration_never_turns_the_ranking_round():
    z = np.linspace(-3, 3, 100, dtype=np.float32)[:, None]
    assert fit_calibration(z, (z[:, 0] < 0).astype(np.int32)).slope == 1
    assert fit_calibration(z, np.zeros(100, np.int32)).slope == 1


def test_ece_is_zero_for_the_truth_and_large_for_a_boast():
    rng = np.random.default_rng(0)
    p = rng.random(50_000)
    assert expected_calibration_error(p, rng.random(50_000) < p) < 0.01
    assert expected_calibration_error(np.ones(100), np.zeros(100, bool)) == pytest.approx(1)
    assert sum(b.n_rows for b in reliability_bins(p, p > 0.5)) == 50_000


def test_the_bootstrap_draws_groups_and_is_wider_for_fewer():
    values = np.repeat(np.random.default_rng(0).random(50), 20)

    def measure(w):
        return {"mean": float(np.average(values, weights=w))}

    by_row = bootstrap(measure, np.arange(1000))["mean"]
    by_group = bootstrap(measure, np.repeat(np.arange(50), 20))["mean"]
    assert by_row.low < by_row.value < by_row.high
    assert by_group.high - by_group.low > 2 * (by_row.high - by_row.low)


def test_f1_of_a_class_that_never_occurs_is_unknown():
    matrix = confusion(np.array([0, 0, 1], np.int32), np.array([0, 1, 1]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert f1_scores(matrix)[:2] == pytest.approx([2 / 3, 2 / 3])
    assert np.isnan(f1_scores(matrix)[2])


def test_suspect_labels_are_those_that_were_turned():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 3000).astype(np.int32)
    p = np.full((3000, 3), 0.05)
    p[np.arange(3000), truth] = 0.9
    labels = truth.copy()
    wrong = rng.choice(3000, 150, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 3
    assert set(np.flatnonzero(suspect_labels(p, labels))) == set(wrong)
    assert not suspect_labels(p, truth).any()


def sample(n=4000, seed=0, name="benign"):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(np.int32)
    z = rng.normal(0, 1, n) + 3 * labels - 2
    p = (1 / (1 + np.exp(-z))).astype(np.float32)
    return evaluate_predictions(
        Predictions(np.stack([1 - p, p], axis=1), labels, np.arange(n), (name, "phishing"), (1,)),
        {0.01: 0.6},
        0.01,
        slices={
            "source": np.array(["a", "<script>alert(1)</script>"] * (n // 2), object),
            "month": np.array([f"2026-{1 + i % 3:02}" for i in range(n)], object),
        },
        n_resamples=60,
    )


def test_an_evaluation_says_what_it_cannot_say():
    found = sample()
    assert found.too_few == [0.001, 0.0001]
    assert "tpr@fpr=0.001" not in found.figures
    e = found.figures["auroc"]
    assert 0.9 < e.low < e.value < e.high < 1
    assert len(found.slices) == 5
    assert sum(s.n_positive for s in found.slices if s.by == "month") == found.class_counts[1]
    with pytest.raises(InputError, match="label"):
        evaluate_predictions(
            Predictions(
                np.zeros((1, 2), np.float32),
                np.array([-1], np.int32),
                np.zeros(1, np.int64),
                classes=("a", "b"),
                positive=(1,),
            )
        )


def test_the_page_is_self_contained_and_escapes_what_data_say():
    mistake = Mistake(
        is_miss=False, score=0.9, label="<i>", source="<s>", because="<u>", runs=(("<em>", 4),)
    )
    context = ReportContext(
        "t <b>", "lead & more", ("note <i>",), {"key": "<value>"}, mistakes=(mistake,)
    )
    page = report_html(sample(name="<img src=x onerror=alert(1)>"), context)
    assert "<script" not in page and "onerror=alert(1)>" not in page.replace("&gt;", "")
    assert "&lt;script&gt;alert(1)" in page
    assert '<mark class="w4">&lt;em&gt;</mark>' in page
    assert "Worst false positives" in page and "Worst misses" not in page
    assert not {"<i>", "<s>", "<u>", "<em>"} & set(re.findall("<[a-z]+>", page))
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in page
    for outside in ('src="http', 'href="http', "@import", "url(http"):
        assert outside not in page
    for title in ("ROC", "Precision and recall", "Scores", "Reliability", "Detection by month"):
        assert title in page
    assert page.count("<svg") == 5


def test_the_json_has_the_same_figures_and_no_nan():
    found = sample()
    data = json.loads(
        report_json(found, ReportContext("t", "l", (), {})), parse_constant=pytest.fail
    )
    assert data["figures"]["auroc"]["value"] == found.figures["auroc"].value
    assert data["too_few_negatives_for_fpr"] == [0.001, 0.0001]
    assert data["confusion"] == found.confusion.tolist()


CURVE = OperatingCurve((0.2, 0.6, 0.9), (0.05, 0.01, 0.001), (0.9, 0.7, 0.4), 3000, 900, 0.001, "t")


def test_the_deployed_threshold_in_one_sentence_and_in_a_table():
    found = sample()
    detection = found.thresholds[0].detection
    assert headline_sentence(found).startswith(
        f"At the deployed threshold, the bundle detects {100 * detection.value:.0f} of 100 phishing"
    )
    table = deployed_table(found)
    assert [int(row[1].replace(",", "")) for row in table.rows] == found.class_counts[::-1]
    assert int(table.rows[0][2].replace(",", "")) == round(detection.value * detection.n_rows)


def test_operating_points_that_the_curve_supports():
    table = operating_table(sample(), CURVE)
    assert [row[:4] for row in table.rows] == [
        ("0.05", "0.2000", "0.900", "50,000"),
        ("0.02", "0.6000", "0.700", "10,000"),
        ("0.01", "0.6000", "0.700", "10,000"),
        ("0.005", "0.9000", "0.400", "1,000"),
        ("0.002", "0.9000", "0.400", "1,000"),
        ("0.001", "0.9000", "0.400", "1,000"),
    ]
    assert operating_table(sample(), None) is None


def test_disagreement_is_nothing_of_the_same_and_greatest_of_opposites():
    p = np.array([[1.0, 0.0], [0.7, 0.3]])
    assert disagreement([p, p]) == pytest.approx([0, 0])
    assert disagreement([p, p[:, ::-1]])[0] == pytest.approx(np.log(2))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=80))
def test_groups_only_widen_an_interval(rows):
    groups, flags = np.array([g for g, _ in rows]), np.array([f for _, f in rows], bool)
    alone, grouped = rate(flags), rate(flags, groups)
    assert (grouped.hits, grouped.n_rows, grouped.value) == (alone.hits, alone.n_rows, alone.value)
    assert 0 <= grouped.low <= alone.low + 1e-9 and alone.high - 1e-9 <= grouped.high <= 1


def test_intervals_by_group_hold_the_true_rate_where_rows_of_a_group_repeat_each_other():
    rng, held, held_by_rows = np.random.default_rng(0), 0, 0
    for _ in range(200):
        groups = np.repeat(np.arange(60), 25)
        flags = np.repeat(rng.random(60) < 0.2, 25)
        by_group, by_row = rate(flags, groups), rate(flags)
        held += by_group.low <= 0.2 <= by_group.high
        held_by_rows += by_row.low <= 0.2 <= by_row.high
    assert held >= 180 and held_by_rows < 100


def test_a_single_group_gives_figures_without_an_interval():
    one = bootstrap(lambda _: {"auroc": 0.9}, np.zeros(50, np.int64))["auroc"]
    assert one.value == 0.9 and np.isnan(one.low) and np.isnan(one.high)
    assert str(one) == "0.900 (one group, no interval)"
