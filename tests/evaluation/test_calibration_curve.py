import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.evaluation.calibration import (
    CalibrationCurve,
    _beta,
    _isotonic,
    choose_curve,
    least_probabilities,
)


def sample(n, seed, distort):
    """True probabilities, what a model says of them, and outcomes."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(0.5, 0.8, n)
    said = distort(truth).astype(np.float32)
    return said, rng.random(n) < truth, np.arange(n), rng


def loss(p, y):
    p = np.clip(p.astype(float), 1e-7, 1 - 1e-7)
    return float(-np.where(y, np.log(p), np.log(1 - p)).mean())


def test_probabilities_that_are_right_are_left_alone():
    said, hit, groups, rng = sample(5000, 0, lambda p: p)
    assert choose_curve(said, hit, groups, rng).method == "none"


@pytest.mark.parametrize(
    ("distort", "methods"),
    [
        (lambda p: p**4, {"beta", "isotonic"}),
        (lambda p: 0.5 + 0.2 * np.sign(p - 0.5) * np.abs(2 * p - 1) ** 3, {"isotonic", "beta"}),
        (lambda p: np.where(p < 0.5, p / 4, 0.6 + (p - 0.5) / 5), {"isotonic", "beta"}),
    ],
)
def test_what_is_distorted_is_mended_and_new_events_gain(distort, methods):
    said, hit, groups, rng = sample(8000, 1, distort)
    curve = choose_curve(said, hit, groups, rng)
    assert curve.method in methods
    new, truth, *_ = sample(8000, 2, distort)
    assert loss(curve(new), truth) < loss(new, truth) - 0.01


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([_isotonic, _beta]),
    st.integers(60, 400),
    st.sampled_from([0.02, 0.5, 0.95]),
)
def test_the_ranking_stays_and_ends_stay_ends(seed, fit, n, share):
    rng = np.random.default_rng(seed)
    said = np.round(rng.random(n), 3).astype(np.float32)
    hit = rng.random(n) < share
    if hit.all() or not hit.any():
        return
    curve = CalibrationCurve("x", *fit(said, hit))
    xs = np.array(curve.x)
    ys = np.array(curve.y)
    assert (xs[0], ys[0], xs[-1], ys[-1]) == (0, 0, 1, 1)
    assert (np.diff(xs) > 0).all()
    assert (np.diff(ys) >= 0).all()
    assert len(xs) <= 64
    grid = np.linspace(0, 1, 2001, dtype=np.float32)
    assert (np.diff(curve(grid)) >= 0).all()
    assert np.allclose(curve(grid), np.interp(grid, xs, ys), atol=1e-6)
    assert np.isnan(curve(np.array([np.nan], np.float32))).all()


@pytest.mark.parametrize("classes", [2, 5])
def test_the_true_class_is_in_the_set_as_often_as_promised(classes):
    rng = np.random.default_rng(3)

    def draw(n):
        p = rng.dirichlet(np.full(classes, 0.4), n).astype(np.float32)
        labels = np.array([rng.choice(classes, p=row / row.sum()) for row in p.astype(float)])
        wrong = rng.random(n) < 0.1  # the model is not quite right
        labels[wrong] = rng.integers(classes, size=wrong.sum())
        return p, labels.astype(np.int32)

    least = least_probabilities(*draw(4000))
    p, labels = draw(4000)
    for rate, value in least.items():
        inside = p[np.arange(len(p)), labels] >= value
        assert inside.mean() == pytest.approx(1 - rate, abs=0.02)


def test_too_few_rows_promise_nothing():
    assert least_probabilities(np.full((5, 2), 0.5, np.float32), np.zeros(5, np.int32)) == {}


def test_a_scorer_cannot_tell_where_a_positive_class_is_not_ruled_out(url_scorer):
    texts = ["https://login-river7.example/verify.php?u=7", "x"]
    verdicts = url_scorer.score(texts)
    sets = verdicts.prediction_sets(0.01)
    assert sets.shape == (2, 2)
    at = url_scorer.with_error_rate(0.01).score(texts)
    assert at.uncertain.tolist() == (sets[:, 1] & ~verdicts.detected).tolist()
    assert at.to_arrow()["uncertain"].to_pylist() == [verdict.uncertain for verdict in at]
    with pytest.raises(Exception, match=r"no prediction sets for an error rate of 0\.33"):
        url_scorer.with_error_rate(0.33)
    with pytest.raises(Exception, match=r"no prediction sets for an error rate of 0\.33"):
        verdicts.prediction_sets(0.33)
