"""The bound on agreement holds as often as it says, for the threshold that the search chooses."""

import numpy as np
import pytest

from buckler.errors import SettingsError
from buckler.evaluation.agreement_bound import NEVER, bound_agreement
from buckler.evaluation.intervals import binomial_tail, clopper_pearson_low

scipy_stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize(
    ("k", "n"), [(1, 1), (5, 10), (97, 100), (100, 100), (1660, 1700), (14_000, 14_300)]
)
def test_the_binomial_bound_is_that_of_scipy(k, n):
    assert binomial_tail(k, n, 0.9) == pytest.approx(scipy_stats.binom.sf(k - 1, n, 0.9), abs=1e-9)
    exact = scipy_stats.beta.ppf(0.05, k, n - k + 1)
    assert clopper_pearson_low(k, n, 0.05) == pytest.approx(exact, abs=1e-9)


def test_no_hit_bounds_nothing():
    assert clopper_pearson_low(0, 20, 0.05) == 0
    assert (binomial_tail(0, 5, 0.3), binomial_tail(3, 5, 0), binomial_tail(3, 5, 1)) == (1, 0, 1)


def draw(n, rng, size=1):
    """Return answers whose probability is that of agreeing, in groups with one answer each."""
    surest = np.repeat(1 - 0.4 * rng.random(n // size) ** 2, size)
    label = np.repeat(rng.integers(0, 2, n // size), size)
    agrees = np.repeat(rng.random(n // size), size) < surest
    p = np.where(label[:, None] == [0, 1], surest[:, None], 1 - surest[:, None])
    return p, np.where(agrees, label, 1 - label), np.repeat(np.arange(n // size), size)


@pytest.mark.parametrize(("size", "per_class"), [(1, False), (10, False), (1, True)])
def test_the_bound_fails_no_more_often_than_it_says(size, per_class):
    rng = np.random.default_rng(3)
    sure = np.sort(1 - 0.4 * rng.random(100_000) ** 2)
    n_failed, answered = 0, []
    for _ in range(25):
        p, teacher, groups = draw(1500, rng, size)
        bound = bound_agreement(p, teacher, groups, ("a", "b"), target=0.95, per_class=per_class)
        # Both classes are alike: the expected agreement is the mean of the probabilities.
        truth = [sure[sure >= least].mean() for least in bound.least if least < NEVER]
        n_failed += any(value < 0.95 for value in truth)
        answered.append(bound.answered.value)
    assert n_failed <= 3  # one is expected at most
    if size == 1:  # dependent events bound too little here
        assert np.mean(answered) > (0.15 if per_class else 0.25)


def test_a_higher_target_leaves_more_to_the_teacher():
    p, teacher, groups = draw(4000, np.random.default_rng(1))
    shares = [
        bound_agreement(p, teacher, groups, ("a", "b"), target=target).answered.value
        for target in (0.8, 0.9, 0.95, 0.999)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1
    assert shares[-1] == 0
    nothing = bound_agreement(p, teacher, groups, ("a", "b"), target=0.999)
    assert "no part of the events" in nothing.sentence()


def test_one_contradiction_among_the_surest_does_not_end_the_search():
    p, _, groups = draw(3000, np.random.default_rng(2))
    teacher = p.argmax(axis=1)
    teacher[p.max(axis=1).argmax()] ^= 1
    assert bound_agreement(p, teacher, groups, ("a", "b")).answered.value == 1


def test_a_teacher_that_cannot_tell_agrees_with_nothing():
    p, teacher, groups = draw(1000, np.random.default_rng(2))
    bound = bound_agreement(p, np.full_like(teacher, -1), groups, ("a", "b"))
    assert (bound.overall.value, bound.answered.value) == (0, 0)


@pytest.mark.parametrize("name", ["target", "confidence"])
def test_a_share_that_is_none_is_refused(name):
    p, teacher, groups = draw(10, np.random.default_rng(0))
    with pytest.raises(SettingsError, match=name):
        bound_agreement(p, teacher, groups, ("a", "b"), **{name: 1.0})
