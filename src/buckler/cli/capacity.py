"""`buckler capacity`: what a rate of events takes, measured on this machine."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from buckler.cli.console import err, out
from buckler.errors import InputError
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import get_reader
from buckler.runtime import load
from buckler.serving.capacity import Load, Plan, measure, plan
from buckler.serving.fields import fields_of


def capacity(
    bundle: Annotated[Path, typer.Argument(help="A .buckler file.")],
    events: Annotated[Path, typer.Argument(help="A file of events like those to come.")],
    events_per_day: Annotated[float, typer.Option(help="Such as 1e9.")] = 1e9,
    peak: Annotated[float, typer.Option(help="The busiest moment, times the average.")] = 3.0,
    utilization: Annotated[float, typer.Option(help="Of the cores at the peak, at most.")] = 0.6,
    handling_us: Annotated[
        float, typer.Option(help="Microseconds an event for reading, parsing and sending.")
    ] = 15.0,
    batch: Annotated[int, typer.Option(help="Events judged at once.", min=1)] = 1000,
    replication: Annotated[int, typer.Option(help="Copies that the log keeps.", min=1)] = 3,
    retention_days: Annotated[float, typer.Option(help="How long it keeps them.", min=0)] = 1.0,
    partition_rate: Annotated[float, typer.Option(help="Events/s of a partition.", min=1)] = 2e4,
    review_share: Annotated[float, typer.Option(help="Of the events for people.")] = 0.0,
    teacher_share: Annotated[float, typer.Option(help="Of the events for a teacher.")] = 0.0,
    teacher_usd: Annotated[float, typer.Option(help="USD for an event at the teacher.")] = 0.0,
    core_hour_usd: Annotated[float, typer.Option(help="USD for a core and hour.")] = 0.04,
    gb_month_usd: Annotated[float, typer.Option(help="USD for a GB and month.")] = 0.05,
) -> None:
    """Say how many cores, how much memory, network and money a rate of events takes."""
    scorer = load(bundle)
    spec = fields_of(scorer).column_spec(scorer)
    chunks = get_reader(events).chunks(events, spec, Quarantine())
    texts = next((chunk.text for chunk in chunks if len(chunk.text)), None)
    if texts is None:
        raise InputError(f"{events}: no event in it that can be judged")
    measured = measure(scorer, texts, bundle.stat().st_size, batch)
    asked = Load(
        events_per_day,
        peak,
        utilization,
        handling_us / 1e6,
        replication,
        retention_days,
        partition_rate,
        review_share,
        teacher_share=teacher_share,
        teacher_usd=teacher_usd,
        core_hour_usd=core_hour_usd,
        gb_month_usd=gb_month_usd,
    )
    err.print(
        f"measured here: {measured.rate:,.0f} events/s of one core in batches of {batch:,}; "
        f"events of {measured.event_bytes:,.0f} bytes"
    )
    reach = scorer.manifest.calibration.get("share_reaching_each_stage")
    if isinstance(reach, list):  # measured as one: the batches went through all stages
        shares = ", ".join(f"{float(share):.2%}" for share in reach)
        err.print(f"share of the validation events that reach each stage, and review: {shares}")
    _print(plan(measured, asked))


def _print(found: Plan) -> None:
    rows = {
        "events/s, average and peak": f"{found.mean_rate:,.0f}, {found.peak_rate:,.0f}",
        "events/s of a core, handling included": f"{found.core_rate:,.0f}",
        "cores": f"{found.cores:,}, {100 * found.utilization_at_peak:.0f} % busy at the peak",
        "memory": f"{found.memory_mb / 1000:,.1f} GB, one process a core",
        "Mbit/s at the peak": f"{found.inbound_mbit:,.0f} in, {found.outbound_mbit:,.0f} out",
        "partitions": f"{max(found.partitions, found.cores):,}, one a worker at least",
        "log": f"{found.log_gb:,.0f} GB, copies included",
        "time of a batch, estimated": _waiting(found, "estimated"),
        "time of a batch, simulated": _waiting(found, "simulated"),
        "people": f"{found.reviewed_per_day:,.0f} events a day, {found.reviewers:,.1f} people",
        "teacher": f"{found.taught_per_day:,.0f} events and "
        f"{found.teacher_usd_per_day:,.2f} USD a day",
        "compute and log": f"{found.compute_usd_per_day:,.2f} and "
        f"{found.storage_usd_per_day:,.2f} USD a day",
        "USD for a million events": f"{found.usd_per_million:.4f}",
    }
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in rows.items():
        table.add_row(name, value)
    out.print(table)


def _waiting(found: Plan, which: str) -> str:
    spent = found.estimated if which == "estimated" else found.simulated
    return f"mean {1e3 * spent.mean:.2f} ms, p50 {1e3 * spent.p50:.2f}, p99 {1e3 * spent.p99:.2f}"
