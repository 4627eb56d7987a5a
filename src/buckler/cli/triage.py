"""`buckler triage`: incidents in the order in which to read them, with the reason."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from buckler.cli import options as opt
from buckler.cli.console import out, print_table, safe, show_steps
from buckler.errors import OutputError
from buckler.readers.quarantine import Quarantine
from buckler.runtime import load
from buckler.triage.ranking import RankedIncident, write_incidents
from buckler.triage.ranking import triage as rank_incidents
from buckler.triage.reading_order import KEPT, READ, ReadingOrder
from buckler.triage.severity import read_severities

_SHOWN = 10


def triage(
    alerts: Annotated[list[Path], typer.Argument(help="Alerts: eve.json, alerts.json, tables.")],
    bundle: opt.BundleOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV file to write.")],
    trusted_key: opt.TrustedKey = None,
    top: Annotated[
        int, typer.Option(help="Number of incidents to write, with reasons.", min=1)
    ] = 1000,
    severity: Annotated[
        Path | None,
        typer.Option(help="CSV file of rule and level, for alerts without a severity."),
    ] = None,
    force: opt.Overwrite = False,
) -> None:
    """Join alerts to incidents and rank them by the probability of an attack.

    The ranking of labeled alerts is measured beside other orders of reading.
    """
    if output.exists() and not force:
        raise OutputError(f"{output} exists; give --force to replace it")
    scorer = load(bundle, trusted_key=trusted_key)
    severities = read_severities(severity) if severity is not None else {}
    with show_steps("joining alerts to incidents"), Quarantine() as quarantine:
        found = rank_incidents(
            alerts, scorer, top=top, severities=severities, quarantine=quarantine
        )
    write_incidents(output, found.incidents)
    _show(found.incidents[:_SHOWN])
    n = len(found.incidents)
    out.print(f"{found.n_alerts:,} alerts, {found.n_incidents:,} incidents; the first {n:,} are in")
    out.print(f"  {output}")
    if quarantine.count or quarantine.passed_over:
        out.print(f"  {quarantine.summary()}")
    if found.orders:
        _show_orders(found.orders)


def _show(incidents: tuple[RankedIncident, ...]) -> None:
    rows = [
        (
            str(incident.rank),
            f"{incident.score:.4f}",
            safe(incident.alert, 48),
            safe(incident.host, 20),
            safe(incident.because, 90),
        )
        for incident in incidents
    ]
    print_table(("rank", "score", "alert", "host", "because"), rows, right=("rank", "score"))
    out.print()


def _show_orders(orders: tuple[ReadingOrder, ...]) -> None:
    out.print()
    table = Table(box=None, pad_edge=False)
    table.add_column("order of reading")
    for heading in (
        *(f"phases in first {n:,}" for n in READ),
        *(f"incidents saved, {share:.0%} kept" for share in KEPT),
        *(f"alerts saved, {share:.0%} kept" for share in KEPT),
    ):
        table.add_column(heading, justify="right", overflow="fold", max_width=18)
    for order in orders:
        table.add_row(
            order.name,
            *(f"{order.phases_seen[n]:.3f}" for n in READ),
            *(f"{order.incidents_saved[share]:.3f}" for share in KEPT),
            *(f"{order.alerts_saved[share]:.3f}" for share in KEPT),
        )
    out.print(table)
    if "severity" not in {order.name for order in orders}:
        out.print("These alerts have no severity: --severity names a table of rules and levels.")
