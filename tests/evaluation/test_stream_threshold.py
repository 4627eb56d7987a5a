"""Thresholds on a stream of one's own, of which few events have an answer."""

import numpy as np
import pytest

from buckler.evaluation.stream_threshold import StreamScores, stream_curve, stream_threshold
from buckler.operating_point import OperatingPoint


def sigmoid(z):
    return (1 / (1 + np.exp(-z))).astype(np.float32)


def figures(n_answers, distance, rng, slope=1.0):
    """Return detection and false positives at the threshold for 0.01, on a stream of 3,000."""
    positive = rng.random(3_000) < 0.25
    z = slope * (rng.normal(size=3_000) + np.where(positive, distance, -distance))
    scores = sigmoid(z)
    stream = StreamScores(scores, scores, positive[:n_answers])
    found = stream_curve(stream, 0.01).threshold(OperatingPoint(fpr=0.01))
    detected = scores >= found
    return detected[positive].mean(), detected[~positive].mean()


@pytest.mark.parametrize("n", [20_000, 150])
def test_the_threshold_holds_on_the_stream_even_where_it_is_drawn_out(n):
    rng = np.random.default_rng(8)
    rates = []
    for _ in range(20):
        scores = sigmoid(rng.normal(-2, 1, n))
        value = stream_threshold(scores, np.ones(n), 0.01)
        rates.append((sigmoid(rng.normal(-2, 1, 50_000)) >= value).mean())
    assert 0.003 <= np.mean(rates) <= 0.015


@pytest.mark.parametrize("slope", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("distance", [1.0, 1.5, 4.0])
def test_few_answers_neither_break_the_promise_nor_waste_a_clear_ranking(distance, slope):
    rng = np.random.default_rng(4)
    found = np.array([figures(60, distance, rng, slope) for _ in range(20)])
    detection, false_positives = found.mean(axis=0)
    assert false_positives <= 0.015
    assert detection >= {1.0: 0.2, 1.5: 0.4, 4.0: 0.9}[distance]


def test_a_stream_without_further_events_or_with_one_class_has_a_threshold():
    rng = np.random.default_rng(2)
    scores = sigmoid(rng.normal(-2, 1, 100))
    for n_answers in (100, 40):
        stream = StreamScores(scores, scores, np.zeros(n_answers, bool))
        found = stream_curve(stream, 0.01).threshold(OperatingPoint(fpr=0.01))
        assert 0.3 < found <= 1
