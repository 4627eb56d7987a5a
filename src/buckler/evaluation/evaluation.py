"""Evaluates the predictions of a model on labeled test rows: every figure, in one result."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.sources import source_families, source_family
from buckler.dataset.splits import Leaks
from buckler.errors import InputError
from buckler.evaluation.intervals import Estimate, Rate, bootstrap, rate
from buckler.evaluation.metrics import (
    Ranking,
    ReliabilityBin,
    auroc,
    average_precision,
    confusion,
    enough_negatives,
    expected_calibration_error,
    f1_scores,
    reliability_bins,
    roc_area,
    tpr_at_fpr,
)
from buckler.operating_point import DEFAULT_THRESHOLD, USUAL_FPRS

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
MAX_VALUES = 60
Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Slice:
    """Figures for some of the test rows.

    Attributes
    ----------
    by, value
        Property that the rows share, such as ``source``, and its value.
    n_positive, n_other
        Rows of positive classes, and the others.
    auroc
        Area under the ROC curve; NaN unless both kinds occur.
    detection, false_positives
        Shares detected at the deployed threshold.
    accuracy
        Accuracy of the likeliest class.
    """

    by: str
    value: str
    n_positive: int
    n_other: int
    auroc: float
    detection: Rate
    false_positives: Rate
    accuracy: Rate


def slice_values(
    events: Dataset,
    leaks: Leaks | None = None,
    columns: tuple[str, ...] = (),
    known_sources: Collection[str] = (),
) -> dict[str, Objects]:
    """Return slice name -> a value for each row; slices with a single value are left out.

    Parameters
    ----------
    leaks
        Their overlap with the training rows, where that is known.
    known_sources
        Sources of the training rows, where they are known.
    """
    found: dict[str, Objects] = {}
    if known_sources:
        known, families = set(map(source_family, known_sources)), source_families(events)
        seen = np.where(np.isin(families, list(known)), "seen in training", "unseen").astype(object)
        seen[families == ""] = None
        found["family of the source"] = seen
    if leaks is not None:
        found["group"] = np.where(leaks.same_group, "seen in training", "unseen").astype(object)
        near = np.where(leaks.near_text, "nearly in training", "new").astype(object)
        near[leaks.same_text] = "in training"
        found["text"] = near
    found["source"] = _frequent(events.sources)
    found["month"] = np.array([_month(t) for t in events.column("ts")], object)
    for name in columns:
        found[name] = _frequent(events.column(name))
    return {
        name: values
        for name, values in found.items()
        if len({v for v in values if v is not None}) > 1
    }


def _month(seconds: int | None) -> str | None:
    if seconds is None or not 0 < seconds < 1 << 36:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m")


def _frequent(values: Objects) -> Objects:
    """Put rare values into one, so that a free-text column cannot flood the report."""
    present = [v for v in values if v is not None]
    names, counts = np.unique(np.array(present, dtype=str), return_counts=True)
    if len(names) <= MAX_VALUES:
        return values
    common = set(names[np.argsort(-counts)[:MAX_VALUES]])
    return np.array([v if v is None or str(v) in common else "(other)" for v in values], object)


@dataclass(frozen=True)
class Predictions:
    """Probabilities that a model gives to labeled rows.

    Attributes
    ----------
    probabilities
        float32 [n, classes].
    labels
        int32 [n]: true classes.
    groups
        int64 [n]: rows of one group are resampled together.
    classes
        Names of the classes.
    positive
        Indices of the positive classes.
    """

    probabilities: Floats
    labels: npt.NDArray[np.int32]
    groups: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    positive: tuple[int, ...]

    @cached_property
    def score(self) -> Floats:
        """float32 [n]: probability of a positive class; of the top class where none is positive."""
        if not self.positive:
            return np.asarray(self.probabilities.max(axis=1))
        if self.probabilities.shape[1] == 2:
            return np.ascontiguousarray(self.probabilities[:, self.positive[0]])
        return np.asarray(self.probabilities[:, self.positive].sum(axis=1))

    @cached_property
    def top_class(self) -> npt.NDArray[np.intp]:
        """Likeliest class of each row."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @cached_property
    def is_right(self) -> Bools:
        """True for rows whose likeliest class is the true one."""
        return np.asarray(self.top_class == self.labels)

    @cached_property
    def is_positive(self) -> Bools:
        """True for rows whose true class is positive."""
        return np.isin(self.labels, self.positive)


def slice_figures(
    name: str, values: Objects, predictions: Predictions, detected: Bools
) -> Iterator[Slice]:
    """Yield the figures of each value of a slice, which has a value for each test row."""
    p, groups = predictions, predictions.groups
    for value in sorted({v for v in values if v is not None}, key=str):
        rows = values == value
        positives, others = rows & p.is_positive, rows & ~p.is_positive
        yield Slice(
            by=name,
            value=str(value),
            n_positive=int(positives.sum()),
            n_other=int(others.sum()),
            auroc=roc_area(p.score[rows], p.is_positive[rows]),
            detection=rate(detected[positives], groups[positives]),
            false_positives=rate(detected[others], groups[others]),
            accuracy=rate(p.is_right[rows], groups[rows]),
        )


@dataclass(frozen=True)
class ThresholdResult:
    """Effect on test rows of a threshold that was chosen on validation rows.

    Attributes
    ----------
    target_fpr
        False-positive rate that it was chosen for.
    score
        The threshold.
    detection, false_positives
        Shares of the positive and of the other test rows that are detected.
    """

    target_fpr: float
    score: float
    detection: Rate
    false_positives: Rate


@dataclass(frozen=True)
class Evaluation:
    """Figures of a model on test rows.

    Attributes
    ----------
    classes, positive
        Names of the task's classes, and indices of the positive ones.
    n_rows, class_counts
        Test rows, in all and by true class.
    figures
        Name -> estimate with interval. ``tpr@fpr=…`` is read off the test ROC curve, for comparing
        models; it is missing where the negatives are too few to say.
    too_few
        False-positive rates about which the test data can say nothing.
    thresholds
        Effect of the bundle's thresholds on these rows.
    deployed_fpr
        Target rate of the threshold that is used unless another is asked for.
    confusion
        int64 [true class, likeliest class].
    f1
        F1 by class; NaN for a class that did not occur.
    reliability, ece
        Calibration of the score, or of the top class where no class is positive.
    slices
        Figures by source, month, seen or unseen group, and further columns.
    score, is_positive
        Values of each row, for plots.
    """

    classes: tuple[str, ...]
    positive: tuple[int, ...]
    n_rows: int
    class_counts: list[int]
    figures: dict[str, Estimate]
    too_few: list[float]
    thresholds: list[ThresholdResult]
    deployed_fpr: float | None
    confusion: npt.NDArray[np.int64]
    f1: npt.NDArray[np.float64]
    reliability: list[ReliabilityBin]
    ece: float
    slices: list[Slice] = field(default_factory=list)
    score: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    is_positive: Bools = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def deployed_result(self) -> ThresholdResult | None:
        """Effect of the deployed threshold; None where there is none."""
        found = (at for at in self.thresholds if at.target_fpr == self.deployed_fpr)
        return next(found, None)


def evaluate_predictions(
    predictions: Predictions,
    thresholds: Mapping[float, float] | None = None,
    deployed_fpr: float | None = None,
    *,
    slices: Mapping[str, npt.NDArray[np.object_]] | None = None,
    n_resamples: int = 500,
) -> Evaluation:
    """Measure a model on labeled test rows.

    Parameters
    ----------
    thresholds, deployed_fpr
        Target false-positive rate -> threshold, and the rate in use; both come from the bundle.
    slices
        Name -> a value for each row (None: in no slice).

    Raises
    ------
    InputError
        If a row has no label, or there is none.
    """
    p = predictions
    if not len(p.labels) or (p.labels < 0).any():
        raise InputError("evaluation needs a label for each row", field="label_column")
    thresholds = thresholds or {}
    counts = confusion(p.labels, p.top_class, len(p.classes))
    figures, too_few = _figures(p, n_resamples)
    confidence = p.score.astype(np.float64)
    truth = p.is_positive if p.positive else p.is_right
    at = DEFAULT_THRESHOLD if deployed_fpr is None else thresholds[deployed_fpr]
    detected = p.score >= np.float32(at) if p.positive else np.zeros(len(p.score), bool)
    return Evaluation(
        classes=p.classes,
        positive=p.positive,
        n_rows=len(p.labels),
        class_counts=np.bincount(p.labels, minlength=len(p.classes)).tolist(),
        figures=figures,
        too_few=too_few,
        thresholds=[
            ThresholdResult(
                fpr,
                value,
                *(
                    rate(p.score[rows] >= np.float32(value), p.groups[rows])
                    for rows in (p.is_positive, ~p.is_positive)
                ),
            )
            for fpr, value in thresholds.items()
        ],
        deployed_fpr=deployed_fpr,
        confusion=counts,
        f1=f1_scores(counts),
        reliability=reliability_bins(confidence, truth),
        ece=expected_calibration_error(confidence, truth),
        slices=[
            part
            for name, values in (slices or {}).items()
            for part in slice_figures(name, values, p, detected)
        ],
        score=p.score,
        is_positive=p.is_positive,
    )


def _figures(p: Predictions, n_resamples: int) -> tuple[dict[str, Estimate], list[float]]:
    """Return figures with intervals, and the rates that have too few negatives."""
    ranking = Ranking(p.score, p.is_positive)
    ranked = bool(p.positive) and ranking.n_positive > 0 and ranking.n_negative > 0
    targets = [t for t in USUAL_FPRS if ranked and enough_negatives(ranking.n_negative, t)]
    n_classes = p.probabilities.shape[1]
    own = p.probabilities[np.arange(len(p.labels)), p.labels].astype(np.float64)
    losses = -np.log(np.maximum(own, 1e-12))

    def measure(weights: npt.NDArray[np.float64] | None) -> dict[str, float]:
        w = np.ones(len(p.labels)) if weights is None else weights
        found: dict[str, float] = {}
        if ranked:
            roc = ranking.roc(weights)
            n_positive = float(w[p.is_positive].sum())
            found["auroc"] = auroc(roc)
            found["average precision"] = average_precision(
                roc, n_positive, float(w.sum()) - n_positive
            )
            found |= {f"tpr@fpr={t:g}": tpr_at_fpr(roc, t) for t in targets}
        matrix = np.bincount(
            p.labels * n_classes + p.top_class, weights=w, minlength=n_classes * n_classes
        ).reshape(n_classes, n_classes)
        hits, total = np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1)
        present = matrix.sum(axis=1) > 0
        found["accuracy"] = float((p.is_right * w).sum() / w.sum())
        found["macro-F1"] = float((2 * hits[present] / total[present]).mean())
        found["log loss"] = float((losses * w).sum() / w.sum())
        return found

    too_few = [t for t in USUAL_FPRS if p.positive and t not in targets]
    return bootstrap(measure, p.groups, n_resamples), too_few
