"""Prediction sets by conformal prediction: all classes that may be true at a stated error rate.

Split conformal prediction with the least ambiguous sets (Sadinle, Lei and Wasserman 2019): a class
belongs to the set if its probability reaches the value that all but that share of the held-out true
classes reach. On exchangeable rows the true class is missing at most that often, for any model.
"""

import numpy as np
import numpy.typing as npt

ERROR_RATES = (0.1, 0.05, 0.01)


def least_probabilities(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]
) -> dict[float, float]:
    """Return error rate -> least probability of a class in the set, for rates with enough rows.

    Parameters
    ----------
    probabilities
        float32 [n, classes] of held-out rows.
    labels
        int32 [n]: true classes.
    """
    own = np.sort(probabilities[np.arange(len(labels)), labels].astype(np.float64))
    found = {}
    for rate in ERROR_RATES:
        # The k-th smallest of n: k = floor((n + 1) * rate), at least 1.
        k = int(np.floor((len(own) + 1) * rate + 1e-9))
        if k >= 1:
            found[rate] = float(np.float32(own[k - 1]))
    return found
