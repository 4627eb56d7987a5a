"""Prediction sets: the classes that cannot be ruled out at a stated error rate.

Split conformal prediction with the least ambiguous sets (Sadinle, Lei and Wasserman 2019): a class
is in the set if its probability reaches the value that all but a share of held-out true classes
reach. On exchangeable rows the true class is missing at most so often, whatever the model.
"""

import numpy as np
import numpy.typing as npt

ERROR_RATES = (0.1, 0.05, 0.01)


def least_probabilities(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]
) -> dict[float, float]:
    """Return error rate -> what a class needs to be in the set; rates that the rows are enough for.

    Parameters
    ----------
    probabilities
        float [n, classes] of held-out rows.
    labels
        Their true classes.
    """
    own = np.sort(probabilities[np.arange(len(labels)), labels].astype(np.float64))
    found = {}
    for rate in ERROR_RATES:
        # The k-th smallest of n: k = floor((n + 1) * rate), at least 1.
        k = int(np.floor((len(own) + 1) * rate + 1e-9))
        if k >= 1:
            found[rate] = float(np.float32(own[k - 1]))
    return found
