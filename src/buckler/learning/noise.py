"""Finds labels that are probably wrong, by confident learning (Northcutt et al. 2021)."""

import numpy as np
import numpy.typing as npt


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
    labelled so. A row is suspect where the likeliest confident class is not its own.
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
