"""`buckler triage`: incidents in the order in which to read them, with the reason."""

import csv
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from buckler.cli.console import out, safe, step_progress
from buckler.cli.options import TrustedKey
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.errors import InputError, OutputError
from buckler.files import write_atomically
from buckler.normalize.features import matrix
from buckler.readers.quarantine import Quarantine
from buckler.runtime import Scorer, load
from buckler.tasks import get_bundle_task
from buckler.triage.alerts import read_severities, severity_by_rule
from buckler.triage.metrics import measure_reading, reading_table

_KEPT = ("phase", "alert", "host", "address", "n_alerts", "first")
_SHOWN = 10


def triage(
    alerts: Annotated[list[Path], typer.Argument(help="Alerts: eve.json, alerts.json, tables.")],
    bundle: Annotated[Path, typer.Option("--bundle", "-b", help="A .buckler file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to: a .csv file.")],
    trusted_key: TrustedKey = None,
    top: Annotated[int, typer.Option(help="Write so many incidents, with reasons.", min=1)] = 1000,
    severity: Annotated[
        Path | None,
        typer.Option(help="A .csv of rule and level: severity order for alerts that have none."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
) -> None:
    """Join alerts to incidents and rank them by the probability of a true attack.

    Where the alerts have labels, it also says what the ranking is worth beside other orders.
    """
    if output.exists() and not force:
        raise OutputError(f"{output} exists; give --force to replace it")
    scorer = load(bundle, trusted_key=trusted_key)
    task = get_bundle_task(scorer.manifest.task, scorer.manifest.classes)
    severities = read_severities(severity) if severity is not None else {}
    if "rule_rarity" not in task.numbers:
        raise InputError(f"{bundle}: a bundle of task {task.name}, not one of alert-triage")
    with step_progress() as progress, Quarantine() as quarantine:
        progress.add_task("joining alerts to incidents")
        events = read_dataset(
            alerts,
            task,
            ColumnNames(keep=_KEPT),
            format_name="alerts",
            quarantine=quarantine,
        )
    score = scorer.score(events.raw_texts).scores
    order = np.argsort(-score, kind="stable")[:top]
    records = [_record(scorer, events, score, row, rank) for rank, row in enumerate(order, 1)]
    _write(output, records)
    _show(records[:_SHOWN])
    n_alerts = sum(int(n) for n in events.column("n_alerts"))
    out.print(
        f"{n_alerts:,} alerts, {len(events):,} incidents; the first {len(records):,} stand in"
    )
    out.print(f"  {output}")
    if quarantine.count or quarantine.passed_over:
        out.print(f"  {quarantine.summary()}")
    if (events.labels == 1).any():
        _measure(events, score, task.numbers, severities)


def _record(scorer: Scorer, events: Dataset, score: Any, row: int, rank: int) -> dict[str, object]:
    def of(name: str) -> str:
        return str(events.table.column(name)[int(row)].as_py() or "")

    text = events.raw_texts[int(row)].as_py()
    reasons = [
        name if name in ("rule", "tool") else c.text  # of a category, the number says nothing
        for c in scorer.explain(text, label=scorer.classes[1], top=3)
        if c.weight > 0 and (name := c.text.partition("=")[0])
    ]
    last = int(of("ts") or 0)
    return {
        "rank": rank,
        "probability": f"{score[row]:.4f}",
        "alert": of("alert"),
        "host": of("host"),
        "address": of("address"),
        "alerts": of("n_alerts"),
        "first": _time(int(of("first") or 0)),
        "last": _time(last),
        "because": "; ".join(reasons),
        "source": of("source"),
        "label": of("label"),
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write(output: Path, records: list[dict[str, object]]) -> None:
    text = StringIO()
    writer = csv.DictWriter(text, list(records[0]))
    writer.writeheader()
    for record in records:  # a spreadsheet would run what begins like a formula
        writer.writerow(
            {
                k: "'" + v if isinstance(v, str) and v[:1] in "=+-@\t" else v
                for k, v in record.items()
            }
        )
    write_atomically(output, text.getvalue().encode("utf-8", "replace"))


def _show(records: list[dict[str, object]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("rank", "probability", "alert", "host", "because"):
        table.add_column(name, justify="right" if name in ("rank", "probability") else "left")
    for record in records:
        table.add_row(
            str(record["rank"]),
            str(record["probability"]),
            safe(str(record["alert"]), 48),
            safe(str(record["host"]), 20),
            safe(str(record["because"]), 90),
        )
    out.print(table)
    out.print()


def _measure(
    events: Dataset, score: Any, numbers: tuple[str, ...], severities: dict[str, float]
) -> None:
    values = matrix(events.texts.data, len(events), len(events.texts[0]) // 4)
    attack = events.labels == 1
    phase = np.array(
        [f"{s}/{p}" for s, p in zip(events.sources, events.column("phase"), strict=True)],
        object,
    )
    counts = np.array([int(n) for n in events.column("n_alerts")], np.int64)
    orders = {"buckler": score.astype(np.float64)}
    level = values[:, numbers.index("level")].astype(np.float64)
    if severities:
        level = severity_by_rule([str(rule) for rule in events.column("alert")], severities)
    if not np.isnan(level).all():
        orders["severity"] = level
    orders["rarity"] = values[:, numbers.index("rule_rarity")].astype(np.float64)
    orders["arrival"] = -np.array([int(t or 0) for t in events.column("ts")], np.float64)
    readings = [measure_reading(n, first, attack, phase, counts) for n, first in orders.items()]
    found = reading_table(readings)
    out.print()
    table = Table(box=None, pad_edge=False)
    for position, name in enumerate(found.head):
        table.add_column(
            name, justify="right" if position else "left", overflow="fold", max_width=18
        )
    for row in found.rows:
        table.add_row(*row)
    out.print(table)
    if "severity" not in orders:
        out.print("These alerts have no severity: --severity names a table of rules and levels.")
