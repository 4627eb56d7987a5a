"""Thresholds for a false-positive rate, chosen on held-out validation rows, never on test rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.evaluation.metrics import TARGET_FPRS, Rate, enough_negatives, rate


@dataclass(frozen=True)
class Threshold:
    """A detection is raised where the score is at least `value`.

    Attributes
    ----------
    target_fpr
        What was asked for.
    value
        The threshold; None where the validation rows are too few to say.
    n_negatives
        How many validation rows that are not positive it rests on.
    fpr, tpr
        What it gave on the validation rows.
    """

    target_fpr: float
    value: float | None
    n_negatives: int
    fpr: Rate
    tpr: Rate


def choose_thresholds(
    score: npt.NDArray[np.float32], positive: npt.NDArray[np.bool_]
) -> list[Threshold]:
    """Return a threshold for each target rate: the lowest that keeps within it."""
    negatives = np.sort(score[~positive])[::-1]
    found = []
    for target in TARGET_FPRS:
        value = None
        if enough_negatives(len(negatives), target):
            allowed = int(np.floor(target * len(negatives) + 1e-9))
            # Just above the first negative that must not detection: as strict as needed, no stricter.
            value = float(np.nextafter(np.float32(negatives[allowed]), np.float32(2)))
        detected = (
            score >= np.float32(value) if value is not None else np.zeros(len(positive), bool)
        )
        unknown = rate(np.zeros(0, bool))
        found.append(
            Threshold(
                target,
                value,
                len(negatives),
                rate(detected[~positive]) if value is not None else unknown,
                rate(detected[positive]) if value is not None else unknown,
            )
        )
    return found
