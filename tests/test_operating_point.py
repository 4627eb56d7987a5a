"""Operating points: what may be asked for, and how a curve answers."""

import pytest

from buckler.errors import SettingsError
from buckler.operating_point import OperatingCurve, OperatingPoint, describe_threshold

CURVE = OperatingCurve(
    scores=(0.1, 0.5, 0.8, 0.95),
    fprs=(0.2, 0.01, 0.001, 0.0),
    recalls=(0.99, 0.9, 0.69, 0.3),
    n_negatives=3000,
    n_positives=500,
    least_fpr=0.001,
    origin="unseen-sources",
)


@pytest.mark.parametrize(
    ("asked", "threshold"),
    [
        ({"fpr": 0.2}, 0.1),
        ({"fpr": 0.05}, 0.5),
        ({"fpr": 0.001}, 0.8),
        ({"recall": 0.69}, 0.8),
        ({"recall": 0.7}, 0.5),
        ({"threshold": 0.42}, 0.42),
        ({"alerts_per_day": 2000, "events_per_day": 2e6}, 0.8),
        ({"alerts_per_day": 50_000, "events_per_day": 2e6, "base_rate": 0.01}, 0.5),
        ({"precision": 0.4, "base_rate": 0.01}, 0.5),
        ({"precision": 0.8, "base_rate": 0.01}, 0.8),
    ],
)
def test_a_curve_finds_the_threshold_of_a_wish(asked, threshold):
    assert CURVE.threshold(OperatingPoint(**asked)) == threshold


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"fpr": 1e-4}, "takes 30,000 negatives, and there are 3,000: these support 0.001"),
        ({"alerts_per_day": 50, "events_per_day": 2e6}, "50 alerts among 2,000,000 .* 120,000"),
        # No false positive was seen at 0.95, but as few as 3,000 negatives cannot promise that.
        ({"precision": 0.9, "base_rate": 1e-4}, "support a precision of 0.0646 at the most"),
        ({"alerts_per_day": 1, "events_per_day": 1000, "base_rate": 0.1}, "at the least"),
        ({"recall": 0.999}, "a recall of 0.99 at the most"),
    ],
)
def test_a_wish_beyond_the_events_is_refused_with_what_they_support(asked, words):
    with pytest.raises(SettingsError, match=words):
        CURVE.threshold(OperatingPoint(**asked))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "exactly one of .*; 0 are given"),
        ({"fpr": 0.1, "recall": 0.5}, "exactly one of .*; 2 are given"),
        ({"fpr": 0}, "above 0 and below 1"),
        ({"recall": 1.5}, "above 0 and below 1"),
        ({"threshold": -0.1}, "a score is from 0 to 1"),
        ({"threshold": float("nan")}, "a score is from 0 to 1"),
        ({"precision": 0.9}, "needs a base rate"),
        ({"alerts_per_day": 5}, "go together"),
        ({"fpr": 0.1, "events_per_day": 5}, "go together"),
        ({"fpr": 0.1, "base_rate": 0.5}, "does not change"),
        ({"alerts_per_day": 0, "events_per_day": 5}, "must be above 0"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(asked, words):
    with pytest.raises(SettingsError, match=words):
        OperatingPoint(**asked)


def test_rates_between_two_points_are_not_too_good():
    assert CURVE.rates_at(0.8) == (0.001, 0.69)
    assert CURVE.rates_at(0.6) == (0.01, 0.69)
    assert CURVE.rates_at(0.05) == (1.0, 0.99)
    assert CURVE.rates_at(1.0) == (0.0, 0.0)


def test_a_threshold_is_told_in_words():
    told = [CURVE.describe(score, "phishing") for score in CURVE.scores]
    assert told == [
        "detects 99 of 100 phishing events; 20 false positives in 100 others",
        "detects 90 of 100 phishing events; 1 false positive in 100 others",
        "detects 69 of 100 phishing events; 1 false positive in 1,000 others",
        "detects 30 of 100 phishing events; fewer than 1 false positive in 1,000 others",
    ]
    assert "takes 300" in describe_threshold(None, None, None, "phishing")
