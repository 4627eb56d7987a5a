"""Verdicts: the answer to a batch of events, and to one.

A batch is judged as a whole; each view of the answer is computed when it is asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from buckler.errors import SettingsError
from buckler.operating_point import DEFAULT_ERROR_RATE
from buckler.runtime.explanation import Contribution, Explanation

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class AuxiliaryAnswer:
    """Answer of an auxiliary classifier about one event.

    Attributes
    ----------
    label
        The most probable answer.
    probability
        Its probability.
    """

    label: str
    probability: float


@dataclass(frozen=True)
class Verdict:
    """Answer for one event, with all that led to it.

    Attributes
    ----------
    label
        The most probable class; None for a null in place of an event.
    probability
        Its probability.
    score
        Probability of the positive classes together.
    threshold
        Score from which an event is a detection; None where no class is positive.
    detected
        True if the score reaches the threshold. It can differ from `label`: a threshold for few
        false positives may lie above or below one half.
    uncertain
        True where the bundle cannot tell: no detection, yet no positive class is ruled out.
    probabilities
        Class name -> probability.
    review
        True where a cascade marks the event for a person: the score lies too near the threshold.
    stage
        Stage of a cascade that decided, from 1; None without stages.
    auxiliary
        Question -> answer; questions about detections are there only if this is one.
    explanation
        The pieces that count most, if they were asked for: for `label`, or for the likeliest
        positive class of a detection.
    """

    label: str | None
    probability: float
    score: float
    threshold: float | None
    detected: bool
    probabilities: dict[str, float]
    uncertain: bool = False
    review: bool = False
    stage: int | None = None
    auxiliary: dict[str, AuxiliaryAnswer] = field(default_factory=dict)
    explanation: Explanation | None = None

    @property
    def why(self) -> tuple[Contribution, ...]:
        """The pieces that count most; empty where none were asked for."""
        return () if self.explanation is None else self.explanation.contributions

    @property
    def because(self) -> str:
        """The reason in one sentence; empty where none was asked for."""
        return "" if self.explanation is None else self.explanation.because


@dataclass(frozen=True, eq=False, repr=False)
class AuxiliaryAnswers:
    """Answers of an auxiliary classifier about a batch.

    Attributes
    ----------
    classes
        Names of the possible answers.
    asked
        bool [n]: events that it was asked about; the other arrays mean nothing for the rest.
    label_indices
        int32 [n]: the most probable answer.
    probabilities
        float32 [n]: its probability.
    """

    classes: tuple[str, ...]
    asked: Bools
    label_indices: npt.NDArray[np.int32]
    probabilities: Floats

    def __getitem__(self, row: int) -> AuxiliaryAnswer | None:
        """Return the answer about one event; None where it was not asked."""
        if not self.asked[row]:
            return None
        label = self.classes[self.label_indices[row]]
        return AuxiliaryAnswer(label, float(self.probabilities[row]))


@dataclass(frozen=True, eq=False, repr=False)
class Rules:
    """Rules by which a bundle turns outputs into verdicts.

    Attributes
    ----------
    classes
        Class names, in the order of the outputs.
    positive
        Indices of the classes that count as detections.
    conformal
        Error rate -> the probability that a class needs to be in the prediction set.
    error_rate
        Error rate of the prediction sets that decide what is uncertain.
    review
        Lowest and highest score that a cascade marks for a person; None for none.
    find_stages
        Returns the stage of a cascade that decided each row, from 1; None without stages.
    """

    classes: tuple[str, ...]
    positive: tuple[int, ...]
    conformal: Mapping[float, float] = field(default_factory=dict)
    error_rate: float = DEFAULT_ERROR_RATE
    review: tuple[float, float] | None = None
    find_stages: Callable[[Floats], npt.NDArray[np.int8] | None] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Verdicts:
    """Answers for a batch; each view is computed when it is asked for, and kept.

    Attributes
    ----------
    outputs
        float32 [n] for two classes (probability of the second), else [n, classes]. NaN for a null.
    rules
        The bundle's rules.
    threshold
        Score from which an event is a detection; None for no detections.
    ask
        Returns the answers of the auxiliary classifiers, given which events are there and detected.

    Examples
    --------
    >>> two = Rules(("benign", "phishing"), positive=(1,))
    >>> verdicts = Verdicts(np.array([0.2, 0.9], np.float32), two, threshold=0.8)
    >>> verdicts.detected.tolist(), verdicts[1].label
    ([False, True], 'phishing')
    """

    outputs: Floats
    rules: Rules
    threshold: float | None = None
    ask: Callable[[Bools, Bools], dict[str, AuxiliaryAnswers]] | None = None

    def __len__(self) -> int:
        return len(self.outputs)

    def __getitem__(self, row: int) -> Verdict:
        """Return the verdict on one event."""
        index = int(self.label_indices[row])
        probabilities = self.probabilities[row]
        answers = {name: found[row] for name, found in self.auxiliary.items()}
        return Verdict(
            label=None if self.is_null[row] else self.classes[index],
            probability=float(probabilities[index]),
            score=float(self.scores[row]),
            threshold=self.threshold,
            detected=bool(self.detected[row]),
            probabilities=dict(zip(self.classes, probabilities.tolist(), strict=True)),
            uncertain=bool(self.uncertain[row]),
            review=bool(self.review[row]),
            stage=None if self.stage is None else int(self.stage[row]),
            auxiliary={name: answer for name, answer in answers.items() if answer is not None},
        )

    def __iter__(self) -> Iterator[Verdict]:
        return (self[row] for row in range(len(self)))

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of `probabilities`."""
        return self.rules.classes

    @cached_property
    def probabilities(self) -> Floats:
        """float32 [n, classes]."""
        if self.outputs.ndim == 2:
            return self.outputs
        return np.stack([1 - self.outputs, self.outputs], axis=1)

    @cached_property
    def scores(self) -> Floats:
        """float32 [n]: probability of the positive classes together; of the top class without
        any.
        """
        positive = self.rules.positive
        if not positive:
            return np.asarray(self.probabilities.max(axis=1))
        if self.outputs.ndim == 1:
            return self.outputs if positive == (1,) else 1 - self.outputs
        return np.asarray(self.outputs[:, positive].sum(axis=1))

    @cached_property
    def label_indices(self) -> npt.NDArray[np.intp]:
        """Intp [n]: index of the most probable class."""
        if self.outputs.ndim == 1:
            return (self.outputs >= 0.5).astype(np.intp)
        return np.asarray(self.outputs.argmax(axis=1))

    @property
    def labels(self) -> list[str | None]:
        """Name of the most probable class of each event; None for a null."""
        places = zip(self.label_indices.tolist(), self.is_null.tolist(), strict=True)
        return [None if null else self.classes[index] for index, null in places]

    @cached_property
    def is_null(self) -> Bools:
        """Bool [n]: nulls in place of an event."""
        outputs = self.outputs if self.outputs.ndim == 1 else self.outputs[:, 0]
        return np.isnan(outputs)

    @cached_property
    def detected(self) -> Bools:
        """Bool [n]: score at or above the threshold."""
        if self.threshold is None:
            return np.zeros(len(self), bool)
        return np.asarray(self.scores >= np.float32(self.threshold))

    @cached_property
    def uncertain(self) -> Bools:
        """Bool [n]: events of which the bundle cannot tell, at the error rate of its rules.

        They are no detections, yet a positive class is in the prediction set. Where no class is
        positive, the set is not exactly one class. All False where the bundle has no such sets.
        """
        if self.rules.error_rate not in self.rules.conformal:
            return np.zeros(len(self), bool)
        sets = self.prediction_sets(self.rules.error_rate)
        if not self.rules.positive:
            return np.asarray((sets.sum(axis=1) != 1) & ~self.is_null)
        return np.asarray(sets[:, self.rules.positive].any(axis=1) & ~self.detected)

    @cached_property
    def review(self) -> Bools:
        """Bool [n]: events that a cascade marks for a person."""
        if self.rules.review is None:
            return np.zeros(len(self), bool)
        low, high = (np.float32(value) for value in self.rules.review)
        return np.asarray((self.scores >= low) & (self.scores <= high))

    @cached_property
    def stage(self) -> npt.NDArray[np.int8] | None:
        """int8 [n]: stage of a cascade of two classes that decided, from 1; else None."""
        return None if self.rules.find_stages is None else self.rules.find_stages(self.outputs)

    @cached_property
    def auxiliary(self) -> dict[str, AuxiliaryAnswers]:
        """Answers of the auxiliary classifiers, by question; asked when first read."""
        if self.ask is None:
            return {}
        return self.ask(~self.is_null, self.detected)

    def prediction_sets(self, error_rate: float) -> Bools:
        """Return bool [n, classes]: the classes that cannot be ruled out at this error rate.

        On data like the validation rows the true class is missing at most so often.

        Raises
        ------
        SettingsError
            If the bundle has no sets for this rate.
        """
        check_error_rate(self.rules.conformal, error_rate)
        return np.asarray(self.probabilities >= np.float32(self.rules.conformal[error_rate]))

    def to_arrow(self, *, with_probabilities: bool = False) -> "pa.RecordBatch":
        """Return the verdicts as Arrow columns; needs `pyarrow`.

        The columns are ``label``, ``score`` and ``detected``; ``uncertain`` of a bundle with
        prediction sets; ``review`` and ``stage`` of a cascade; two for each auxiliary question,
        such as ``technique`` and ``technique_probability``, null where it was not asked; with
        probabilities, ``p_<class>`` for each class.
        """
        import pyarrow as pa

        def names(
            indices: npt.NDArray[np.signedinteger],
            classes: tuple[str, ...],
            unknown: Bools,
        ) -> pa.Array:
            picked = pa.array(indices.astype(np.int32), mask=unknown)
            return pa.DictionaryArray.from_arrays(picked, pa.array(classes, pa.string()))

        columns = {
            "label": names(self.label_indices, self.classes, self.is_null),
            "score": pa.array(self.scores),
            "detected": pa.array(self.detected),
        }
        if self.rules.error_rate in self.rules.conformal:
            columns["uncertain"] = pa.array(self.uncertain)
        if self.rules.find_stages is not None:
            columns["review"] = pa.array(self.review)
            no_stage = self.stage is None
            columns["stage"] = pa.nulls(len(self), pa.int8()) if no_stage else pa.array(self.stage)
        for name, answers in self.auxiliary.items():
            unasked = ~answers.asked
            columns[name] = names(answers.label_indices, answers.classes, unasked)
            columns[f"{name}_probability"] = pa.array(answers.probabilities, mask=unasked)
        if with_probabilities:
            for index, name in enumerate(self.classes):
                columns[f"p_{name}"] = pa.array(self.probabilities[:, index])
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def check_error_rate(conformal: Mapping[float, float], error_rate: float) -> None:
    """Check that there are prediction sets for an error rate.

    Raises
    ------
    SettingsError
        If there are none.
    """
    if error_rate not in conformal:
        there = ", ".join(f"{rate:g}" for rate in conformal) or "none"
        raise SettingsError(
            f"the bundle has no prediction sets for an error rate of {error_rate:g} "
            f"(it has: {there})"
        )
