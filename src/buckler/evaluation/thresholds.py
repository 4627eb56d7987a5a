"""Thresholds for a false-positive rate, chosen on held-out validation rows, never on test rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.evaluation.intervals import UNKNOWN_RATE, Rate, rate
from buckler.evaluation.metrics import TARGET_FPRS, enough_negatives


@dataclass(frozen=True)
class Threshold:
    """A threshold on the score for a target false-positive rate.

    Attributes
    ----------
    target_fpr
        Highest acceptable false-positive rate.
    value
        Lowest score of a detection; None where the validation rows are too few to say.
    n_negatives
        Validation rows that are not positive.
    fpr, tpr
        Rates on the validation rows.
    """

    target_fpr: float
    value: float | None
    n_negatives: int
    fpr: Rate
    tpr: Rate


def choose_thresholds(
    score: npt.NDArray[np.float32], positive: npt.NDArray[np.bool_]
) -> list[Threshold]:
    """Return the lowest threshold within each target rate."""
    negatives = np.sort(score[~positive])[::-1]
    found = []
    for target in TARGET_FPRS:
        value, fpr, tpr = None, UNKNOWN_RATE, UNKNOWN_RATE
        if enough_negatives(len(negatives), target):
            allowed = int(np.floor(target * len(negatives) + 1e-9))
            # Just above the first negative that must stay undetected: no stricter than needed.
            value = float(np.nextafter(np.float32(negatives[allowed]), np.float32(2)))
            detected = score >= np.float32(value)
            fpr, tpr = rate(detected[~positive]), rate(detected[positive])
        found.append(Threshold(target, value, len(negatives), fpr, tpr))
    return found
