"""The report that a file of synthetic examples carries: filters, diversity, and the trial."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

# NaN is no JSON: a figure that cannot be computed is null.
Figure = Annotated[
    float | None, BeforeValidator(lambda v: None if isinstance(v, float) and math.isnan(v) else v)
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EstimateReport(_Strict):
    """A figure with its interval; null where it cannot be computed."""

    value: Figure = None
    low: Figure = None
    high: Figure = None


class TrialReport(_Strict):
    """Outcome of the trial of synthetic examples on held-out real events.

    Attributes
    ----------
    measure
        Name of the deciding figure.
    without_examples, with_examples
        Figure -> its value for each seed.
    gain, gain_half_width
        Gain of the deciding figure, and half the width of its interval.
    seeds
        Number of seeds.
    kept
        True where the synthetic examples are kept.
    held_out
        Kind of event that no student saw; empty if whole groups were held out.
    summary
        The outcome in a sentence.
    """

    measure: str
    without_examples: Mapping[str, Sequence[Figure]]
    with_examples: Mapping[str, Sequence[Figure]]
    gain: Figure
    gain_half_width: Figure
    seeds: int
    kept: bool
    held_out: str
    summary: str


class LoopTurn(_Strict):
    """One turn of the closed loop.

    Attributes
    ----------
    errors, held_out
        Errors of the student, and the events that it was tried on.
    drafts, synthetic_examples
        Drafts for these errors, and those that passed the filters.
    cost_usd
        Cost of the drafts.
    gain, gain_half_width
        Gain in the trial, and half the width of its interval; null where there was none.
    kept
        True where the examples are kept.
    summary
        The outcome in a sentence.
    """

    errors: int
    held_out: int
    drafts: int
    synthetic_examples: int
    cost_usd: float = 0.0
    gain: Figure = None
    gain_half_width: Figure = None
    kept: bool = False
    summary: str = ""


class SynthesisReport(_Strict):
    """Counts and figures of a generation.

    Attributes
    ----------
    generator
        Name of the generator.
    drafts, synthetic_examples
        Drafts, and those that passed.
    rejects
        Filter -> rejected drafts.
    reasons
        Filter -> reason -> rejected drafts, where a filter has several reasons.
    verifier
        Name of the verifier.
    unverified
        Examples about which the verifier was silent.
    combinations, combinations_covered
        Combinations of the template, and those with a synthetic example.
    distinct_3grams, distinct_3grams_of_real
        Distinct word 3-grams as a share of all, and the same of as many real events.
    real_vs_synthetic_auroc
        Class -> AUROC of a classifier that tells synthetic examples from real events.
    classes
        Class -> synthetic examples.
    trial
        Outcome of the trial; null where there was none.
    turns
        Turns of the closed loop; empty where there was none.
    """

    generator: str = ""
    drafts: int = 0
    synthetic_examples: int = 0
    rejects: dict[str, int] = {}
    reasons: dict[str, dict[str, int]] = {}
    verifier: str = "none"
    unverified: int = 0
    combinations: int = 0
    combinations_covered: int = 0
    distinct_3grams: Figure = None
    distinct_3grams_of_real: Figure = None
    real_vs_synthetic_auroc: dict[str, EstimateReport] = {}
    classes: dict[str, int] = {}
    trial: TrialReport | None = None
    turns: list[LoopTurn] = []
