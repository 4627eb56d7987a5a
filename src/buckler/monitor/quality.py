"""How good are the verdicts of a window, with labels that came late, or without any."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from buckler.evaluation.bootstrap import Estimate, bootstrap
from buckler.evaluation.calibration import expected_calibration_error
from buckler.evaluation.metrics import Rate, rate

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_ROUNDS = 200
_LEAST = 1e-6


@dataclass(frozen=True)
class Unlabelled:
    """What calibrated scores say of themselves, where no label is known.

    It holds as far as what changed is how many events are bad, and not what bad and good events
    look like (label shift); the drift tests say when that is in doubt.

    Attributes
    ----------
    prevalence
        Share of bad events, by the expectation-maximisation of Saerens et al. 2002.
    precision, recall
        At the deployed threshold.
    """

    prevalence: Estimate
    precision: Estimate
    recall: Estimate


@dataclass(frozen=True)
class Labelled:
    """What labels say of a window.

    Attributes
    ----------
    n
        Labelled events.
    detection, false_alarms, precision
        At the deployed threshold.
    ece
        Calibration error of the badness.
    """

    n: int
    detection: Rate
    false_alarms: Rate
    precision: Rate
    ece: float


@dataclass(frozen=True)
class Sampled:
    """What a sample of alarms and one of the rest say of all events.

    Attributes
    ----------
    precision
        Share of alarms that are bad.
    missed
        Share of events without an alarm that are bad.
    recall
        Of all bad events, those with an alarm: by the two shares and how many events each stands
        for. The ends of its interval join the unlucky ends of both. NaN where nothing is known.
    ece
        Calibration error of the badness of the sampled events. That alarms are drawn more often
        than the rest does no harm: what is asked is how often events of a badness are bad.
    """

    precision: Rate
    missed: Rate
    recall: Estimate
    ece: float


def sampled(badness: Floats, alarms: Bools, is_bad: Bools, n_alarms: int, n_rest: int) -> Sampled:
    """Estimate precision, recall and calibration from judged samples.

    Parameters
    ----------
    badness, alarms, is_bad
        Of the sampled events.
    n_alarms, n_rest
        How many events the samples were drawn from.
    """
    precision, missed = rate(is_bad[alarms]), rate(is_bad[~alarms])

    def recall(p: float, m: float) -> float:
        hits, misses = p * n_alarms, m * n_rest
        return hits / (hits + misses) if hits + misses > 0 else float("nan")

    return Sampled(
        precision,
        missed,
        Estimate(
            recall(precision.value, missed.value),
            recall(precision.low, missed.high),
            recall(precision.high, missed.low),
        ),
        expected_calibration_error(badness, is_bad) if len(badness) else float("nan"),
    )


def shifted_prevalence(badness: Floats, training: float, weights: Floats | None = None) -> float:
    """Return the share of bad events whose calibrated scores these are.

    Parameters
    ----------
    badness
        float64 [n]: calibrated where the share of bad events was `training`.
    weights
        float64 [n]: how often each event counts.
    """
    w = np.ones(len(badness)) if weights is None else weights
    p = np.clip(badness, _LEAST, 1 - _LEAST)
    share = training
    for _ in range(_ROUNDS):
        ours = _adjusted(p, training, share)
        newer = float(np.clip((ours * w).sum() / w.sum(), _LEAST, 1 - _LEAST))
        if abs(newer - share) < 1e-7:
            break
        share = newer
    return share


def without_labels(
    badness: Floats,
    alarms: Bools,
    groups: npt.NDArray[np.int64],
    training: float,
    n_resamples: int = 200,
) -> Unlabelled:
    """Estimate prevalence, precision and recall from calibrated scores alone."""

    def measure(weights: Floats | None) -> dict[str, float]:
        w = np.ones(len(badness)) if weights is None else weights
        share = shifted_prevalence(badness, training, w)
        p = _adjusted(np.clip(badness, _LEAST, 1 - _LEAST), training, share) * w
        raised, bad = float(w[alarms].sum()), float(p.sum())
        caught = float(p[alarms].sum())
        nan = float("nan")
        return {
            "prevalence": share,
            "precision": caught / raised if raised else nan,
            "recall": caught / bad if bad else nan,
        }

    found = bootstrap(measure, groups, n_resamples)
    return Unlabelled(found["prevalence"], found["precision"], found["recall"])


def with_labels(badness: Floats, alarms: Bools, is_bad: Bools) -> Labelled:
    """Measure the labelled events of a window."""
    return Labelled(
        len(badness),
        rate(alarms[is_bad]),
        rate(alarms[~is_bad]),
        rate(is_bad[alarms]),
        expected_calibration_error(badness, is_bad),
    )


def area_under_time(values: list[float]) -> float:
    """Return the mean height of a curve over equal steps of time: AUT of Pendlebury et al. 2019."""
    known = [v for v in values if v == v]
    if len(known) < 2:
        return known[0] if known else float("nan")
    return float(np.mean([(a + b) / 2 for a, b in pairwise(known)]))


def _adjusted(p: Floats, training: float, share: float) -> Floats:
    """Return probabilities for another share of bad events (Bayes)."""
    bad = p * share / training
    good = (1 - p) * (1 - share) / (1 - training)
    return np.asarray(bad / (bad + good))
