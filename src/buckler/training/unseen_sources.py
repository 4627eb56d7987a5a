"""Students trained without each family of sources in turn, so that every source is scored unseen.

Folds are cut by family, for each class by itself: both classes of a family that has both are left
out together. A class that comes from a single family cannot be left out; it is cut by group, and
its rows are marked as known.

Further students score the latest events of a family and learn only what is older, where events have
times: that tells what a student is worth until it is trained again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.sources import source_families
from buckler.dataset.splits import apart_from
from buckler.errors import InputError
from buckler.training.cross_validation import (
    AfterEpoch,
    Floats,
    OnEpoch,
    StudentSpec,
    assign_folds,
    cross_validate,
    train_side_by_side,
)

_MIN_FAMILY_ROWS = 30
_MAX_SHARE = 0.95  # of one family in its class: without it, too little would be left to learn from
_LATER_SHARE = 0.2  # of the events of a family that have a time
_RECOGNIZED_ROWS = 400  # of each family
_RECOGNIZED_FAMILIES = 8

Bools = npt.NDArray[np.bool_]
Folds = npt.NDArray[np.intp]


def source_folds(events: Dataset, folds: int, seed: int) -> tuple[Folds, Bools]:
    """Return a fold for each labeled event, and the events whose family is left out with it.

    Parameters
    ----------
    events
        Labeled events.
    folds, seed
        Number of folds, and the random seed of those that are cut by group.
    """
    families = source_families(events)
    unseen = np.zeros(len(events), bool)
    by_group = assign_folds(events, folds, seed)
    left_out = {label for label in np.unique(events.labels) if _separable(families, events, label)}
    while left_out:
        unseen = np.isin(events.labels, list(left_out)) & (families != "")
        fold_of = np.where(unseen, _family_folds(families, events.labels, unseen, folds), by_group)
        lost = {
            label
            for label in left_out
            for fold in np.unique(fold_of)
            if not (events.labels[fold_of != fold] == label).any()
        }
        if not lost:
            return fold_of, unseen
        left_out -= lost
    return by_group, np.zeros(len(events), bool)


def _separable(families: npt.NDArray[np.str_], events: Dataset, label: int) -> bool:
    """Tell whether a class has several families, none of which is nearly all of it."""
    own = families[(events.labels == label) & (families != "")]
    counts = np.unique(own, return_counts=True)[1]
    return len(counts) > 1 and bool(
        counts.max() <= _MAX_SHARE * counts.sum()
        and counts.sum() - counts.max() >= _MIN_FAMILY_ROWS
    )


def _family_folds(
    families: npt.NDArray[np.str_],
    labels: npt.NDArray[np.int32],
    rows: Bools,
    folds: int,
) -> Folds:
    """Deal families to folds, large ones first, each where its main class has the fewest rows."""
    names, codes = np.unique(families[rows], return_inverse=True)
    counts = np.zeros((len(names), int(labels.max()) + 1), np.int64)
    np.add.at(counts, (codes, labels[rows]), 1)
    sizes = np.zeros((folds, counts.shape[1]), np.int64)
    fold_of = np.zeros(len(names), np.intp)
    for family in np.argsort(-counts.sum(axis=1), kind="stable"):
        main = counts[family].argmax()
        fold_of[family] = np.lexsort((sizes.sum(axis=1), sizes[:, main]))[0]
        sizes[fold_of[family]] += counts[family]
    found = np.zeros(len(rows), np.intp)
    found[rows] = fold_of[codes]
    return found


@dataclass(frozen=True)
class UnseenLogits:
    """Answers of students on events of families, or of times, that they did not see.

    Attributes
    ----------
    logits
        float32 [n, 1] or [n, classes], not calibrated.
    is_unseen
        bool [n]: true where the student saw no event of the family, or none that is as late.
    """

    logits: Floats
    is_unseen: Bools


def score_unseen_sources(
    events: Dataset,
    spec: StudentSpec,
    epochs: int,
    additional: Dataset | None = None,
    on_epoch: OnEpoch | None = None,
) -> UnseenLogits | None:
    """Train a student without each fold of families, and let it score the fold.

    Parameters
    ----------
    events
        Labeled events, with the targets and weights to learn.
    spec, epochs
        Student to train, and the number of its epochs.
    additional
        Examples that help to train, in folds whose groups and families they do not share.
    on_epoch
        Called after each epoch with the fold, the epoch and both losses.

    Returns
    -------
    UnseenLogits or None
        None where no class has several families of sources, or too little is left without one.
    """
    fold_of, unseen = source_folds(events, spec.folds, spec.seed)
    if not unseen.any():
        return None
    n_classes = len(events.task.classes)
    logits = np.zeros((len(events), 1 if n_classes == 2 else n_classes), np.float32)
    extra_families = None if additional is None else source_families(additional)

    def train(fold: int, after_epoch: AfterEpoch) -> tuple[Folds, Floats] | None:
        """Return the rows of a fold and their logits; None where too little is left without it."""
        held_out = np.flatnonzero(fold_of == fold)
        if not len(held_out):
            return held_out, logits[held_out]
        watched = events.take(held_out)
        training = events.take(np.flatnonzero(fold_of != fold))
        training = training.take(apart_from(training, watched))  # families can share a group
        if additional is not None and extra_families is not None:
            families = set(source_families(watched)[unseen[held_out]])
            apart = apart_from(additional, watched)
            apart = apart[[name not in families for name in extra_families[apart]]]
            training = Dataset.concat([training, additional.take(apart)])
        if len(np.unique(training.labels)) < 2:
            return None
        student = spec.new_student(epochs)
        student.fit(training, None, after_epoch)
        return held_out, student.predict_logits(watched.texts)

    for found in train_side_by_side(events, spec, train, on_epoch):
        if found is None:
            return None
        logits[found[0]] = found[1]
    return UnseenLogits(logits, unseen)


def score_later_events(
    events: Dataset,
    spec: StudentSpec,
    epochs: int,
    additional: Dataset | None,
    on_epoch: OnEpoch | None,
) -> UnseenLogits | None:
    """Train a student on what is older than the latest events of each family; let it score these.

    The student of a family learns the events of all families, as far as they are older or have no
    time; of the family itself, those without a time are left out too.

    Parameters
    ----------
    events, spec, epochs, additional, on_epoch
        As for `score_unseen_sources`.

    Returns
    -------
    UnseenLogits or None
        None where no family has enough events with a time, early and late ones.
    """
    families, times = source_families(events), events.times
    dates = _dates(families, times)
    n_classes = len(events.task.classes)
    logits = np.zeros((len(events), 1 if n_classes == 2 else n_classes), np.float32)

    def train(part: int, after_epoch: AfterEpoch) -> tuple[Folds, Floats]:
        """Return the late rows of a family and their logits; no rows where none can learn them."""
        family, date = list(dates.items())[part]
        late = np.flatnonzero((families == family) & (times > date))
        early = (times <= date) | (np.isnan(times) & (families != family))
        watched, training = events.take(late), events.take(np.flatnonzero(early))
        training = training.take(apart_from(training, watched))
        if additional is not None:
            older = additional.take(np.flatnonzero(~(additional.times > date)))
            training = Dataset.concat([training, older.take(apart_from(older, watched))])
        if len(np.unique(training.labels)) < n_classes:
            return late[:0], logits[:0]
        student = spec.new_student(epochs)
        student.fit(training, None, after_epoch)
        return late, student.predict_logits(watched.texts)

    is_late = np.zeros(len(events), bool)
    for rows, found in train_side_by_side(events, replace(spec, folds=len(dates)), train, on_epoch):
        logits[rows], is_late[rows] = found, True
    return UnseenLogits(logits, is_late) if is_late.any() else None


def _dates(families: npt.NDArray[np.str_], times: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return the time after which the latest events of each family come, where both are enough."""
    found = {}
    for family in np.unique(families[~np.isnan(times) & (families != "")]):
        own = times[(families == family) & ~np.isnan(times)]
        date = float(np.quantile(own, 1 - _LATER_SHARE, method="lower"))
        if min((own > date).sum(), (own <= date).sum()) >= _MIN_FAMILY_ROWS:
            found[str(family)] = date
    return found


def source_warnings(events: Dataset, seed: int) -> tuple[str, ...]:
    """Return sentences on how far a classifier recognizes the sources of labeled events."""
    families = source_families(events)
    known = families != ""
    if not known.any():
        return ()
    warnings = []
    sides = {name: events.is_positive[families == name] for name in set(families[known])}
    if len(sides) > 1 and all(side.all() or not side.any() for side in sides.values()):
        warnings.append(
            "Each family of sources has one kind of class only, so a student can learn the source "
            "instead of the threat, and no figure within a source can show it."
        )
    for kind, rows in (
        ("positive", events.is_positive & known),
        ("other", ~events.is_positive & known),
    ):
        accuracy, chance = recognize_sources(events.take(np.flatnonzero(rows)), seed)
        if accuracy >= (1 + chance) / 2:
            warnings.append(
                f"Among the {kind} events, a classifier recognizes the family of the source with a "
                f"balanced accuracy of {accuracy:.2f} (chance: {chance:.2f}): expect other figures "
                "on sources that are not listed here."
            )
    return tuple(warnings)


def recognize_sources(events: Dataset, seed: int) -> tuple[float, float]:
    """Return the balanced accuracy of a classifier of the family of sources, and that of chance.

    Both are 0 and 1 unless two families have enough events.
    """
    families = source_families(events)
    names, counts = np.unique(families, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:_RECOGNIZED_FAMILIES]
    names = names[largest[counts[largest] >= _MIN_FAMILY_ROWS]]
    if len(names) < 2:
        return 0, 1
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(families == n))[:_RECOGNIZED_ROWS] for n in names]
    classes = {f"family {index}": str(name) for index, name in enumerate(names)}
    task = replace(events.task, classes=classes, positive=(), aliases={})
    labels = np.repeat(np.arange(len(names)), [len(own) for own in rows]).astype(np.int32)
    sample = replace(
        events.take(np.concatenate(rows)),
        task=task,
        labels=labels,
        soft_targets=None,
        row_weights=None,
    )
    small = {} if task.features else {"table_bits": 16, "epochs": 4}
    spec = StudentSpec("trees" if task.features else "ngram", small, folds=3, seed=seed)
    try:
        found = cross_validate(sample, spec)
    except InputError:  # too few groups
        return 0, 1
    p = found.logits if len(names) > 2 else np.concatenate([-found.logits, found.logits], axis=1)
    correct = p.argmax(axis=1) == labels
    recalls: Sequence[float] = [float(correct[labels == i].mean()) for i in range(len(names))]
    return float(np.mean(recalls)), 1 / len(names)
