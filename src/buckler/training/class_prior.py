"""Shares of the classes that the probabilities of a student suppose.

A teacher's annotations of a pool name some classes far more often than the events to come will. A
model that learned shares p answers for shares q once log q / p is added to its logits (Saerens et
al. 2002).
"""

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.evaluation.calibration import Calibration, fit_calibration, fit_prior_shift
from buckler.tasks import Task

Floats = npt.NDArray[np.float32]


class ClassPrior(StrEnum):
    """Shares of the classes that the probabilities of a student suppose.

    ``learned``: those among the examples. ``uniform``: all alike. ``labels``: between the two,
    where held-out labels are likeliest.
    """

    LEARNED = "learned"
    UNIFORM = "uniform"
    LABELS = "labels"

    def check(self, task: Task) -> None:
        """Raise SettingsError if a task does not allow another prior than the learned one."""
        if self is not ClassPrior.LEARNED and (task.positive or len(task.classes) == 2):
            raise SettingsError(
                f"class_prior serves more than two classes, none of them positive; task "
                f"{task.name!r} has others",
                field="class_prior",
            )


def calibrate_to_prior(
    prior: ClassPrior, logits: Floats, labels: npt.NDArray[np.int32], examples: Dataset
) -> tuple[Calibration, Floats]:
    """Return a calibration by held-out labels, and what to add to calibrated logits.

    Parameters
    ----------
    prior
        Shares of the classes to suppose.
    logits, labels
        Held-out logits, float32 [n, 1] or [n, classes], and the true classes.
    examples
        All that the student learns, with targets and weights.
    """
    if prior is ClassPrior.LABELS:
        return fit_prior_shift(logits, labels, uniform_shift(examples))
    calibration = fit_calibration(logits, labels)
    if prior is ClassPrior.UNIFORM:
        return calibration, uniform_shift(examples)
    return calibration, np.zeros(logits.shape[1], np.float32)


def uniform_shift(learned: Dataset) -> Floats:
    """Return what to add to logits so that no class profits from its share of what was learned."""
    mass = (learned.targets * learned.weights[:, None]).sum(axis=0, dtype=np.float64)
    share = 1 + mass  # one event more: no share is zero
    return np.asarray(-np.log(share / share.mean()), np.float32)
