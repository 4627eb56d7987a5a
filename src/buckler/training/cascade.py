"""Puts bundles in a row, cheapest first, under a budget; uncertain events go on to the next.

Bands and thresholds are chosen on labeled validation events that no stage has learned from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

import buckler
from buckler.bundle.archive import STAGES, VECTORS, Bundle
from buckler.bundle.manifest import Manifest
from buckler.bundle.writer import pack, tolerance_of, write_bundle
from buckler.dataset import Dataset
from buckler.errors import InputError, SettingsError
from buckler.evaluation.calibration import NONE, choose_curve, least_probabilities
from buckler.evaluation.metrics import Ranking, make_operating_curve, tpr_at_fpr
from buckler.operating_point import OperatingPoint
from buckler.runtime import Scorer
from buckler.runtime.cascade import SAME, Band, CascadeModel, combine
from buckler.runtime.scorer import load_with_content
from buckler.training.fit import positive_scores
from buckler.training.packaging import conformance_vectors

Floats = npt.NDArray[np.float32]
_HIGHS = 60


@dataclass(frozen=True)
class CascadeOptions:
    """Options of `build_cascade`.

    Attributes
    ----------
    budgets
        For each stage behind the first: the largest share of all events that may reach it.
    review
        Share of all events, nearest to the threshold, that is marked for a person.
    target_fpr
        False-positive rate that is deployed; bands are chosen for the best detection there.
    prevalence
        Share of positive events where the cascade will run; the budgets hold for that mix. By
        default, the share in the validation events.
    seed
        Random seed of the folds that choose the calibration.
    """

    budgets: Sequence[float]
    review: float = 0.0
    target_fpr: float = 1e-2
    prevalence: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Cascade:
    """A cascade that was written.

    Attributes
    ----------
    manifest
        Manifest of its bundle.
    shares
        Share of the events that reach each stage, the first being 1, and the last review.
    """

    manifest: Manifest
    shares: list[float]


def build_cascade(
    stages: Sequence[Path], validation: Dataset, output: Path, options: CascadeOptions
) -> Cascade:
    """Choose the bands and write the cascade as one bundle.

    Parameters
    ----------
    stages
        Bundles of the same task, cheapest first.
    validation
        Labeled events that no stage has learned from.
    options
        Budgets, operating point and review.

    Raises
    ------
    SettingsError
        If stages and budgets do not fit, or the stages decide different things.
    InputError
        If the validation events are unlabeled or lack a class.
    """
    task, bundles = validation.task, [load_with_content(path)[1] for path in stages]
    _check(bundles, options)
    if (validation.labels < 0).any() or len(np.unique(validation.labels)) < 2:
        raise InputError("a cascade is chosen on labeled events of more than one class")
    positive = validation.is_positive
    weights = _weights(positive, options.prevalence)
    outputs = [Scorer(bundle).score(validation.raw).outputs for bundle in bundles]
    bands: list[Band] = []
    shares = [1.0]
    reach = np.arange(len(validation))

    def measure(band: Band) -> float:
        return _quality(combine_all(outputs, [*bands, band]), validation, options.target_fpr)

    for position, budget in enumerate(options.budgets):
        band = _choose_band(outputs[position], reach, weights, budget, measure)
        bands.append(band)
        reach = reach[band.uncertain(outputs[position][reach])]
        shares.append(float(weights[reach].sum()))
    combined, curve = combine_all(outputs, bands), NONE
    if combined.ndim == 1:
        rng = np.random.default_rng(options.seed)
        curve = choose_curve(combined, validation.labels == 1, validation.group_codes(), rng)
        combined = curve(combined)
        combined = np.stack([1 - combined, combined], axis=1)
    score = positive_scores(combined, task)
    operating_curve = threshold = point = None
    if task.positive:
        operating_curve = make_operating_curve(
            [score[~positive]], score[positive], "validation events"
        )
    if operating_curve is not None and options.target_fpr >= operating_curve.least_fpr:
        point = OperatingPoint(fpr=options.target_fpr)
        threshold = operating_curve.threshold(point)
    settings: dict[str, object] = {"bands": [[band.low, band.high] for band in bands]}
    if options.review and threshold is not None:
        interval = _nearest(score, weights, threshold, options.review)
        settings["review"] = list(interval)
        marked = (score >= np.float32(interval[0])) & (score <= np.float32(interval[1]))
        shares.append(float(weights[marked].sum()))
    manifest = replace(
        bundles[0].manifest,
        name=output.stem,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        family="cascade",
        model="cascade",
        settings=settings,
        threshold=threshold,
        operating_point=point,
        operating_curve=operating_curve,
        calibration_curve=curve.points,
        conformal=least_probabilities(combined, validation.labels),
        auxiliary=bundles[-1].manifest.auxiliary,
        calibration={
            "method": curve.method,
            "n_rows": len(validation),
            "share_reaching_each_stage": shares,
        },
        metrics={},
        unseen_sources={},  # the figures of the first stage are not those of the cascade
        provenance={
            "buckler": buckler.__version__,
            "stages": [f"{b.manifest.name} ({b.manifest.family}) {b.sha256}" for b in bundles],
            "budgets": list(options.budgets),
            "prevalence": options.prevalence,
            "validation_rows": len(validation),
        },
        files={},
    )
    files = {name: pack(bundle.entries) for name, bundle in zip(STAGES, bundles, strict=False)}
    auxiliary = bundles[-1].auxiliary  # those of the last stage are asked
    tolerance = max(tolerance_of(bundle.entries[VECTORS]) for bundle in bundles)
    vectors = conformance_vectors(manifest, files, task, tolerance)
    written = write_bundle(output, manifest, {**files, **auxiliary, VECTORS: vectors})
    return Cascade(written.manifest, shares)


def combine_all(outputs: Sequence[Floats], bands: Sequence[Band]) -> Floats:
    """Return the joint answer of the stages; each has scored all rows."""
    combined = outputs[len(bands)]
    for output, band in zip(reversed(outputs[: len(bands)]), reversed(bands), strict=True):
        later = combined
        combined = combine(output, band, lambda rows, later=later: later[rows])  # type: ignore[misc]
    return combined


def _quality(combined: Floats, events: Dataset, target_fpr: float) -> float:
    """Return the detection at the target rate; the accuracy for more than two classes."""
    if combined.ndim == 2:
        return float((combined.argmax(axis=1) == events.labels).mean())
    score = combined if events.task.positive_indices[0] == 1 else 1 - combined
    return tpr_at_fpr(Ranking(score, events.is_positive).roc(), target_fpr)


def _choose_band(
    output: Floats,
    reach: npt.NDArray[np.intp],
    weights: npt.NDArray[np.float64],
    budget: float,
    measure: Callable[[Band], float],
) -> Band:
    """Return the band with the best result among those that keep to the budget."""
    if output.ndim == 2:
        top = output[reach].max(axis=1)
        order = np.argsort(top, kind="stable")
        inside = np.cumsum(weights[reach][order]) <= budget
        last = int(inside.sum())
        value = float(top[order[min(last, len(order) - 1)]])
        return Band(0.0, min(max(value, 1e-6), 1.0))
    order = reach[np.argsort(-output[reach], kind="stable")]
    scores, mass = output[order], np.cumsum(weights[order])
    best: tuple[float, Band] | None = None
    from_top = np.geomspace(1, len(order), _HIGHS).astype(int) - 1
    for start in np.unique([*from_top, *(len(order) - 1 - from_top)]):  # closest at either end
        before = mass[start - 1] if start else 0.0
        end = int(np.searchsorted(mass, before + budget, side="right")) - 1
        if end <= start:
            continue
        low, high = float(scores[end]), float(scores[start])
        while end > start and end + 1 < len(scores) and scores[end + 1] == scores[end]:
            end -= 1  # a tie must not break the budget
            low = float(scores[end])
        if not low < high:
            continue
        found = measure(Band(low, high))
        if best is None or found > best[0]:
            best = (found, Band(low, high))
    if best is None:
        raise SettingsError(
            f"a budget of {budget:g} is less than one of {len(reach):,} validation events; "
            "raise it or validate on more"
        )
    return best[1]


def _nearest(
    score: Floats, weights: npt.NDArray[np.float64], threshold: float, share: float
) -> tuple[float, float]:
    """Return the interval about the threshold that holds at most such a share of the events.

    Events of the same score are taken together or not at all, so that ties break no budget. Where
    not even the nearest fit, the interval is empty: its low end is above its high end.
    """
    values, inverse = np.unique(score, return_inverse=True)
    mass = np.bincount(inverse, weights)
    low = high = int(np.searchsorted(values, np.float32(threshold)))  # [low, high)
    below = above = 0.0
    while True:
        left = share + 1e-12 - below - above
        can_low = low > 0 and mass[low - 1] <= left
        can_high = high < len(values) and mass[high] <= left
        if can_high and (above <= below or not can_low):
            above += mass[high]
            high += 1
        elif can_low:
            low -= 1
            below += mass[low]
        else:
            break
    if low == high:
        return float(threshold), float(np.nextafter(np.float32(threshold), np.float32(-1)))
    return float(values[low]), float(values[high - 1])


def _weights(positive: npt.NDArray[np.bool_], prevalence: float | None) -> npt.NDArray[np.float64]:
    if prevalence is None or not positive.any() or positive.all():
        return np.full(len(positive), 1 / len(positive))
    return np.asarray(
        np.where(positive, prevalence / positive.sum(), (1 - prevalence) / (~positive).sum())
    )


def _check(bundles: list[Bundle], options: CascadeOptions) -> None:
    budgets, prevalence = options.budgets, options.prevalence
    if not 2 <= len(bundles) <= len(STAGES):
        raise SettingsError(f"a cascade has 2 to {len(STAGES)} stages")
    if len(budgets) != len(bundles) - 1:
        raise SettingsError(
            f"{len(bundles)} stages need {len(bundles) - 1} budgets, one for each behind the first"
        )
    for share in (*budgets, *([] if prevalence is None else [prevalence])):
        if not 0 < share < 1:
            raise SettingsError("budgets and prevalence are shares, above 0 and below 1")
    if not 0 <= options.review < 1:
        raise SettingsError("review is a share, from 0 to below 1")
    for bundle in bundles[1:]:
        for what in ("task", *SAME):
            if getattr(bundle.manifest, what) != getattr(bundles[0].manifest, what):
                raise SettingsError(
                    f"{bundle.manifest.name} and {bundles[0].manifest.name} differ in their {what}"
                )
    if any(bundle.manifest.model == CascadeModel.name for bundle in bundles):
        raise SettingsError("a stage cannot be a cascade itself")
