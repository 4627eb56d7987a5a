"""Operating points: the wish that decides a bundle's threshold, and the curve that answers it.

Few people know a score to decide at. They know a rate of false positives, a number of alerts a day,
a precision or a recall. A bundle carries what its held-out events show of every threshold, so each
such wish can be answered after training, as far as the events support it.
"""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, fields
from itertools import chain, pairwise

from buckler.errors import SettingsError

USUAL_FPRS = (1e-2, 1e-3, 1e-4)
# Below three expected false positives, a rate says nothing (the "rule of three").
MIN_FALSE_POSITIVES = 3
DEFAULT_ERROR_RATE = 0.05  # of the prediction sets that decide what is uncertain
DEFAULT_THRESHOLD = 0.5  # of a bundle whose held-out events are too few to choose one
HIGHEST_THRESHOLD = 1 + 2**-23  # next to 1 in float32: it detects nothing
MAX_POINTS = 1024  # of a curve
_QUESTIONS = ("fpr", "recall", "precision", "alerts_per_day", "threshold")
_SHARES = ("fpr", "recall", "precision", "base_rate")


@dataclass(frozen=True)
class OperatingPoint:
    """A wish that decides the threshold: exactly one of five.

    Attributes
    ----------
    fpr
        Largest share of negative events that may be detected.
    recall
        Smallest share of positive events to detect.
    precision, base_rate
        Smallest share of positive events among the detections, and their share among all events.
    alerts_per_day, events_per_day
        Largest number of detections a day, and the number of events. They count false positives
        alone, unless `base_rate` says how many events are positive.
    threshold
        The score itself.

    Raises
    ------
    SettingsError
        If it is not exactly one wish, or a value makes no sense.
    """

    fpr: float | None = None
    recall: float | None = None
    precision: float | None = None
    base_rate: float | None = None
    alerts_per_day: float | None = None
    events_per_day: float | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        given = self.to_json()
        if len(asked := [name for name in _QUESTIONS if name in given]) != 1:
            names = ", ".join(_QUESTIONS)
            raise SettingsError(
                f"an operating point is exactly one of {names}; {len(asked)} are given", field="fpr"
            )
        for name, value in given.items():
            share, score = name in _SHARES, name == "threshold"
            if share and not 0 < value < 1:
                raise SettingsError(
                    f"{name.replace('_', ' ')} {value:g}: a share is above 0 and below 1",
                    field=name,
                )
            if score and not 0 <= value <= HIGHEST_THRESHOLD:
                raise SettingsError(f"threshold {value:g}: a score is from 0 to 1", field=name)
            if not (share or score or 0 < value < math.inf):
                raise SettingsError(f"{name.replace('_', ' ')} must be above 0", field=name)
        self._check_companions(asked[0], given)

    def _check_companions(self, asked: str, given: dict[str, float]) -> None:
        if asked == "precision" and "base_rate" not in given:
            raise SettingsError(
                "a precision needs a base rate: the share of positive events", field="base_rate"
            )
        if (asked == "alerts_per_day") is not ("events_per_day" in given):
            raise SettingsError("alerts per day and events per day go together", field=asked)
        if "base_rate" in given and asked not in ("precision", "alerts_per_day"):
            raise SettingsError(f"a base rate does not change the {asked}", field="base_rate")

    def __str__(self) -> str:
        if self.fpr is not None:
            return f"a false-positive rate of {self.fpr:g}"
        if self.recall is not None:
            return f"a recall of {self.recall:g}"
        if self.precision is not None:
            return f"a precision of {self.precision:g} at a base rate of {self.base_rate:g}"
        if self.alerts_per_day is not None:
            return f"{self.alerts_per_day:,g} alerts among {self.events_per_day:,.0f} events a day"
        return f"a threshold of {self.threshold:g}"

    @property
    def target_fpr(self) -> float | None:
        """Largest false-positive rate that the wish allows by itself; None where it says none."""
        if self.alerts_per_day is not None and self.events_per_day is not None:
            return self.alerts_per_day / self.events_per_day if self.base_rate is None else None
        return self.fpr

    def to_json(self) -> dict[str, float]:
        """Return what is given, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: float(value) for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class OperatingCurve:
    """Effect of thresholds on events that the student has not learned.

    Attributes
    ----------
    scores
        Thresholds, rising.
    fprs, recalls
        Shares of the negative and of the positive events that reach them, falling.
    n_negatives, n_positives
        Number of these events.
    least_fpr
        Lowest false-positive rate that the negatives can measure.
    origin
        Rule that chose the negatives, such as ``unseen-sources``.

    Raises
    ------
    SettingsError
        If it is no curve: one that turns would answer a wish with a wrong threshold.
    """

    scores: tuple[float, ...]
    fprs: tuple[float, ...]
    recalls: tuple[float, ...]
    n_negatives: int
    n_positives: int
    least_fpr: float
    origin: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.scores) == len(self.fprs) == len(self.recalls) <= MAX_POINTS:
            raise SettingsError(f"1 to {MAX_POINTS:,} scores, each with both rates, make a curve")
        values = (*self.scores, *self.fprs, *self.recalls)
        if (
            not all(0 <= each <= HIGHEST_THRESHOLD for each in values)
            or not 0 < self.least_fpr <= 1
        ):
            raise SettingsError("scores and rates must be from 0 to 1")
        falling = (pairwise(self.fprs), pairwise(self.recalls))
        if any(a >= b for a, b in pairwise(self.scores)) or any(a < b for a, b in chain(*falling)):
            raise SettingsError("scores must rise, and rates fall")

    def threshold(self, point: OperatingPoint) -> float:
        """Return the threshold that a wish asks for.

        It is the lowest one that keeps to a rate, a precision or a number of alerts, and the
        highest one that reaches a recall.

        Raises
        ------
        SettingsError
            If the events are too few to promise it.
        """
        if point.threshold is not None:
            return point.threshold
        if point.recall is not None:
            return self._of_recall(point, point.recall)
        if point.precision is not None:
            return self._of_precision(point, point.precision)
        if (target := point.target_fpr) is not None:
            check_negatives(point, self.n_negatives, self.least_fpr)
            alerts = self.fprs
        else:  # alerts a day, with a base rate
            target = (point.alerts_per_day or 0) / (point.events_per_day or 1)
            b = point.base_rate or 0
            alerts = tuple(
                b * recall + (1 - b) * max(fpr, self.least_fpr)
                for fpr, recall in zip(self.fprs, self.recalls, strict=True)
            )
        for score, rate in zip(self.scores, alerts, strict=True):
            if rate <= target * (1 + 1e-9):
                return score
        raise SettingsError(
            f"{point}: the held-out events support {min(alerts) * (point.events_per_day or 1):,.3g}"
            " at the least; allow more, or give a threshold",
            field="alerts_per_day",
        )

    def _of_recall(self, point: OperatingPoint, recall: float) -> float:
        for score, share in zip(reversed(self.scores), reversed(self.recalls), strict=True):
            if share >= recall * (1 - 1e-9):
                return score
        raise SettingsError(
            f"{point}: the held-out events reach a recall of {self.recalls[0]:.3g} at the most",
            field="recall",
        )

    def _of_precision(self, point: OperatingPoint, precision: float) -> float:
        best, b = 0.0, point.base_rate or 0
        for score, fpr, recall in zip(self.scores, self.fprs, self.recalls, strict=True):
            # A rate that is too low to be measured counts as the lowest that can be.
            true, false = b * recall, (1 - b) * max(fpr, self.least_fpr)
            found = true / (true + false)
            if found >= precision * (1 - 1e-9):
                return score
            best = max(best, found)
        raise SettingsError(
            f"{point}: the {self.n_negatives:,} held-out negatives support a precision of "
            f"{best:.3g} at the most; ask for less, or give a threshold",
            field="precision",
        )

    def thresholds(self) -> dict[float, float]:
        """Return usual false-positive rate -> threshold, where the negatives are enough."""
        return {
            fpr: self.threshold(OperatingPoint(fpr=fpr))
            for fpr in USUAL_FPRS
            if fpr >= self.least_fpr * (1 - 1e-9)
        }

    def rates_at(self, threshold: float) -> tuple[float, float]:
        """Return false-positive rate and recall at a threshold, neither too good.

        Between two points of the curve, the rate is that of the lower one and the recall that of
        the higher one.
        """
        lower = bisect_right(self.scores, threshold) - 1
        higher = bisect_left(self.scores, threshold)
        fpr = self.fprs[lower] if lower >= 0 else 1.0
        return fpr, self.recalls[higher] if higher < len(self.scores) else 0.0

    def describe(self, threshold: float, positive: str = "positive") -> str:
        """Return in words what a threshold does to events like the held-out ones.

        `positive` names the positive events.
        """
        fpr, recall = self.rates_at(threshold)
        if fpr >= 0.02:
            false = f"{100 * fpr:.0f} false positives in 100"
        elif fpr >= self.least_fpr:
            false = f"1 false positive in {float(f'{1 / fpr:.2g}'):,.0f}"
        else:
            false = f"fewer than 1 false positive in {int(1 / self.least_fpr):,}"
        return f"detects {100 * recall:.0f} of 100 {positive} events; {false} others"


def check_negatives(
    point: OperatingPoint, n_negatives: int, least_fpr: float | None = None
) -> None:
    """Check that negatives are enough to promise the false-positive rate of a wish.

    Raises
    ------
    SettingsError
        If they are too few; it says how many it takes, and the lowest rate that they support.
    """
    least = MIN_FALSE_POSITIVES / max(n_negatives, 1) if least_fpr is None else least_fpr
    target = point.target_fpr
    if target is None or target >= least * (1 - 1e-9):
        return
    needed = math.ceil(MIN_FALSE_POSITIVES / target - 1e-9)
    lowest = f"these support {least:.3g} and above" if least < 1 else "these support no rate"
    raise SettingsError(
        f"{point} takes {needed:,} negatives, and there are {n_negatives:,}: {lowest}; ask for a "
        "higher rate, give a threshold, or add negatives",
        field="fpr" if point.fpr is not None else "alerts_per_day",
    )


def describe_threshold(
    threshold: float | None,
    point: OperatingPoint | None,
    curve: OperatingCurve | None,
    positive: str,
) -> str:
    """Return a threshold and its effect on held-out events in words; `positive` names a class."""
    if threshold is None:
        known = "are too few"
        if curve is not None:
            known = f"are {curve.n_negatives:,}, enough for a rate of {curve.least_fpr:.2g}"
        return (
            f"No threshold was chosen: the held-out negatives {known}; a false-positive rate of "
            "0.01 takes 300, one of 0.001 takes 3,000. An event is detected from a score of "
            f"{DEFAULT_THRESHOLD:g}."
        )
    text = f"Detected from a score of {threshold:.4f}" + (f", for {point}" if point else "")
    if curve is None:
        return f"{text}."
    return f"{text}: it {curve.describe(threshold, positive)} (held-out events, {curve.origin})."
