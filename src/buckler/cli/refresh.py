"""`buckler refresh`: one turn of a stream, for a weekly timer."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from buckler.cli.console import out, print_table, safe, show_steps
from buckler.cli.registry import print_decision
from buckler.cli.results import asking_progress
from buckler.errors import SettingsError
from buckler.review import refresh as refreshing


def refresh(
    settings: Annotated[Path, typer.Argument(help="Settings file of the stream.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Sample and estimate; ask and change nothing.")
    ] = False,
    now: Annotated[
        str | None, typer.Option(help="End of the turn, such as 2026-05-04; by default now.")
    ] = None,
) -> None:
    """Sample a stream, annotate, retrain, and promote or refuse the candidate.

    A stopped turn resumes. The log in the folder of the settings has a line for each decision.
    """
    with show_steps("loading") as on_step:
        done = refreshing.refresh(
            settings,
            now=_time_of(now),
            dry_run=dry_run,
            on_step=on_step,
            on_progress=asking_progress(on_step),
        )
    out.print(f"turn {done.turn.number}, {done.turn.week}: {done.n_new:,} new events")
    if done.reasons:
        rows = [(safe(name), f"{count:,}") for name, count in done.reasons]
        print_table(("asked because", "events"), rows, right=("events",))
    if done.drift.value == done.drift.value:
        out.print(f"AUROC of new against known events {done.drift}; 0.5 is no drift")
    out.print(f"{done.cost_usd:.4f} USD")
    if done.decision is not None:
        print_decision(done.decision)
    out.print(f"{done.action}: {safe(done.reason, 300)}")


def _time_of(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{text[:40]!r} is no time in ISO 8601", field="now") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
