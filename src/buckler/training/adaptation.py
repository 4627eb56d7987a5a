"""Adapts a student to a stream of one's own: weights, calibration and threshold from few labels.

For the figures, each event is scored by a student, a calibration and a threshold that
were made without its group. So every label teaches, and every figure is on events not seen.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.evaluation.calibration import (
    Calibration,
    fit_calibration,
    least_probabilities,
    probabilities_of,
)
from buckler.evaluation.intervals import UNKNOWN, UNKNOWN_RATE, Estimate, Rate, bootstrap, rate
from buckler.evaluation.metrics import Ranking, auroc
from buckler.evaluation.stream_threshold import StreamScores, stream_curve
from buckler.evaluation.unseen_sources import SourceScores, ThresholdRule
from buckler.operating_point import OperatingCurve, OperatingPoint
from buckler.students.ngram import NgramStudent
from buckler.students.ngram_adaptation import NgramAdapter
from buckler.training.cross_validation import assign_folds, calibrate
from buckler.training.fit import FittedStudent, positive_scores

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
_FOLDS = 5
_RESAMPLES = 300
_CURVE_SHARES = (0.125, 0.25, 0.5)  # of the labeled events, in the learning curve
MIN_EVENTS = 20  # labeled; fewer say nothing about themselves


@dataclass(frozen=True)
class OwnEvents:
    """A stream of one's own, of which some events are labeled.

    Attributes
    ----------
    labeled
        Labeled events, with the targets to learn.
    sampled
        bool [labeled]: events that stand for the stream, as those drawn at random do. Figures rest
        on them alone.
    others
        Further events of the stream, without a label; the threshold rests on them too.
    """

    labeled: Dataset
    sampled: Bools
    others: Dataset

    @property
    def measured(self) -> Dataset:
        """The labeled events that stand for the stream."""
        return self.labeled.take(np.flatnonzero(self.sampled))


@dataclass(frozen=True)
class OwnFigures:
    """Figures of a bundle on events of one's own.

    Attributes
    ----------
    accuracy
        Share of events whose likeliest class is that of the label.
    auroc
        Area under the ROC curve; unknown where the labels hold no positive or no other event.
    detection, false_positives
        Shares of positive and other events that are detected at the deployed threshold.
    """

    accuracy: Rate
    auroc: Estimate = UNKNOWN
    detection: Rate = UNKNOWN_RATE
    false_positives: Rate = UNKNOWN_RATE

    def __str__(self) -> str:
        shown: dict[str, Rate | Estimate] = {
            "accuracy": self.accuracy,
            "AUROC": self.auroc,
            "detection": self.detection,
            "false positives": self.false_positives,
        }
        return ", ".join(
            f"{name} {value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
            for name, value in shown.items()
            if not np.isnan(value.value)
        )


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Own events that stand for the stream, each scored without learning from its group.

    Attributes
    ----------
    events
        The events.
    probabilities
        float32 [n, classes].
    detected
        bool [n]: detections at the deployed threshold of the student that scored each.
    """

    events: Dataset
    probabilities: npt.NDArray[np.float32]
    detected: Bools


@dataclass(frozen=True)
class AdaptedStudent:
    """A student adapted to one's own stream.

    Attributes
    ----------
    fitted
        Student with calibration and thresholds.
    before, after
        Figures of the start and of adapted students on the same events, which stand for the stream
        and were not seen; `before` is None where the start had no weights.
    held_out
        These events, with the answers of the adapted students.
    curve
        Number of labeled events -> figures of students that learned no more, at no threshold.
    """

    fitted: FittedStudent
    before: OwnFigures | None
    after: OwnFigures
    held_out: HeldOut
    curve: dict[int, OwnFigures]

    @property
    def is_better(self) -> bool:
        """False where the figures say that the start was at least as good."""
        now, then = self.after, self.before
        if then is None or not np.isnan(now.auroc.value):
            return then is None or now.auroc.value >= then.auroc.value
        if not np.isnan(now.false_positives.value):  # ordinary events alone show nothing else
            return now.false_positives.value < then.false_positives.value
        return now.accuracy.value >= then.accuracy.value


def adapt_student(
    start: NgramStudent,
    own: OwnEvents,
    before: OwnFigures | None,
    *,
    target_fpr: float,
    seed: int = 0,
) -> AdaptedStudent:
    """Adapt a student, and measure it on the events that stand for the stream.

    Parameters
    ----------
    before
        Figures of the start on the measured events; None where it has no weights.
    target_fpr
        False-positive rate that will be deployed.

    Raises
    ------
    InputError
        If the labeled events are too few.
    """
    _check_number(own)
    labeled, sample = own.labeled, np.flatnonzero(own.sampled)
    adapter, rows = NgramAdapter(start, labeled.texts), np.arange(len(labeled))
    fitted = _fit(adapter, own, rows, target_fpr, seed)
    shape = len(labeled), len(labeled.task.classes)
    probabilities, detected = np.zeros(shape, np.float32), np.zeros(len(labeled), bool)
    with_fewer = {share: np.zeros(shape, np.float32) for share in _CURVE_SHARES}
    fold_of, rng = _assign_folds(labeled, seed), np.random.default_rng(seed)
    for fold in np.unique(fold_of[sample]):
        held_out = np.flatnonzero((fold_of == fold) & own.sampled)
        learned = np.flatnonzero(fold_of != fold)
        part = _fit(adapter, own, learned, target_fpr, seed)
        logits = part.student.predict_logits(labeled.texts.take(held_out))
        probabilities[held_out] = probabilities_of(logits)
        if part.operating_curve is not None:
            threshold = part.operating_curve.threshold(OperatingPoint(fpr=target_fpr))
            scores = positive_scores(probabilities[held_out], labeled.task)
            detected[held_out] = scores >= np.float32(threshold)
        order = rng.permutation(learned)
        for share, found in with_fewer.items():
            few = order[: max(1, round(share * len(learned)))]
            weights = labeled.weights[few].astype(np.float64)
            correction = adapter.fit(few, labeled.targets[few], weights)
            found[held_out] = probabilities_of(adapter.predict_logits(correction, held_out))
    scored = HeldOut(own.measured, probabilities[sample], detected[sample])
    after = own_figures(scored.events, scored.probabilities, scored.detected)
    nothing = np.zeros(len(sample), bool)
    curve = {
        round(share * len(labeled)): own_figures(scored.events, found[sample], nothing)
        for share, found in with_fewer.items()
    } | {len(labeled): after}
    return AdaptedStudent(fitted, before, after, scored, curve)


def fit_to_stream(
    start: NgramStudent, own: OwnEvents, *, target_fpr: float, seed: int = 0
) -> FittedStudent:
    """Adapt a student, without figures of its own; see `adapt_student`."""
    _check_number(own)
    rows = np.arange(len(own.labeled))
    return _fit(NgramAdapter(start, own.labeled.texts), own, rows, target_fpr, seed)


def _check_number(own: OwnEvents) -> None:
    if len(own.labeled) < MIN_EVENTS or not own.sampled.any():
        raise InputError(
            f"{len(own.labeled):,} labeled events, {int(own.sampled.sum()):,} of them drawn at "
            f"random, are too few to adapt to; {MIN_EVENTS} are the least"
        )


def own_figures(
    events: Dataset, probabilities: npt.NDArray[np.float32], detected: Bools
) -> OwnFigures:
    """Return the figures of answers on labeled events, and of the detections among them."""
    groups, positive = events.group_codes(), events.is_positive
    accuracy = rate(probabilities.argmax(axis=1) == events.labels, groups)
    if not events.task.positive:
        return OwnFigures(accuracy)
    scores = positive_scores(probabilities, events.task)
    area = UNKNOWN
    if positive.any() and not positive.all():
        ranking = Ranking(scores, positive)
        measured = bootstrap(lambda w: {"auroc": auroc(ranking.roc(w))}, groups, _RESAMPLES)
        area = measured["auroc"]
    detection, false_positives = (
        rate(detected[kind], groups[kind]) if kind.any() else UNKNOWN_RATE
        for kind in (positive, ~positive)
    )
    return OwnFigures(accuracy, area, detection, false_positives)


def _fit(
    adapter: NgramAdapter,
    own: OwnEvents,
    rows: Rows,
    target_fpr: float,
    seed: int,
) -> FittedStudent:
    """Adapt to some of the labeled events; calibrate and measure thresholds on the stream."""
    events, task = own.labeled.take(rows), own.labeled.task
    targets, weights = events.targets, events.weights.astype(np.float64)
    fold_of = _assign_folds(events, seed)
    logits = np.zeros((len(rows), adapter.start.n_outputs_), np.float32)
    for fold in range(_FOLDS):
        learned, held_out = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        correction = adapter.fit(rows[learned], targets[learned], weights[learned])
        logits[held_out] = adapter.predict_logits(correction, rows[held_out])
    # Chosen events are uncertain ones: with them, high scores of the stream would be believed.
    sampled = own.sampled[rows]
    if sampled.sum() < MIN_EVENTS or len(np.unique(events.labels[sampled])) < 2:
        sampled[:] = True
    calibration = Calibration(1.0, 0.0, "none", 0)
    if len(np.unique(events.labels)) > 1:
        calibration = fit_calibration(logits[sampled], events.labels[sampled])
    student = adapter.student(adapter.fit(rows, targets, weights))
    student.rescale(calibration.slope, calibration.shift)
    probabilities = probabilities_of(calibrate(logits, calibration)).astype(np.float32)
    curves: dict[ThresholdRule, OperatingCurve] = {}
    held_out_scores = None
    if task.positive:
        own_scores = positive_scores(probabilities, task)
        found = student.predict_logits(own.others.texts)
        before = np.concatenate([logits, (found - calibration.shift) / calibration.slope])
        stream = StreamScores(
            np.concatenate([own_scores, positive_scores(probabilities_of(found), task)]),
            positive_scores(probabilities_of(before), task),
            events.is_positive,
        )
        curves[ThresholdRule.OWN] = stream_curve(stream, target_fpr)
        held_out_scores = SourceScores.of(events, own_scores)
    return FittedStudent(
        task=task,
        student=student,
        calibration=calibration,
        rule=ThresholdRule.OWN,
        curves=curves,
        held_out=held_out_scores,
        conformal=least_probabilities(probabilities, events.labels),
        n_rows=len(rows),
        n_groups=len(np.unique(events.group_codes())),
        n_additional=0,
        n_suspect=0,
        epochs=0,
        learned=events,
    )


def _assign_folds(events: Dataset, seed: int) -> Rows:
    """Return a fold for each event, by group; a group larger than a fold is split."""
    codes = events.group_codes()
    counts = np.bincount(codes)
    large = counts[codes] * _FOLDS > len(events)
    groups = [None if alone else str(code) for code, alone in zip(codes, large, strict=True)]
    return assign_folds(events.with_groups(groups), _FOLDS, seed)
