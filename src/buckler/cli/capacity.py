"""`buckler capacity`: resources for a rate of events, measured on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import err, print_table
from buckler.serving.capacity import CapacityPlan, Waiting, Workload, measure_bundle, plan_capacity


def capacity(
    bundle: opt.BundleArgument,
    events: Annotated[Path, typer.Argument(help="File of events like those to come.")],
    events_per_day: Annotated[
        float, typer.Option(help="Average number of events, such as 1e9.")
    ] = 1e9,
    peak: Annotated[float, typer.Option(help="Peak rate, as a multiple of the average.")] = 3.0,
    utilization: Annotated[
        float, typer.Option(help="Largest share of the cores' time in use at the peak.")
    ] = 0.6,
    handling_us: Annotated[
        float, typer.Option(help="Microseconds for reading, parsing and sending an event.")
    ] = 4.0,
    batch: Annotated[int, typer.Option(help="Number of events scored at once.", min=1)] = 1000,
    replication: Annotated[
        int, typer.Option(help="Number of copies that the log keeps.", min=1)
    ] = 3,
    retention_days: Annotated[
        float, typer.Option(help="Days that the log keeps them.", min=0)
    ] = 1.0,
    partition_rate: Annotated[
        float, typer.Option(help="Events a second that a partition carries.", min=1)
    ] = 2e4,
    review_share: Annotated[float, typer.Option(help="Share of the events for people.")] = 0.0,
    teacher_share: Annotated[float, typer.Option(help="Share of the events for a teacher.")] = 0.0,
    teacher_usd: Annotated[
        float, typer.Option(help="Price of an event at the teacher, in USD.")
    ] = 0.0,
    core_hour_usd: Annotated[
        float, typer.Option(help="Price of a core for an hour, in USD.")
    ] = 0.04,
    gb_month_usd: Annotated[float, typer.Option(help="Price of a GB for a month, in USD.")] = 0.05,
) -> None:
    """Estimate cores, memory, network and cost for a rate of events."""
    measured = measure_bundle(bundle, events, batch)
    workload = Workload(
        events_per_day=events_per_day,
        peak=peak,
        utilization=utilization,
        handling_s=handling_us / 1e6,
        replication=replication,
        retention_days=retention_days,
        partition_rate=partition_rate,
        review_share=review_share,
        teacher_share=teacher_share,
        teacher_usd=teacher_usd,
        core_hour_usd=core_hour_usd,
        gb_month_usd=gb_month_usd,
    )
    err.print(
        f"measured here: {measured.rate:,.0f} events/s of one core in batches of {batch:,}; "
        f"events of {measured.event_bytes:,.0f} bytes"
    )
    if measured.stage_shares:
        shares = ", ".join(f"{share:.2%}" for share in measured.stage_shares)
        err.print(f"share of the validation events that reach each stage, and review: {shares}")
    _print(plan_capacity(measured, workload))


def _print(plan: CapacityPlan) -> None:
    rows = {
        "events/s, average and peak": f"{plan.mean_rate:,.0f}, {plan.peak_rate:,.0f}",
        "events/s of a core, handling included": f"{plan.core_rate:,.0f}",
        "cores": f"{plan.cores:,}, {100 * plan.utilization_at_peak:.0f} % busy at the peak",
        "memory": f"{plan.memory_mb / 1000:,.1f} GB, one process a core",
        "Mbit/s at the peak": f"{plan.inbound_mbit:,.0f} in, {plan.outbound_mbit:,.0f} out",
        "partitions": f"{max(plan.partitions, plan.cores):,}, one a worker at least",
        "log": f"{plan.log_gb:,.0f} GB, copies included",
        "time of a batch, estimated": _waiting(plan.estimated),
        "time of a batch, simulated": _waiting(plan.simulated),
        "people": f"{plan.reviewed_per_day:,.0f} events a day, {plan.reviewers:,.1f} people",
        "teacher": f"{plan.taught_per_day:,.0f} events and "
        f"{plan.teacher_usd_per_day:,.2f} USD a day",
        "compute and log": f"{plan.compute_usd_per_day:,.2f} and "
        f"{plan.storage_usd_per_day:,.2f} USD a day",
        "USD for a million events": f"{plan.usd_per_million:.4f}",
    }
    print_table((), rows.items())


def _waiting(waiting: Waiting) -> str:
    mean, p50, p99 = (1e3 * value for value in (waiting.mean, waiting.p50, waiting.p99))
    return f"mean {mean:.2f} ms, p50 {p50:.2f}, p99 {p99:.2f}"
