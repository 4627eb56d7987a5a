"""What an order of reading is worth: how soon true attacks are seen, and what need not be read."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.evaluation.report import Comparison

READ = (10, 100, 1000)
KEPT = (0.95, 0.99)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """An order of reading, measured.

    Attributes
    ----------
    order
        How it is called.
    phases_seen
        Incidents read -> share of the true phases of which one was among them.
    incidents_saved, alerts_saved
        Share of true incidents kept -> share of all incidents (alerts) that need not be read.
    """

    order: str
    phases_seen: dict[int, float]
    incidents_saved: dict[float, float]
    alerts_saved: dict[float, float]


def measure_reading(
    order: str,
    first: Floats,
    attack: npt.NDArray[np.bool_],
    phase: npt.NDArray[np.object_],
    alerts: npt.NDArray[np.int64],
) -> Reading:
    """Measure an order: the highest of `first` is read first, ties as they came.

    Parameters
    ----------
    attack, phase, alerts
        Per incident: whether it is one, which phase (of which network) it belongs to, how many
        alerts it stands for.
    """
    ranking = np.argsort(-np.nan_to_num(first, nan=-np.inf), kind="stable")
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
    return Reading(order, seen, saved, saved_alerts)


def reading_table(readings: list[Reading]) -> Comparison:
    """Return the orders side by side."""
    head = (
        "order of reading",
        *(f"phases in first {n:,}" for n in READ),
        *(f"incidents saved, {share:.0%} kept" for share in KEPT),
        *(f"alerts saved, {share:.0%} kept" for share in KEPT),
    )
    rows = [
        (
            r.order,
            *(f"{r.phases_seen[n]:.3f}" for n in READ),
            *(f"{r.incidents_saved[s]:.3f}" for s in KEPT),
            *(f"{r.alerts_saved[s]:.3f}" for s in KEPT),
        )
        for r in readings
    ]
    return Comparison(head, rows)
