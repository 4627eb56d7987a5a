"""Do synthetic examples help? A student with them and one without, on held-out real events, over seeds.

Synthetic examples are kept only if the gain on real events that neither student saw is above zero with its
whole 95 % interval. The test rows of a run have no part in it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.splits import Split, apart_from, split_by_group
from buckler.errors import InputError, SettingsError
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean
from buckler.evaluation.metrics import Ranking, auroc, enough_negatives, tpr_at_fpr
from buckler.synthesis.synthetic_examples import SyntheticExample, as_events
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student

HELD_OUT = 0.3
WEIGHT = 0.5
_FOLDS = 3
_FEW_GROUPS = 20
_RATES = (1e-2, 1e-3)


@dataclass(frozen=True)
class Proof:
    """What was found.

    Attributes
    ----------
    measure
        The figure that decides.
    without, with_
        Name of a figure -> its value for each seed.
    gain
        Of the deciding figure, paired by seed.
    kept
        Whether the synthetic examples earned their place.
    held_out
        The kind of event that no training saw, in words; empty if groups alone were held out.
    """

    measure: str
    without: dict[str, list[float]]
    with_: dict[str, list[float]]
    gain: Mean
    held_out: str

    @property
    def kept(self) -> bool:
        """Whether the synthetic examples earned their place."""
        return self.gain.above_zero

    def summary(self) -> str:
        """Say it in a sentence."""
        verdict = "kept" if self.kept else "thrown away"
        what = f" of {self.held_out}" if self.held_out else ""
        return (
            f"{self.measure}{what} on held-out real events: {Mean.of(self.without[self.measure])} "
            f"without, {Mean.of(self.with_[self.measure])} with synthetic examples; gain {self.gain} over "
            f"{self.gain.n} seeds: {verdict}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "measure": self.measure,
            "without": self.without,
            "with": self.with_,
            "gain": self.gain.value,
            "gain_half_interval": None if np.isnan(self.gain.half_width) else self.gain.half_width,
            "seeds": self.gain.n,
            "kept": self.kept,
            "held_out": self.held_out,
            "summary": self.summary(),
        }


def kind_of(text: str) -> tuple[str, set[str]]:
    """Read ``NAME=VALUE,VALUE``.

    Raises
    ------
    SettingsError
        If it is something else.
    """
    name, equals, values = text.partition("=")
    if not equals or not name or not values:
        raise SettingsError(f"{text!r}: write NAME=VALUE or NAME=VALUE,VALUE")
    return name, set(values.split(","))


def rows_of_kind(real: Dataset, kind: str) -> npt.NDArray[np.bool_]:
    """Tell which events have one of the values of ``COLUMN=VALUE,VALUE``.

    The column may hold several values, with commas between; T1053 stands for T1053.005 too.

    Raises
    ------
    SettingsError
        If the events have no such column.
    """
    column, values = kind_of(kind)
    if column not in real.table.column_names:
        raise SettingsError(
            f"the data has no column {column!r} to hold events out by; a recipe names it in "
            "data.keep"
        )
    rows = real.table.column(column).to_pylist()
    parts = [set((row or "").replace(" ", "").split(",")) for row in rows]
    wholes = [own | {part.partition(".")[0] for part in own} for own in parts]
    return np.array([not values.isdisjoint(own) for own in wholes], bool)


def prove(
    real: Dataset,
    synthetic_examples: list[SyntheticExample],
    family: str = "ngram",
    settings: dict[str, Any] | None = None,
    *,
    seeds: int = 5,
    weight: float = WEIGHT,
    unseen: npt.NDArray[np.bool_] | None = None,
    unseen_name: str = "",
    on_seed: Callable[[int], None] | None = None,
) -> Proof:
    """Train with and without synthetic examples, once for each seed and split by group.

    Parameters
    ----------
    real
        Labeled events.
    weight
        Of a synthetic example beside a real event.
    unseen
        bool [n]: real events of a kind that neither student may learn from, such as a technique.
        They are what detection is then measured on, whatever their group; false positives are measured
        on held-out events of harmless classes.

    Raises
    ------
    InputError
        If there is nothing to measure on.
    """
    task = real.task
    if not synthetic_examples:
        raise InputError("no synthetic example to prove")
    if unseen is not None and not unseen.any():
        raise InputError(f"no real event is of the kind that is held out ({unseen_name})")
    real = real.take(np.flatnonzero(real.labels >= 0)) if (real.labels < 0).any() else real
    own = as_events(synthetic_examples, task)
    positive = task.positive_indices
    without: dict[str, list[float]] = {}
    with_: dict[str, list[float]] = {}
    for seed in range(seeds):
        split = _split(real, seed)
        left, right = split.left, split.right
        if unseen is not None:
            left = left[~unseen[left]]
            harmless = right[~unseen[right] & ~np.isin(real.labels[right], positive)]
            right = np.concatenate([harmless, np.flatnonzero(unseen)])
        train, held = real.take(left), real.take(right)
        usable = apart_from(own, held)
        if (
            unseen is not None
        ):  # what the synthetic examples were made from may be of the kind that is held out
            usable = np.intersect1d(usable, apart_from(own, real.take(np.flatnonzero(unseen))))
        extra = own.take(usable).with_weights(weight)
        for found, more in ((without, None), (with_, extra)):
            fitted = fit_student(
                train, StudentSpec(family, settings or {}, _FOLDS, seed), additional=more
            )
            p = probabilities_of(fitted.student.predict_logits(held.texts))
            for name, value in _figures(p, held.labels, positive).items():
                found.setdefault(name, []).append(value)
        if on_seed is not None:
            on_seed(seed + 1)
    measure = next(iter(without))
    gain = Mean.of([b - a for a, b in zip(without[measure], with_[measure], strict=True)])
    return Proof(measure, without, with_, gain, unseen_name if unseen is not None else "")


def _split(real: Dataset, seed: int) -> Split:
    """Hold out about a share of the events by group; of few groups, so many whole ones."""
    codes = real.group_codes()
    groups = np.unique(codes)
    if len(groups) >= _FEW_GROUPS:
        return split_by_group(real, HELD_OUT, seed)
    drawn = np.random.default_rng(seed).permutation(groups)
    right = np.isin(codes, drawn[: max(1, round(HELD_OUT * len(groups)))])
    return Split(np.flatnonzero(~right), np.flatnonzero(right))


def _figures(
    p: npt.NDArray[np.float64], labels: npt.NDArray[np.int32], positive: list[int]
) -> dict[str, float]:
    """Return figures, the deciding one first."""
    is_positive = np.isin(labels, positive)
    if positive and (is_positive.all() or not is_positive.any()):
        raise InputError("the held-out events are all of one kind; there are too few groups")
    accuracy = float((p.argmax(axis=1) == labels).mean())
    if not positive:
        return {"accuracy": accuracy}
    roc = Ranking(p[:, positive].sum(axis=1), is_positive).roc()
    n_negative = int((~is_positive).sum())
    found = {
        f"detection at FPR {rate:g}": tpr_at_fpr(roc, rate)
        for rate in _RATES
        if enough_negatives(n_negative, rate)
    }
    return found | {"AUROC": auroc(roc), "accuracy": accuracy}
