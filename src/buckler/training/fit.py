"""Trains and calibrates a student; calibration and thresholds come from rows it did not see.

The training rows are cut into folds by group. A student is trained without each fold and scores it.
All these out-of-fold logits together give the calibration and the thresholds. The final student is
trained on all rows, for the number of epochs that served best on the folds. So no row is wasted,
and a threshold for few false positives rests on every negative that there is.

Students without each family of sources score that family too, where there are several. The figures
on unseen sources, the deployed thresholds and the prediction sets rest on these scores.
"""

from dataclasses import asdict, dataclass, field, replace

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.evaluation.calibration import (
    NONE,
    Calibration,
    CalibrationCurve,
    choose_curve,
    least_probabilities,
    probabilities_of,
)
from buckler.evaluation.metrics import roc_area
from buckler.evaluation.unseen_sources import (
    LaterFigures,
    SourceRecord,
    SourceScores,
    ThresholdRule,
    later_figures,
    mean_pair_auroc,
    operating_curves,
    source_figures,
    threshold_options,
)
from buckler.operating_point import DEFAULT_ERROR_RATE, OperatingCurve, OperatingPoint
from buckler.students import Student
from buckler.tasks import Task
from buckler.training.class_prior import calibrate_to_prior
from buckler.training.cross_validation import (
    OnEpoch,
    OutOfFold,
    StudentSpec,
    calibrate,
    check_classes,
    cross_validate,
    epoch_listener,
)
from buckler.training.noise import Noise, treat_noise
from buckler.training.unseen_sources import (
    score_later_events,
    score_unseen_sources,
    source_warnings,
)

Floats = npt.NDArray[np.float32]


_MIN_AUROC = 0.6  # below, labels with as much noise as signal
_MIN_OWN = 6  # negatives that measure a rate of one half


@dataclass(frozen=True)
class SourceEvidence:
    """Scores of students that did not see the sources, and what they show.

    Attributes
    ----------
    events
        Labeled events.
    scores, record
        Scores of the events, and the figures without those at a threshold.
    seed
        Random seed of the classifiers that recognize sources.
    later
        Scores of the latest events of each family by students of older ones; None if not asked for.
    """

    events: Dataset
    scores: SourceScores
    record: SourceRecord
    seed: int = 0
    later: SourceScores | None = None

    def whole_record(self) -> SourceRecord:
        """Return the record with its warnings, which take a while."""
        return replace(self.record, warnings=source_warnings(self.events, self.seed))

    def later_at(self, threshold: float) -> tuple[LaterFigures, ...]:
        """Return the figures of the latest events of each family."""
        if self.later is None:
            return ()
        return later_figures(self.later, self.scores, self.events.times, threshold)


@dataclass(frozen=True)
class FittedStudent:
    """A trained, calibrated student, and the data that it rests on.

    Attributes
    ----------
    task
        Task that it was trained for.
    student
        Student that was trained on all rows; the calibration is already in its weights.
    calibration
        Calibration from the out-of-fold logits.
    rule, curves
        Rule of the threshold, and the effect of all thresholds by each rule that has enough
        negatives; none where no class is positive.
    n_rows, n_additional, n_groups
        Labeled rows, additional examples and groups of the labeled rows.
    n_suspect
        Rows whose label is probably wrong, by the treatment of noise.
    epochs
        Passes over the data.
    class_shift
        Added to calibrated logits for another prior of the classes: float32 [classes].
    curve
        Isotonic or beta calibration behind the first one, where that helps.
    conformal
        Error rate -> probability that a class needs to be in the prediction set.
    held_out
        Scores of labeled events by students that did not see their groups; None where no class is
        positive.
    evidence
        Figures on unseen sources; None where the rows name too few families of sources.
    untreated_fpr
        Target false-positive rate -> the rate among all negatives, suspect ones too; empty without
        a treatment of noise.
    learned
        Labeled events that the student learned from, with targets and weights.
    """

    task: Task
    student: Student
    calibration: Calibration
    rule: ThresholdRule
    curves: dict[ThresholdRule, OperatingCurve]
    n_rows: int
    n_additional: int
    n_groups: int
    n_suspect: int
    epochs: int
    learned: Dataset = field(repr=False)
    class_shift: float | Floats = 0.0
    curve: CalibrationCurve = NONE
    conformal: dict[float, float] = field(default_factory=dict)
    held_out: SourceScores | None = None
    evidence: SourceEvidence | None = None
    untreated_fpr: dict[float, float] = field(default_factory=dict)

    @property
    def operating_curve(self) -> OperatingCurve | None:
        """Effect of thresholds by the rule, else on known sources; None without either."""
        return self.curves.get(self.rule) or self.curves.get(ThresholdRule.KNOWN)

    def rates_at(self, threshold: float) -> dict[str, object]:
        """Return what a threshold does to held-out events of known sources, with intervals."""
        if self.held_out is None:
            return {}
        positive = self.held_out.is_positive
        return {
            name: asdict(self.held_out.share_detected(rows, threshold))
            for name, rows in (("detection", positive), ("false_positives", ~positive))
            if rows.any()
        }

    def record_at(self, point: OperatingPoint, threshold: float | None) -> SourceRecord | None:
        """Return the figures on unseen sources at a threshold, beside those of other rules."""
        if self.evidence is None or threshold is None:
            return None if self.evidence is None else self.evidence.whole_record()
        record, scores = self.evidence.whole_record(), self.evidence.scores
        options = threshold_options(scores, self.curves, point)
        warnings = record.warnings
        if not any(option.rule is self.rule for option in options):
            warnings += (
                f"The negatives of the rule {self.rule} are too few for {point}: its threshold "
                "holds on known sources alone.",
            )
        return replace(
            record,
            threshold=threshold,
            sources=source_figures(scores, threshold, self.conformal.get(DEFAULT_ERROR_RATE)),
            options=options,
            warnings=warnings,
            later=self.evidence.later_at(threshold),
        )


def fit_student(
    events: Dataset,
    spec: StudentSpec,
    *,
    additional: Dataset | None = None,
    out_of_fold: OutOfFold | None = None,
    own_negatives: Dataset | None = None,
    on_epoch: OnEpoch | None = None,
) -> FittedStudent:
    """Train and calibrate on labeled events, and measure thresholds.

    Parameters
    ----------
    events
        Events; unlabeled ones are left out.
    spec
        Student to train. With a treatment of noise, rows whose label is probably wrong count for
        neither calibration nor thresholds: a few wrong labels among the negatives make a threshold
        for few false positives far too strict.
    additional
        Examples that help to train; calibration and thresholds rest on labeled events alone.
    out_of_fold
        Out-of-fold answers on these very events, where they are known already. They must be given
        if a student annotated some of the additional examples.
    own_negatives
        Negatives of the user, for the threshold rule ``own-negatives``; nothing learns from them.
    on_epoch
        Called after each epoch with the fold, the epoch and both losses.

    Raises
    ------
    InputError
        If a class of the task has no example, or the groups are too few for the folds.
    """
    task, events = events.task, events.only_labeled()
    check_own_negatives(spec.threshold_rule, own_negatives)
    spec.class_prior.check(task)
    annotated_by_student = out_of_fold is not None
    if out_of_fold is None:
        out_of_fold = cross_validate(events, spec, additional=additional, on_epoch=on_epoch)
    elif len(out_of_fold.logits) != len(events):
        raise InputError("the out-of-fold logits are not those of the labeled events")
    treated = treat_noise(spec.noise, out_of_fold.probabilities(events.labels), events)
    learned = treated.learned
    check_classes(learned.labels, task)
    student, examples = spec.new_student(out_of_fold.epochs), _examples(learned, spec, additional)
    student.fit(examples, None, epoch_listener(on_epoch, spec.folds, spec.folds))

    sure = np.flatnonzero(~treated.suspect)
    labels, logits = events.labels[sure], out_of_fold.logits[sure]
    calibration, shift = calibrate_to_prior(spec.class_prior, logits, labels, examples)
    student.rescale(calibration.slope, calibration.shift + shift)
    logits, curve = calibrate(logits, calibration) + shift, NONE
    if len(task.classes) == 2:
        rng, groups = np.random.default_rng(spec.seed), events.group_codes()[sure]
        curve = choose_curve(_on_curve(logits, NONE)[:, 1], labels == 1, groups, rng)
    probabilities = _on_curve(logits, curve)
    curves: dict[ThresholdRule, OperatingCurve] = {}
    held_out = evidence = believed = own = None
    untreated: dict[float, float] = {}
    if task.positive:
        of_known = events.take(sure)
        held_out = SourceScores.of(of_known, positive_scores(probabilities, task))
        if own_negatives is not None:
            own = positive_scores(
                _on_curve(student.predict_logits(own_negatives.texts), curve), task
            )
        unseen = None
        if learned.has_sources:
            # A student that annotated examples saw every source.
            apart = None if annotated_by_student else additional
            asked = spec.balance(learned), spec, out_of_fold.epochs, apart, on_epoch
            unseen = score_unseen_sources(*asked)
        if unseen is not None:
            p = _on_curve(calibrate(unseen.logits, calibration), curve)
            trusted = ~treated.suspect[treated.kept]
            scores = SourceScores.of(learned, positive_scores(p, task), unseen.is_unseen)
            pairs = mean_pair_auroc(scores, np.random.default_rng(spec.seed))
            record = SourceRecord(spec.threshold_rule, None, (), (), *pairs, ())
            evidence = SourceEvidence(learned, scores, record, spec.seed)
            late = score_later_events(*asked) if spec.by_time else None
            if late is not None:
                p_late = _on_curve(calibrate(late.logits, calibration), curve)
                later = scores.by_family(positive_scores(p_late, task), late.is_unseen)
                evidence = replace(evidence, later=later)
            believed = scores.take(trusted)
            probabilities, labels = p[trusted], learned.labels[trusted]
        curves = operating_curves(held_out, believed, own)
        if spec.noise is not Noise.NONE:
            every = _on_curve(calibrate(out_of_fold.logits, calibration), curve)
            known = curves.get(ThresholdRule.KNOWN)
            untreated = _check_untreated(spec.noise, positive_scores(every, task), events, known)
    return FittedStudent(
        task=task,
        student=student,
        calibration=calibration,
        class_shift=shift,
        rule=spec.threshold_rule,
        curves=curves,
        n_rows=len(learned),
        n_additional=0 if additional is None else len(additional),
        n_groups=len(np.unique(events.group_codes())),
        n_suspect=int(treated.suspect.sum()),
        epochs=out_of_fold.epochs,
        curve=curve,
        conformal=least_probabilities(probabilities, labels),
        held_out=held_out,
        evidence=evidence,
        untreated_fpr=untreated,
        learned=learned,
    )


def learn_more(
    fitted: FittedStudent,
    events: Dataset,
    spec: StudentSpec,
    *,
    additional: Dataset | None = None,
    on_epoch: OnEpoch | None = None,
) -> FittedStudent:
    """Train the student of a test anew, with events that the test kept from it.

    Calibration, thresholds and figures stay: they are those of students that did not see the
    events, so they hold for this one too.

    Parameters
    ----------
    fitted
        The student that was tested; it saw none of the events.
    events
        Labeled events to learn beside its own.
    spec, additional, on_epoch
        As for `fit_student`.
    """
    events = events.only_labeled()
    probabilities = probabilities_of(fitted.student.predict_logits(events.texts))
    treated = treat_noise(spec.noise, probabilities, events)
    learned = Dataset.concat([fitted.learned, treated.learned])
    student, examples = spec.new_student(fitted.epochs), _examples(learned, spec, additional)
    student.fit(examples, None, epoch_listener(on_epoch, spec.folds, spec.folds))
    student.rescale(fitted.calibration.slope, fitted.calibration.shift + fitted.class_shift)
    return replace(
        fitted,
        student=student,
        n_rows=len(learned),
        n_groups=len(np.unique(learned.group_codes())),
        n_suspect=fitted.n_suspect + int(treated.suspect.sum()),
        learned=learned,
    )


def _examples(learned: Dataset, spec: StudentSpec, additional: Dataset | None) -> Dataset:
    """Return everything that a student learns from, each source in balance."""
    balanced = spec.balance(learned)
    return balanced if additional is None else Dataset.concat([balanced, additional])


def check_own_negatives(rule: ThresholdRule, own_negatives: Dataset | None) -> None:
    """Check that the rule ``own-negatives`` has enough of them for any rate.

    Raises
    ------
    InputError
        If it has not.
    """
    if rule is ThresholdRule.OWN and len(own_negatives or ()) < _MIN_OWN:
        raise InputError(
            "there are too few own negatives for a threshold; give more, or another threshold_rule",
            field="own_negatives",
        )


def _check_untreated(
    noise: Noise, scores: Floats, events: Dataset, known: OperatingCurve | None
) -> dict[float, float]:
    """Return the false-positive rates on rows as they are labeled, with suspect ones.

    A treatment of noise takes for wrong what the student cannot tell, so its own rates look good
    whatever the labels say.
    """
    area = roc_area(scores, events.is_positive)
    if area < _MIN_AUROC:
        raise InputError(
            f"the labels cannot be told from the events (AUROC {area:.2f} out of fold), and a "
            f"treatment of noise ({noise.value}) would hide it; check the label column, or "
            "set noise to 'none'",
            field="label_column",
        )
    negatives = scores[~events.is_positive]
    thresholds = {} if known is None else known.thresholds()
    return {t: float((negatives >= np.float32(v)).mean()) for t, v in thresholds.items()}


def _on_curve(logits: Floats, curve: CalibrationCurve) -> Floats:
    """Return probabilities [n, classes] of calibrated logits."""
    probabilities = probabilities_of(logits).astype(np.float32)
    if probabilities.shape[1] > 2:
        return probabilities
    second = curve(probabilities[:, 1])
    return np.stack([1 - second, second], axis=1)


def positive_scores(probabilities: npt.NDArray[np.floating], task: Task) -> Floats:
    """Return float32 [n]: the probability of the positive classes together."""
    return np.asarray(probabilities[:, task.positive_indices].sum(axis=1), np.float32)
