"""Bounds the agreement of a student with its teacher on held-out annotations.

A student may answer the events that it is sure of, and leave the others to the teacher. The search
finds the least probability at which the answers still agree with the teacher, with a stated
confidence. Thresholds are tested in fixed sequences from sure to unsure (Angelopoulos et al. 2021,
Learn then Test), each with the exact binomial bound of Clopper and Pearson (1934), so the bound
holds for the threshold that is chosen.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError, SettingsError
from buckler.evaluation.intervals import (
    Rate,
    binomial_tail,
    clopper_pearson_low,
    independent_rows,
    wilson,
)

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
NEVER = 2.0  # least probability of a class that is never answered
_LEVELS = 100
# Shares of the events at which a sequence of tests starts: one disagreement among the surest
# events must not end the search.
_STARTS = (0.2, 0.5, 0.8)


@dataclass(frozen=True)
class BoundedShare:
    """A share with a one-sided lower bound.

    Attributes
    ----------
    value, low
        The share, and its bound; NaN and 0 where there are no events.
    n
        Number of events.
    """

    value: float
    low: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.4f} (at least {self.low:.4f})" if self.n else "-"


@dataclass(frozen=True)
class ClassAgreement:
    """Agreement on the events that a student puts into one class.

    Attributes
    ----------
    name
        Class.
    least
        Least probability at which the student answers; `NEVER` where it leaves all to the teacher.
    n_events
        Events of this class by the student.
    answered
        Agreement on those that it answers.
    """

    name: str
    least: float
    n_events: int
    answered: BoundedShare


@dataclass(frozen=True)
class AgreementBound:
    """Outcome of `bound_agreement`.

    Attributes
    ----------
    target, confidence
        Agreement that was asked for, and the probability with which it holds.
    per_class
        True where it holds in each class of the student, False where it holds for all answers
        together.
    answered
        Share of the events that the student answers.
    agreement
        Agreement on these events. Its bound is that of this threshold alone; for the search, the
        target is what holds.
    overall
        Agreement if the student answered every event.
    classes
        One entry for each class.
    curve
        Share answered -> agreement and its bound, from the surest events to all.
    """

    target: float
    confidence: float
    per_class: bool
    answered: Rate
    agreement: BoundedShare
    overall: BoundedShare
    classes: tuple[ClassAgreement, ...]
    curve: tuple[tuple[float, float, float], ...]

    @property
    def least(self) -> npt.NDArray[np.float64]:
        """Least probability of an answer, float64 [classes]."""
        return np.array([one.least for one in self.classes])

    def sentence(self) -> str:
        """Return the bound in a sentence."""
        sure = f"With {self.confidence:.0%} confidence"
        if not self.agreement.n:
            return (
                f"{sure}, no part of the events reaches an agreement of {self.target:.1%}: the "
                f"student agrees with the teacher on at least {self.overall.low:.1%} of all events."
            )
        where = " in each class that it answers" if self.per_class else ""
        left = 1 - self.answered.value
        return (
            f"{sure}, the student agrees with the teacher on at least {self.target:.1%} of the "
            f"events that it answers{where}; it answers {self.answered.value:.1%}. The rest goes "
            f"to the teacher: {left:.1%} of the calls and of the cost."
        )


def is_answered(probabilities: Floats, least: Floats) -> Bools:
    """Return bool [n]: events whose likeliest class is as probable as its answers must be.

    Parameters
    ----------
    probabilities
        Answers of the student, [n, classes].
    least
        Least probability of an answer, [classes].
    """
    classes = probabilities.argmax(axis=1)
    surest = probabilities[np.arange(len(classes)), classes].astype(np.float64)
    return np.asarray(surest >= least[classes])


def bound_agreement(
    probabilities: Floats,
    teacher: npt.NDArray[np.integer],
    groups: npt.NDArray[np.int64],
    classes: tuple[str, ...],
    *,
    target: float = 0.97,
    confidence: float = 0.95,
    per_class: bool = False,
) -> AgreementBound:
    """Find the least probability at which a student may answer in place of its teacher.

    Parameters
    ----------
    probabilities
        Answers of the student on events that it has not learned from, [n, classes].
    teacher
        Class that the teacher gave, int [n]; -1 where the teacher cannot tell, which agrees with
        no answer.
    groups
        Group of each event; events of one group count as dependent.
    target
        Agreement that must hold on the answered events.
    confidence
        Probability that it holds.
    per_class
        True asks for the agreement within each class that the student answers.

    Raises
    ------
    SettingsError
        If target or confidence is not between 0 and 1.
    InputError
        If there are no events.

    Examples
    --------
    >>> bound = bound_agreement(scorer.score(events.raw).probabilities, answers,
    ...                         events.group_codes(), scorer.classes)  # doctest: +SKIP
    >>> bound.answered.value  # doctest: +SKIP
    0.83
    """
    for name, value in (("target", target), ("confidence", confidence)):
        if not 0 < value < 1:
            raise SettingsError(f"{name} must lie between 0 and 1", field=name)
    if not len(teacher):
        raise InputError("no event has an annotation to compare with")
    error = 1 - confidence
    chosen = probabilities.argmax(axis=1)
    surest = probabilities[np.arange(len(chosen)), chosen].astype(np.float64)
    agrees = np.asarray(chosen == teacher)
    least = np.full(len(classes), NEVER)
    if per_class:
        present = np.unique(chosen)
        for label in present:
            rows = chosen == label
            least[label] = _search(
                surest[rows], agrees[rows], groups[rows], target, error / len(present)
            )
    else:
        least[:] = _search(surest, agrees, groups, target, error)
    answered = is_answered(probabilities, least)

    def share(rows: Bools, risk: float = error) -> BoundedShare:
        return _bound_share(agrees[rows], groups[rows], risk)

    return AgreementBound(
        target=target,
        confidence=confidence,
        per_class=per_class,
        answered=wilson(int(answered.sum()), len(answered)),
        agreement=share(answered),
        overall=share(np.ones(len(agrees), bool)),
        classes=tuple(
            ClassAgreement(
                name,
                float(least[label]),
                int((chosen == label).sum()),
                share(answered & (chosen == label), error / (len(classes) if per_class else 1)),
            )
            for label, name in enumerate(classes)
        ),
        curve=tuple(
            (float(rows.mean()), found.value, found.low)
            for level in _levels(surest)[:: _LEVELS // 20]
            if (found := share(rows := surest >= level)).n
        ),
    )


def _levels(surest: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return thresholds that answer more and more events, by the student's answers alone."""
    ordered = np.sort(surest)[::-1]
    last = np.ceil(np.linspace(0, 1, _LEVELS + 1)[1:] * len(ordered)).astype(np.intp) - 1
    return np.unique(ordered[last])[::-1]


def _search(
    surest: npt.NDArray[np.float64],
    agrees: Bools,
    groups: npt.NDArray[np.int64],
    target: float,
    error: float,
) -> float:
    """Return the lowest threshold whose answers agree by the target; `NEVER` if there is none."""
    levels = _levels(surest)
    shares = np.array([(surest >= level).mean() for level in levels])
    starts = np.unique(np.minimum(np.searchsorted(shares, _STARTS), len(levels) - 1))
    found = NEVER
    for start in starts:
        for level in levels[start:]:
            rows = surest >= level
            n = independent_rows(agrees[rows], groups[rows])
            # Chance of so much agreement if it were below the target.
            if binomial_tail(agrees[rows].mean() * n, n, target) > error / len(starts):
                break
            found = min(found, float(level))
    return found


def _bound_share(agrees: Bools, groups: npt.NDArray[np.int64], error: float) -> BoundedShare:
    if not len(agrees):
        return BoundedShare(float("nan"), 0.0, 0)
    value, n = float(agrees.mean()), independent_rows(agrees, groups)
    return BoundedShare(value, clopper_pearson_low(value * n, n, error), len(agrees))
