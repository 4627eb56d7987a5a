"""Labels that are probably wrong: finding them, and learning in spite of them.

All of it works on held-out probabilities of cross-fitted students, so it serves any family.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class Noise(StrEnum):
    """What to do about labels that may be wrong.

    ``none``: believe them. ``doubt``: learn from all, but let suspect rows be no ground for
    calibration and thresholds. ``drop``: leave suspect rows out (confident learning, Northcutt et
    al. 2021). ``relabel``: give suspect rows what held-out students say instead.
    """

    NONE = "none"
    DOUBT = "doubt"
    DROP = "drop"
    RELABEL = "relabel"


@dataclass(frozen=True)
class Handled:
    """Targets and weights for the final training.

    Attributes
    ----------
    targets
        float32 [n, classes].
    weights
        float32 [n]; 0 for rows that are left out.
    suspect
        Rows whose label is in doubt: no ground for calibration or thresholds.
    """

    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    suspect: npt.NDArray[np.bool_]


def handle_noise(
    method: Noise,
    probabilities: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int32],
    targets: npt.NDArray[np.float32],
) -> Handled:
    """Apply a method.

    Parameters
    ----------
    probabilities
        float64 [n, classes], calibrated, of students that did not train on the row.
    labels, targets
        What the data say: int32 [n], and float32 [n, classes].
    """
    n = len(labels)
    weights = np.ones(n, np.float32)
    if method is Noise.NONE:
        return Handled(targets, weights, np.zeros(n, bool))
    suspect = suspect_labels(probabilities, labels)
    targets = targets.copy()
    if method is Noise.DROP:
        weights[suspect] = 0
    elif method is Noise.RELABEL:
        targets[suspect] = probabilities[suspect]
    return Handled(targets, weights, suspect)


def suspect_labels(
    probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Return which rows confidently belong to another class than their label says.

    Parameters
    ----------
    probabilities
        float [n, classes], of models that did not train on the row.
    labels
        The labels in doubt.

    Notes
    -----
    A class is confident of a row where its probability is at least the mean that it has on rows
    labeled so. A row is suspect where the likeliest confident class is not its own.
    """
    n_classes = probabilities.shape[1]
    bars = np.full(n_classes, np.inf)
    for index in range(n_classes):
        own = labels == index
        if own.any():
            bars[index] = probabilities[own, index].mean()
    confident = np.where(probabilities >= bars, probabilities, -np.inf)
    likeliest = confident.argmax(axis=1)
    return np.asarray(np.isfinite(confident.max(axis=1)) & (likeliest != labels))
