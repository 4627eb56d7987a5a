"""Semi-supervised rounds: a student labels the pool for the next one (noisy student).

After Xie et al. 2020: each round's student learns from the labels, from what teachers said of the
pool, and from what the last student says of the rest, with noise (dropped n-grams) that the
pseudo-labels were made without. Rounds go on while held-out labels are judged better.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from buckler.dataset.dataset import Dataset
from buckler.evaluation.calibration import Calibration, fit_calibration, probabilities_of
from buckler.students import Examples, Student
from buckler.tasks import Task
from buckler.training.cross_validation import (
    CrossFitted,
    Extra,
    calibrated,
    cross_fit,
    joined,
    new_student,
)

Floats = npt.NDArray[np.float64]


class RoundSettings(BaseModel):
    """How rounds go.

    Attributes
    ----------
    max_rounds
        After the first student, which has no pseudo-labels.
    patience
        Rounds without a lower held-out loss before it stops.
    share
        Of the pool's events of each class, the most confident that count, in the first round;
        it grows evenly to all of them in the last.
    weight
        Of a pseudo-label of full confidence, beside a label.
    balance
        No class gets more pseudo-labels than this many times its share among the labels.
    noise
        Settings of the student that differ while it learns from pseudo-labels.
    """

    model_config = ConfigDict(extra="forbid")

    max_rounds: int = Field(default=3, ge=1, le=20)
    patience: int = Field(default=1, ge=1, le=20)
    share: float = Field(default=0.5, gt=0, le=1)
    weight: float = Field(default=0.5, gt=0, le=100)
    balance: float = Field(default=2.0, ge=1, le=1000)
    noise: dict[str, Any] = {"dropout": 0.2}


@dataclass(frozen=True)
class Round:
    """One round.

    Attributes
    ----------
    number
        0 for the student without pseudo-labels.
    pseudo_labels
        How many it learned from.
    loss, accuracy
        Of cross-fitted students on the labeled events.
    """

    number: int
    pseudo_labels: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Rounds:
    """The outcome.

    Attributes
    ----------
    extra
        What the best round's student learned from beside the labels; None if only labels.
    settings
        Of the student, as in the best round.
    crossed
        What the best round's students say of labeled events that they did not see: calibration
        and thresholds rest on it. It cannot be computed anew from `extra`, for the student that
        made the pseudo-labels in it has seen all labels.
    history
        Every round.
    """

    extra: Extra | None
    settings: dict[str, Any]
    crossed: CrossFitted
    history: list[Round]

    @property
    def best(self) -> Round:
        """The round with the lowest held-out loss."""
        return min(self.history, key=lambda r: r.loss)


def run_rounds(
    labeled: Dataset,
    pool: Dataset,
    task: Task,
    family: str,
    settings: dict[str, Any],
    *,
    taught: Extra | None = None,
    rounds: RoundSettings,
    folds: int = 5,
    seed: int = 0,
    on_round: Callable[[Round], None] | None = None,
) -> Rounds:
    """Go through rounds.

    Parameters
    ----------
    labeled
        Events with labels; they decide when to stop.
    pool
        Events without.
    taught
        Events of the pool on which a teacher has spoken: its annotation stays.
    """
    said = set() if taught is None else set(taught.events.table.column("id").to_pylist())
    ids = pool.table.column("id").to_pylist()
    rest = pool.take(np.array([i for i, e in enumerate(ids) if e not in said], np.intp))
    history: list[Round] = []
    best: tuple[Extra | None, dict[str, Any], CrossFitted] | None = None
    extra, own = taught, settings
    by_fold: list[Extra | None] = [taught] * folds
    for number in range(rounds.max_rounds + 1):
        crossed = cross_fit(labeled, task, family, own, extra=by_fold, folds=folds, seed=seed)
        pseudo = 0 if extra is None else len(extra) - (0 if taught is None else len(taught))
        history.append(_judged(number, pseudo, crossed, labeled))
        if on_round is not None:
            on_round(history[-1])
        best_number = min(history, key=lambda r: r.loss).number
        if best is None or best_number == number:
            best = (extra, own, crossed)
        elif number - best_number >= rounds.patience:
            break
        if number == rounds.max_rounds or not len(rest):
            break
        scale = fit_calibration(crossed.logits, labeled.labels)
        share = rounds.share + (1 - rounds.share) * number / max(1, rounds.max_rounds - 1)

        def pseudo_labels(student: Student, scale: Calibration, share: float) -> Extra:
            p = probabilities_of(calibrated(student.predict_logits(rest.texts), scale))
            rows = confident_rows(p, labeled.labels, share, rounds.balance)
            weights = (rounds.weight * p[rows].max(axis=1)).astype(np.float32)
            new = Extra(rest.take(rows), p[rows].astype(np.float32), weights)
            return new if taught is None else taught.joined_with(new)

        # A fold's next student learns from pseudo-labels of its last one, which has not seen the
        # fold either; so the loss on held-out labels stays honest.
        by_fold = [pseudo_labels(student, scale, share) for student in crossed.students]
        whole = new_student(family, {**own, "seed": seed, "epochs": crossed.epochs}, task)
        examples = Examples(
            labeled.texts,
            labeled.targets(len(task.classes)),
            np.ones(len(labeled), np.float32),
        )
        whole.fit(examples if extra is None else joined(examples, extra))
        extra = pseudo_labels(whole, scale, share)
        own = {**settings, **rounds.noise}
    if best is None:
        raise RuntimeError("no round was made")
    return Rounds(*best, history)


def _judged(number: int, pseudo: int, crossed: CrossFitted, labeled: Dataset) -> Round:
    p = crossed.probabilities(labeled.labels)
    believed = p[np.arange(len(p)), labeled.labels]
    return Round(
        number,
        pseudo,
        float(-np.log(np.maximum(believed, 1e-12)).mean()),
        float((p.argmax(axis=1) == labeled.labels).mean()),
    )


def confident_rows(
    p: Floats, labels: npt.NDArray[np.int32], share: float, balance: float
) -> npt.NDArray[np.intp]:
    """Return the most confident share of each predicted class, without swamping any.

    Parameters
    ----------
    labels
        Of the labeled events: their shares say how many of each class are too many.
    """
    verdicts, confidence = p.argmax(axis=1), p.max(axis=1)
    expected = np.bincount(labels[labels >= 0], minlength=p.shape[1]) / max(1, len(labels))
    chosen = []
    for label in range(p.shape[1]):
        rows = np.flatnonzero(verdicts == label)
        limit = min(share * len(rows), balance * max(expected[label], 1e-3) * len(p) * share)
        order = np.argsort(-confidence[rows], kind="stable")
        chosen.append(rows[order[: int(np.ceil(limit))]])
    return np.sort(np.concatenate(chosen)).astype(np.intp)
