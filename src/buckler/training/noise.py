"""Treats labels that are probably wrong: finds them, and learns in spite of them.

Every method uses out-of-fold probabilities, so it works with any student family.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset


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
    """Labeled events after a treatment.

    Attributes
    ----------
    learned
        Events to learn, with their targets and weights.
    kept
        Their rows among all events.
    suspect
        bool [n]: rows whose label is in doubt, which count for neither calibration nor thresholds.
    """

    learned: Dataset
    kept: npt.NDArray[np.intp]
    suspect: npt.NDArray[np.bool_]


def treat_noise(
    method: Noise, probabilities: npt.NDArray[np.float64], events: Dataset
) -> NoiseTreatment:
    """Apply a method to labeled events.

    Parameters
    ----------
    probabilities
        float64 [n, classes], calibrated, of students that did not train on the row.
    """
    kept = np.arange(len(events))
    if method is Noise.NONE:
        return NoiseTreatment(events, kept, np.zeros(len(events), bool))
    suspect = suspect_labels(probabilities, events.labels)
    if method is Noise.DROP:
        kept = np.flatnonzero(~suspect)
    elif method is Noise.RELABEL:
        targets = events.targets.copy()
        targets[suspect] = probabilities[suspect]
        events = events.with_targets(targets)
    return NoiseTreatment(events.take(kept), kept, suspect)


def suspect_labels(
    probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Return the rows that confidently belong to another class than their label.

    Parameters
    ----------
    probabilities
        float64 [n, classes], of models that did not train on the row.

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
