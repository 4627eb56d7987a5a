"""Treats labels that are probably wrong: finds them, and learns in spite of them.

Every method uses out-of-fold probabilities, so it works with any student family.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class Noise(StrEnum):
    """Treatment of labels that may be wrong.

    ``none``: believe them. ``doubt``: learn from all rows, but leave suspect ones out of
    calibration and thresholds. ``drop``: leave suspect rows out (confident learning, Northcutt et
    al. 2021). ``relabel``: give suspect rows the out-of-fold probabilities as their target.
    """

    NONE = "none"
    DOUBT = "doubt"
    DROP = "drop"
    RELABEL = "relabel"


@dataclass(frozen=True)
class NoiseTreatment:
    """Targets and weights for the final training.

    Attributes
    ----------
    targets
        float32 [n, classes].
    weights
        float32 [n]; 0 for rows that are left out.
    suspect
        bool [n]: rows whose label is in doubt, which count for neither calibration nor thresholds.
    """

    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    suspect: npt.NDArray[np.bool_]


def treat_noise(
    method: Noise,
    probabilities: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int32],
    targets: npt.NDArray[np.float32],
) -> NoiseTreatment:
    """Apply a method.

    Parameters
    ----------
    method
        Treatment of suspect labels.
    probabilities
        float64 [n, classes], calibrated, of students that did not train on the row.
    labels, targets
        Labels of the data: int32 [n], and float32 [n, classes].
    """
    n = len(labels)
    weights = np.ones(n, np.float32)
    if method is Noise.NONE:
        return NoiseTreatment(targets, weights, np.zeros(n, bool))
    suspect = suspect_labels(probabilities, labels)
    if method is Noise.DROP:
        weights[suspect] = 0
    elif method is Noise.RELABEL:
        targets = targets.copy()
        targets[suspect] = probabilities[suspect]
    return NoiseTreatment(targets, weights, suspect)


def suspect_labels(
    probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Return the rows that confidently belong to another class than their label.

    Parameters
    ----------
    probabilities
        float64 [n, classes], of models that did not train on the row.
    labels
        int32 [n]: the labels in doubt.

    Notes
    -----
    A class is confident of a row where its probability is at least the mean that it has on rows
    labeled so. A row is suspect where the likeliest confident class is not its own.
    """
    n_classes = probabilities.shape[1]
    least = np.full(n_classes, np.inf)
    for index in range(n_classes):
        own = labels == index
        if own.any():
            least[index] = probabilities[own, index].mean()
    confident = np.where(probabilities >= least, probabilities, -np.inf)
    likeliest = confident.argmax(axis=1)
    return np.asarray(np.isfinite(confident.max(axis=1)) & (likeliest != labels))
