"""Ranks incidents by the score of a true attack, with reasons, and measures the ranking."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.dataset import ColumnNames, Dataset, UnknownLabels, read_dataset
from buckler.errors import InputError
from buckler.files import harmless_cell, write_atomically
from buckler.readers.quarantine import Quarantine
from buckler.runtime import Scorer
from buckler.tasks import get_bundle_task
from buckler.triage.reading_order import ReadingOrder, measure_order, spread_rules
from buckler.triage.severity import severity_by_rule

_KEPT = ("phase", "alert", "host", "address", "n_alerts", "first")
_REASONS = 3
_RARITY = "rule_rarity"


@dataclass(frozen=True)
class RankedIncident:
    """An incident in its place, as the output file has it.

    Attributes
    ----------
    rank
        Place in the order of reading, from 1.
    score
        Probability of a true attack.
    alert, host, address
        Rule, host and address that its alerts have in common.
    alerts
        Number of its alerts.
    first, last
        Time of the first and of the last alert, as ISO 8601.
    because
        Features that speak most for an attack.
    source
        File that it stems from.
    label
        Class name, where the data tell it.
    """

    rank: int
    score: float
    alert: str
    host: str
    address: str
    alerts: int
    first: str
    last: str
    because: str
    source: str
    label: str


@dataclass(frozen=True)
class Triage:
    """Incidents in the order in which to read them.

    Attributes
    ----------
    incidents
        First incidents of the order.
    n_alerts, n_incidents
        Number of alerts that were read, and of incidents that they were joined to.
    orders
        This order and others, measured; empty where no incident is labeled an attack.
    """

    incidents: tuple[RankedIncident, ...]
    n_alerts: int
    n_incidents: int
    orders: tuple[ReadingOrder, ...]


def triage(
    alerts: Sequence[Path],
    scorer: Scorer,
    *,
    top: int = 1000,
    severities: dict[str, float] | None = None,
    quarantine: Quarantine | None = None,
) -> Triage:
    """Join alerts to incidents and rank them by the score of a true attack.

    The k-th incident of a rule counts 1/k of its score, so that many kinds of incidents come early.

    Parameters
    ----------
    alerts
        Files: eve.json, alerts.json, tables.
    scorer
        Bundle of `alert-triage`, or of a task of your own with features of incidents.
    top
        Number of incidents to describe.
    severities
        Severity of each rule (see `read_severities`), for alerts that have none of their own.
    quarantine
        Place for bad alerts.

    Raises
    ------
    InputError
        If the bundle does not judge incidents, or the alerts cannot be read.
    """
    task = get_bundle_task(scorer.manifest)
    if _RARITY not in task.numbers:
        raise InputError(f"a bundle of task {task.name} does not judge incidents")
    names = ColumnNames(keep=_KEPT, unknown_labels=UnknownLabels.SET_ASIDE)
    events = read_dataset(alerts, task, names, format_name="alerts", quarantine=quarantine)
    scores = scorer.score(events.raw).scores
    keys = spread_rules(scores.astype(np.float64), events.column("alert"))
    order = np.argsort(-keys, kind="stable")[:top].tolist()
    ranked = [
        _describe(scorer, events, float(scores[row]), row, rank)
        for rank, row in enumerate(order, 1)
    ]
    counts = events.column("n_alerts").astype(np.int64)
    own = {"buckler": keys, "score alone": scores.astype(np.float64)}
    orders = _measure(events, own, counts, severities or {})
    return Triage(tuple(ranked), int(counts.sum()), len(events), orders)


def write_incidents(path: Path, incidents: Sequence[RankedIncident]) -> None:
    """Write incidents as CSV.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(RankedIncident)])
    writer.writeheader()
    for incident in incidents:
        record = asdict(incident) | {"score": f"{incident.score:.4f}"}
        writer.writerow({name: harmless_cell(value) for name, value in record.items()})
    write_atomically(path, text.getvalue().encode("utf-8", "replace"))


def _describe(scorer: Scorer, events: Dataset, score: float, row: int, rank: int) -> RankedIncident:
    known = {name: events.table.column(name)[row].as_py() for name in (*_KEPT, "ts", "source")}
    reasons = [
        name if name in ("rule", "tool") else piece.text  # the number of a category says nothing
        for piece in scorer.explain(
            events.raw_text(row), label=scorer.classes[1], top=_REASONS
        ).contributions
        if piece.weight > 0 and (name := piece.text.partition("=")[0])
    ]
    return RankedIncident(
        rank=rank,
        score=score,
        alert=known["alert"] or "",
        host=known["host"] or "",
        address=known["address"] or "",
        alerts=int(known["n_alerts"]),
        first=_time(known["first"]),
        last=_time(known["ts"]),
        because="; ".join(reasons),
        source=known["source"] or "",
        label=events.label_names[row] or "",
    )


def _time(seconds: int | str | None) -> str:
    return datetime.fromtimestamp(int(seconds or 0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _measure(
    events: Dataset,
    own: dict[str, npt.NDArray[np.float64]],
    counts: npt.NDArray[np.int64],
    severities: dict[str, float],
) -> tuple[ReadingOrder, ...]:
    """Measure the ranking beside other orders, where incidents are labeled."""
    attack = events.is_positive
    if not attack.any():
        return ()
    phases = zip(events.sources, events.column("phase"), strict=True)
    phase = np.array([f"{source}/{name}" for source, name in phases], object)
    numbers = events.task.numbers
    levels = events.features.values[:, numbers.index("level")].astype(np.float64)
    if severities:
        levels = severity_by_rule([str(rule) for rule in events.column("alert")], severities)
    keys = dict(own)
    if not np.isnan(levels).all():
        keys["severity"] = levels
    keys["rarity"] = events.features.values[:, numbers.index(_RARITY)].astype(np.float64)
    keys["arrival"] = -np.nan_to_num(events.times)
    return tuple(measure_order(name, key, attack, phase, counts) for name, key in keys.items())
