"""The trial of synthetic examples: a student with them and one without, over several seeds.

Synthetic examples are kept only if the whole 95 % interval of the gain lies above zero, on held-out
real events that neither student saw. The test rows of a run have no part in it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.splits import Split, apart_from, split_by_group
from buckler.errors import InputError, SettingsError
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean
from buckler.evaluation.metrics import Ranking, auroc, enough_negatives, tpr_at_fpr
from buckler.synthesis.synthesis_report import TrialReport
from buckler.synthesis.synthetic_examples import SyntheticExample, as_dataset
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student

HELD_OUT = 0.3
WEIGHT = 0.5
_FOLDS = 3
_FEW_GROUPS = 20
_RATES = (1e-2, 1e-3)
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrialSettings:
    """Settings of a trial.

    Attributes
    ----------
    seeds
        Number of splits, each with two students.
    weight
        Weight of a synthetic example beside a real event.
    before
        Synthetic examples that both students learn, such as those of earlier turns.
    """

    seeds: int = 5
    weight: float = WEIGHT
    before: Sequence[SyntheticExample] = ()


@dataclass(frozen=True)
class HeldOutKind:
    """A kind of real event, such as a technique, that neither student of a trial learns from.

    Detection is measured on these events, whatever their group, and false positives on held-out
    events of other classes.

    Attributes
    ----------
    name
        Name in reports.
    rows
        bool [n]: True for the real events of this kind.
    """

    name: str
    rows: Bools


def run_trial(
    real: Dataset,
    examples: list[SyntheticExample],
    family: str = "ngram",
    student_settings: Mapping[str, object] | None = None,
    settings: TrialSettings = TrialSettings(),
    held_out: HeldOutKind | None = None,
    on_seed: Callable[[int], None] | None = None,
) -> TrialReport:
    """Train with and without synthetic examples, once for each seed, on splits by group.

    Parameters
    ----------
    held_out
        Kind of real event to hold out; by default whole groups are held out.

    Raises
    ------
    InputError
        If there is nothing to measure on.
    """
    if not examples:
        raise InputError("no synthetic example to try")
    labeled = np.flatnonzero(real.labels >= 0)
    real = real.take(labeled)
    unseen = None if held_out is None else held_out.rows[labeled]
    if held_out is not None and not held_out.rows[labeled].any():
        raise InputError(f"no real event is of the kind that is held out ({held_out.name})")
    own = as_dataset(examples, real.task)
    spec = StudentSpec(family, student_settings or {}, _FOLDS)
    without: dict[str, list[float]] = {}
    beside: dict[str, list[float]] = {}
    for seed in range(settings.seeds):
        train, held, usable = _split_trial(real, own, unseen, seed)
        additional = own.take(usable).with_weights(settings.weight)
        shared = None
        if settings.before:
            shared = as_dataset(list(settings.before), real.task).with_weights(settings.weight)
            shared = shared.take(apart_from(shared, held))
            additional = Dataset.concat([shared, additional])
        for figures, extra in ((without, shared), (beside, additional)):
            fitted = fit_student(train, replace(spec, seed=seed), additional=extra)
            p = probabilities_of(fitted.student.predict_logits(held.texts))
            for name, value in _figures(p, held.labels, held.task.positive_indices).items():
                figures.setdefault(name, []).append(value)
        if on_seed is not None:
            on_seed(seed + 1)
    measure = next(iter(without))
    gain = Mean.of([b - a for a, b in zip(without[measure], beside[measure], strict=True)])
    name = "" if held_out is None else held_out.name
    summary = (
        f"{measure}{f' of {name}' if name else ''} on held-out real events: "
        f"{Mean.of(without[measure])} without, {Mean.of(beside[measure])} with synthetic examples; "
        f"gain {gain} over {gain.n} seeds: {'kept' if gain.above_zero else 'discarded'}"
    )
    return TrialReport(
        measure=measure,
        without_examples=without,
        with_examples=beside,
        gain=gain.value,
        gain_half_width=gain.half_width,
        seeds=gain.n,
        kept=gain.above_zero,
        held_out=name,
        summary=summary,
    )


def parse_kind(text: str) -> tuple[str, set[str]]:
    """Return the name and the values of ``NAME=VALUE,VALUE``.

    Raises
    ------
    SettingsError
        If it has another form.
    """
    name, equals, values = text.partition("=")
    if not equals or not name or not values:
        raise SettingsError(f"{text!r}: write NAME=VALUE or NAME=VALUE,VALUE")
    return name, set(values.split(","))


def find_kind(real: Dataset, kind: str) -> HeldOutKind:
    """Return the events that have one of the values of ``COLUMN=VALUE,VALUE``.

    The column may hold several values, separated by commas; T1053 matches T1053.005 too.

    Raises
    ------
    SettingsError
        If the events have no such column.
    """
    column, values = parse_kind(kind)
    if column not in real.table.column_names:
        raise SettingsError(
            f"the data have no column {column!r} to hold events out by; a recipe names it in "
            "data.keep",
            field="hold_out",
        )
    rows = real.table.column(column).to_pylist()
    parts = [set((row or "").replace(" ", "").split(",")) for row in rows]
    wholes = [own | {part.partition(".")[0] for part in own} for own in parts]
    return HeldOutKind(kind, np.array([not values.isdisjoint(own) for own in wholes], bool))


def _split_trial(
    real: Dataset, own: Dataset, unseen: Bools | None, seed: int
) -> tuple[Dataset, Dataset, npt.NDArray[np.intp]]:
    """Return training events, held-out events, and the synthetic examples apart from the latter."""
    split = _split(real, seed)
    left, right = split.left, split.right
    if unseen is None:
        held = real.take(right)
        return real.take(left), held, apart_from(own, held)
    left = left[~unseen[left]]
    others = right[~unseen[right] & ~real.is_positive[right]]
    held = real.take(np.concatenate([others, np.flatnonzero(unseen)]))
    usable = apart_from(own, held)
    # Seeds of the synthetic examples may be of the kind that is held out.
    usable = np.intersect1d(usable, apart_from(own, real.take(np.flatnonzero(unseen))))
    return real.take(left), held, usable


def _split(real: Dataset, seed: int) -> Split:
    """Hold out about `HELD_OUT` of the events by group; of few groups, that share of groups."""
    codes = real.group_codes()
    groups = np.unique(codes)
    if len(groups) >= _FEW_GROUPS:
        return split_by_group(real, HELD_OUT, seed, b"trial")
    drawn = np.random.default_rng(seed).permutation(groups)
    right = np.isin(codes, drawn[: max(1, round(HELD_OUT * len(groups)))])
    return Split(np.flatnonzero(~right), np.flatnonzero(right))


def _figures(
    p: npt.NDArray[np.float64], labels: npt.NDArray[np.int32], positive: list[int]
) -> dict[str, float]:
    """Return the figures, the deciding one first."""
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
