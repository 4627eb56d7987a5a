"""Orders of reading measured: how soon true attacks are seen, and what need not be read."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

READ = (10, 100, 1000)
KEPT = (0.95, 0.99)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReadingOrder:
    """An order of reading incidents, measured.

    Attributes
    ----------
    name
        Name of what it sorts by.
    phases_seen
        Incidents read -> share of the true phases of which one was among them.
    incidents_saved, alerts_saved
        Share of true incidents kept -> share of all incidents (alerts) that need not be read.
    """

    name: str
    phases_seen: dict[int, float]
    incidents_saved: dict[float, float]
    alerts_saved: dict[float, float]


def spread_rules(scores: Floats, rules: npt.NDArray[np.object_]) -> Floats:
    """Return keys of an order in which no rule fills the top of the queue.

    The k-th incident of a rule, by score, counts 1/k of its score: an analyst who has read one
    learns less from the next.

    Parameters
    ----------
    scores
        Score of each incident.
    rules
        Rule of each incident.
    """
    order = np.argsort(-scores, kind="stable")
    _, codes = np.unique(rules.astype(str), return_inverse=True)
    seen, keys = np.zeros(codes.max(initial=-1) + 1, np.int64), np.empty(len(scores))
    for row in order.tolist():
        seen[codes[row]] += 1
        keys[row] = scores[row] / seen[codes[row]]
    return keys


def measure_order(
    name: str,
    keys: Floats,
    attack: npt.NDArray[np.bool_],
    phase: npt.NDArray[np.object_],
    alerts: npt.NDArray[np.int64],
) -> ReadingOrder:
    """Measure an order: the incident with the highest key is read first, ties as they came.

    Parameters
    ----------
    name
        Name of what it sorts by.
    keys
        Key of each incident.
    attack
        True for each incident that is a true attack.
    phase
        Phase (of a network) that each incident belongs to.
    alerts
        Number of alerts that each incident joins.
    """
    ranking = np.argsort(-np.nan_to_num(keys, nan=-np.inf), kind="stable")
    truth, names = attack[ranking], phase[ranking]
    phases = set(names[truth].tolist())
    seen = {n: len(set(names[:n][truth[:n]].tolist())) / max(1, len(phases)) for n in READ}
    found = np.cumsum(truth)
    total_alerts = np.cumsum(alerts[ranking])
    saved, saved_alerts = {}, {}
    for share in KEPT:
        needed = int(np.ceil(share * truth.sum() - 1e-9))
        at = int(np.searchsorted(found, needed)) if needed else 0
        read = min(at + 1, len(truth)) if needed else 0
        saved[share] = 1 - read / max(1, len(truth))
        saved_alerts[share] = 1 - float(total_alerts[read - 1] / total_alerts[-1]) if read else 1.0
    return ReadingOrder(name, seen, saved, saved_alerts)
