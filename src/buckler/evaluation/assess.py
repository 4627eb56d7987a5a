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
        Rows of positive classes, and the others.
    auroc
        NaN unless both occur.
    detection, false_detections
        Shares at the deployed threshold.
    accuracy
        Of the likeliest class.
    """

    by: str
    value: str
    n_positive: int
    n_other: int
    auroc: float
    detection: Rate
    false_positives: Rate
    accuracy: Rate


@dataclass(frozen=True)
class AtThreshold:
    """What a threshold that was chosen on validation data does on the test data."""

    target_fpr: float
    score: float
    detection: Rate
    false_positives: Rate


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
        Calibration of the score, or of the top class where no class is bad.
    slices
        Figures by source, month, seen or unseen group, and what was asked for.
    score, is_bad
        Per row, for plots.
    """

    classes: tuple[str, ...]
    positive: tuple[int, ...]
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
    score: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    is_positive: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))


def assess(
    probabilities: Floats,
    labels: npt.NDArray[np.int32],
    groups: npt.NDArray[np.int64],
    *,
    classes: tuple[str, ...],
    positive: tuple[int, ...],
    thresholds: dict[float, float],
    deployed_fpr: float | None,
    slices: dict[str, npt.NDArray[np.object_]] | None = None,
    n_resamples: int = 500,
) -> Assessment:
    """Measure a model on labeled test rows.

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
        raise InputError("evaluation needs a label for each row", field="label_column")
    predicted = probabilities.argmax(axis=1)
    is_positive = np.isin(labels, positive)
    score = _score(probabilities, positive)
    counts = confusion(labels, predicted, len(classes))
    figures, too_few = _figures(
        probabilities, labels, score, is_positive, groups, bool(positive), n_resamples
    )
    confidence = score if positive else probabilities.max(axis=1)
    truth = is_positive if positive else predicted == labels
    at = [
        AtThreshold(
            fpr,
            value,
            rate(score[is_positive] >= np.float32(value)),
            rate(score[~is_positive] >= np.float32(value)),
        )
        for fpr, value in thresholds.items()
    ]
    detected = _detections(score, predicted, positive, thresholds, deployed_fpr)
    return Assessment(
        classes,
        positive,
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
            for part in _slices(name, values, score, is_positive, detected, predicted == labels)
        ],
        score,
        is_positive,
    )


def _score(probabilities: Floats, positive: tuple[int, ...]) -> Floats:
    if not positive:
        return np.asarray(probabilities.max(axis=1))
    if probabilities.shape[1] == 2:
        return np.ascontiguousarray(probabilities[:, positive[0]])
    return np.asarray(probabilities[:, positive].sum(axis=1))


def _detections(
    score: Floats,
    predicted: npt.NDArray[np.intp],
    positive: tuple[int, ...],
    thresholds: dict[float, float],
    deployed_fpr: float | None,
) -> npt.NDArray[np.bool_]:
    if deployed_fpr is None:
        return np.isin(predicted, positive)
    return score >= np.float32(thresholds[deployed_fpr])


def _figures(
    probabilities: Floats,
    labels: npt.NDArray[np.int32],
    score: Floats,
    is_positive: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    has_positive: bool,
    n_resamples: int,
) -> tuple[dict[str, Estimate], list[float]]:
    ranking = Ranking(score, is_positive)
    ranked = has_positive and ranking.n_positive > 0 and ranking.n_negative > 0
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
            n_positive = float(w[is_positive].sum())
            found["auroc"] = auroc(roc)
            found["average precision"] = average_precision(
                roc, n_positive, float(w.sum()) - n_positive
            )
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

    too_few = [t for t in TARGET_FPRS if has_positive and t not in targets]
    return bootstrap(measure, groups, n_resamples), too_few


def _slices(
    name: str,
    values: npt.NDArray[np.object_],
    score: Floats,
    is_positive: npt.NDArray[np.bool_],
    detected: npt.NDArray[np.bool_],
    correct: npt.NDArray[np.bool_],
) -> list[Slice]:
    found = []
    for value in sorted({v for v in values if v is not None}, key=str):
        rows = values == value
        bad_rows, others = rows & is_positive, rows & ~is_positive
        n_positive, n_other = int(bad_rows.sum()), int(others.sum())
        area = float("nan")
        if n_positive and n_other:
            area = auroc(Ranking(score[rows], is_positive[rows]).roc())
        found.append(
            Slice(
                name,
                str(value),
                n_positive,
                n_other,
                area,
                rate(detected[bad_rows]),
                rate(detected[others]),
                rate(correct[rows]),
            )
        )
    return found
