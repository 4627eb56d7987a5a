"""What a scorer answers."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from buckler.errors import SettingsError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """Answers for a batch; each view is computed when it is asked for.

    Attributes
    ----------
    outputs
        float32 [n] for two classes (probability of the second), else [n, classes]. NaN for a null.
    classes
        Class names, in order.
    bad
        Indices of the classes that a detection is raised for.
    conformal
        Error rate -> the probability that a class needs to be in the prediction set.
    """

    outputs: Floats
    classes: tuple[str, ...]
    positive: tuple[int, ...]
    conformal: dict[float, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.outputs)

    @cached_property
    def probabilities(self) -> Floats:
        """float32 [n, classes]."""
        if self.outputs.ndim == 2:
            return self.outputs
        return np.stack([1 - self.outputs, self.outputs], axis=1)

    @cached_property
    def score(self) -> Floats:
        """float32 [n]: probability of the positive classes together; of the top class without any."""
        if not self.positive:
            return np.asarray(self.probabilities.max(axis=1))
        if self.outputs.ndim == 1:
            return self.outputs if self.positive == (1,) else 1 - self.outputs
        return np.asarray(self.outputs[:, self.positive].sum(axis=1))

    @cached_property
    def label_indices(self) -> npt.NDArray[np.intp]:
        """The most probable class of each."""
        if self.outputs.ndim == 1:
            return (self.outputs >= 0.5).astype(np.intp)
        return np.asarray(self.outputs.argmax(axis=1))

    def prediction_sets(self, error_rate: float) -> npt.NDArray[np.bool_]:
        """Return bool [n, classes]: the classes that cannot be ruled out at this error rate.

        On data like the validation rows the true class is missing at most so often.

        Raises
        ------
        SettingsError
            If the bundle has no sets for this rate.
        """
        for known, least in self.conformal.items():
            if abs(known - error_rate) < 1e-12:
                return np.asarray(self.probabilities >= np.float32(least))
        there = ", ".join(f"{rate:g}" for rate in self.conformal) or "none"
        raise SettingsError(
            f"the bundle has no prediction sets for an error rate of {error_rate:g} "
            f"(it has: {there})"
        )

    def abstains(self, error_rate: float) -> npt.NDArray[np.bool_]:
        """Return bool [n]: where the prediction set is not one class, so a person should decide."""
        return np.asarray(self.prediction_sets(error_rate).sum(axis=1) != 1)


@dataclass(frozen=True)
class HeadVerdict:
    """What a head says: the likeliest class, and its probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class Verdict:
    """The answer for one event, with all that led to it.

    Attributes
    ----------
    label
        The most probable class.
    probability
        Its probability.
    score
        Probability of the positive classes together.
    threshold
        The score from which a detection is raised; None where the bundle has none.
    detection
        Whether score reaches the threshold; without a threshold, whether `label` is bad. It can
        differ from `label`: a threshold for few false positives may lie above or below one half.
    probabilities
        Of every class.
    review
        Whether a cascade marks it for a person: it lies too near the threshold.
    stage
        The stage of a cascade that decided, from 1; None without stages.
    heads
        Name -> what that head says; those that are asked of detections alone only where there is one.
    """

    label: str
    probability: float
    score: float
    threshold: float | None
    detected: bool
    probabilities: dict[str, float]
    review: bool = False
    stage: int | None = None
    heads: dict[str, HeadVerdict] = field(default_factory=dict)


@dataclass(frozen=True)
class Contribution:
    """One piece of the input that spoke for or against a class.

    Attributes
    ----------
    text
        The piece, of the normalized text; field borders are shown as ``|``. For rows of features,
        name and value.
    start, end
        Where it stands in the normalized text, in bytes; it may reach one byte over either end.
    weight
        What it adds to the logit of the class: n-gram weights, Shapley values of features, or what
        the logit loses when the piece is hidden.
    """

    text: str
    start: int
    end: int
    weight: float
