"""Everything that is measured of a model on test data, in one result."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError
from buckler.evaluation.bootstrap import Estimate, bootstrap
from buckler.evaluation.calibration import (
    ReliabilityBin,
    expected_calibration_error,
    reliability_bins,
)
from buckler.evaluation.metrics import (
    TARGET_FPRS,
    Ranking,
    Rate,
    auroc,
    average_precision,
    confusion,
    enough_negatives,
    f1_scores,
    rate,
    tpr_at_fpr,
)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Slice:
    """Figures for some of the test rows.

    Attributes
    ----------
    by, value
        What the rows have in common, such as ``source`` and its name.
    n_bad, n_other
        Rows of bad classes, and the others.
    auroc
        NaN unless both occur.
    detection, false_alarms
        Shares at the deployed threshold.
    accuracy
        Of the likeliest class.
    """

    by: str
    value: str
    n_bad: int
    n_other: int
    auroc: float
    detection: Rate
    false_alarms: Rate
    accuracy: Rate


@dataclass(frozen=True)
class AtThreshold:
    """What a threshold that was chosen on validation data does on the test data."""

    target_fpr: float
    badness: float
    detection: Rate
    false_alarms: Rate


@dataclass(frozen=True)
class Assessment:
    """How a model did.

    Attributes
    ----------
    classes, bad
        Of the task.
    n_rows, class_counts
        Test rows, in all and by true class.
    figures
        Name -> estimate with interval. ``tpr@fpr=…`` is read off the test ROC curve, for comparing
        models; it is missing where the negatives are too few to say.
    too_few
        False-positive rates about which the test data can say nothing.
    thresholds
        What the deployed thresholds, chosen on validation data, do here.
    deployed_fpr
        Which of them is used unless another is asked for.
    confusion
        [true class, verdict] of the likeliest class.
    f1
        By class; NaN for a class that did not occur.
    reliability, ece
        Calibration of the badness, or of the top class where no class is bad.
    slices
        Figures by source, month, seen or unseen group, and what was asked for.
    badness, is_bad
        Per row, for plots.
    """

    classes: tuple[str, ...]
    bad: tuple[int, ...]
    n_rows: int
    class_counts: list[int]
    figures: dict[str, Estimate]
    too_few: list[float]
    thresholds: list[AtThreshold]
    deployed_fpr: float | None
    confusion: npt.NDArray[np.int64]
    f1: npt.NDArray[np.float64]
    reliability: list[ReliabilityBin]
    ece: float
    slices: list[Slice] = field(default_factory=list)
    badness: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    is_bad: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))


def assess(
    probabilities: Floats,
    labels: npt.NDArray[np.int32],
    groups: npt.NDArray[np.int64],
    *,
    classes: tuple[str, ...],
    bad: tuple[int, ...],
    thresholds: dict[float, float],
    deployed_fpr: float | None,
    slices: dict[str, npt.NDArray[np.object_]] | None = None,
    n_resamples: int = 500,
) -> Assessment:
    """Measure a model on labelled test rows.

    Parameters
    ----------
    probabilities
        float32 [n, classes].
    labels, groups
        True classes, and a number for each group: rows of a group are resampled together.
    thresholds, deployed_fpr
        From the bundle.
    slices
        Name -> a value for each row (None: in no slice).

    Raises
    ------
    InputError
        If no row has a label.
    """
    if not len(labels) or (labels < 0).any():
        raise InputError("evaluation needs a label for each row; see --label-column")
    predicted = probabilities.argmax(axis=1)
    is_bad = np.isin(labels, bad)
    badness = _badness(probabilities, bad)
    counts = confusion(labels, predicted, len(classes))
    figures, too_few = _figures(
        probabilities, labels, badness, is_bad, groups, bool(bad), n_resamples
    )
    confidence = badness if bad else probabilities.max(axis=1)
    truth = is_bad if bad else predicted == labels
    at = [
        AtThreshold(
            fpr,
            value,
            rate(badness[is_bad] >= np.float32(value)),
            rate(badness[~is_bad] >= np.float32(value)),
        )
        for fpr, value in thresholds.items()
    ]
    alarm = _alarms(badness, predicted, bad, thresholds, deployed_fpr)
    return Assessment(
        classes,
        bad,
        len(labels),
        np.bincount(labels, minlength=len(classes)).tolist(),
        figures,
        too_few,
        at,
        deployed_fpr,
        counts,
        f1_scores(counts),
        reliability_bins(confidence.astype(np.float64), truth),
        expected_calibration_error(confidence.astype(np.float64), truth),
        [
            part
            for name, values in (slices or {}).items()
            for part in _slices(name, values, badness, is_bad, alarm, predicted == labels)
        ],
        badness,
        is_bad,
    )


def _badness(probabilities: Floats, bad: tuple[int, ...]) -> Floats:
    if not bad:
        return np.asarray(probabilities.max(axis=1))
    if probabilities.shape[1] == 2:
        return np.ascontiguousarray(probabilities[:, bad[0]])
    return np.asarray(probabilities[:, bad].sum(axis=1))


def _alarms(
    badness: Floats,
    predicted: npt.NDArray[np.intp],
    bad: tuple[int, ...],
    thresholds: dict[float, float],
    deployed_fpr: float | None,
) -> npt.NDArray[np.bool_]:
    if deployed_fpr is None:
        return np.isin(predicted, bad)
    return badness >= np.float32(thresholds[deployed_fpr])


def _figures(
    probabilities: Floats,
    labels: npt.NDArray[np.int32],
    badness: Floats,
    is_bad: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    has_bad: bool,
    n_resamples: int,
) -> tuple[dict[str, Estimate], list[float]]:
    ranking = Ranking(badness, is_bad)
    ranked = has_bad and ranking.n_positive > 0 and ranking.n_negative > 0
    targets = [t for t in TARGET_FPRS if ranked and enough_negatives(ranking.n_negative, t)]
    predicted = probabilities.argmax(axis=1)
    correct = (predicted == labels).astype(np.float64)
    n_classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    losses = -np.log(np.maximum(own, 1e-12))

    def measure(weights: npt.NDArray[np.float64] | None) -> dict[str, float]:
        w = np.ones(len(labels)) if weights is None else weights
        found: dict[str, float] = {}
        if ranked:
            roc = ranking.roc(weights)
            n_bad = float(w[is_bad].sum())
            found["auroc"] = auroc(roc)
            found["average precision"] = average_precision(roc, n_bad, float(w.sum()) - n_bad)
            found |= {f"tpr@fpr={t:g}": tpr_at_fpr(roc, t) for t in targets}
        matrix = np.bincount(
            labels * n_classes + predicted, weights=w, minlength=n_classes * n_classes
        ).reshape(n_classes, n_classes)
        hits, total = np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1)
        there = matrix.sum(axis=1) > 0
        found["accuracy"] = float((correct * w).sum() / w.sum())
        found["macro-F1"] = float((2 * hits[there] / total[there]).mean())
        found["log loss"] = float((losses * w).sum() / w.sum())
        return found

    too_few = [t for t in TARGET_FPRS if has_bad and t not in targets]
    return bootstrap(measure, groups, n_resamples), too_few


def _slices(
    name: str,
    values: npt.NDArray[np.object_],
    badness: Floats,
    is_bad: npt.NDArray[np.bool_],
    alarm: npt.NDArray[np.bool_],
    correct: npt.NDArray[np.bool_],
) -> list[Slice]:
    found = []
    for value in sorted({v for v in values if v is not None}, key=str):
        rows = values == value
        bad_rows, others = rows & is_bad, rows & ~is_bad
        n_bad, n_other = int(bad_rows.sum()), int(others.sum())
        area = float("nan")
        if n_bad and n_other:
            area = auroc(Ranking(badness[rows], is_bad[rows]).roc())
        found.append(
            Slice(
                name,
                str(value),
                n_bad,
                n_other,
                area,
                rate(alarm[bad_rows]),
                rate(alarm[others]),
                rate(correct[rows]),
            )
        )
    return found
