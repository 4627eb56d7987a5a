"""`buckler cascade`: several bundles as one, cheapest first."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import out, print_table, show_steps
from buckler.cli.results import print_assessment, print_comparison, print_report
from buckler.pipeline import join_bundles
from buckler.training.cascade import CascadeOptions


def cascade(
    stages: Annotated[list[Path], typer.Argument(help="Bundles of one task, cheapest first.")],
    validate: Annotated[
        list[Path],
        typer.Option("--validate", help="Labeled events that no stage has learned from."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Bundle file to write.")],
    budget: Annotated[
        list[float],
        typer.Option(
            "--budget",
            help="Share of all events that a stage may pass on; one per stage but the last.",
        ),
    ],
    review: Annotated[float, typer.Option(help="Share of all events marked for review.")] = 0.0,
    fpr: Annotated[float, typer.Option(help="False-positive rate to deploy at.")] = 1e-2,
    prevalence: Annotated[
        float | None,
        typer.Option(help="Share of positive events in production, for which the budgets hold."),
    ] = None,
    test: Annotated[
        list[Path] | None, typer.Option("--test", help="Labeled events for the report.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
    task: opt.TaskFile = None,
    seed: opt.Seed = 0,
) -> None:
    """Join bundles: each passes on the events that it is unsure of.

    The budget limits the share that goes on; the events and thresholds are chosen on labeled
    events.
    """
    with show_steps("reading") as on_step:
        made = join_bundles.cascade(
            stages,
            validate,
            output,
            CascadeOptions(budget, review, fpr, prevalence, seed),
            task=task,
            on_step=on_step,
        )
    names = zip([*map(str, stages), "a person"], made.shares, strict=False)
    rows = [(str(number), name, f"{share:.4f}") for number, (name, share) in enumerate(names, 1)]
    print_table(("stage", "bundle", "share of events"), rows, right=("share of events",))
    out.print(f"\n{made.manifest.operating_sentence}")
    out.print(f"bundle  {output} ({output.stat().st_size:,} bytes)")
    if not test:
        return
    with show_steps("measuring"):
        found = join_bundles.evaluate_cascade(output, stages, test, report, task=task)
    print_assessment(found.assessment)
    out.print()
    print_comparison(found.comparison)
    for note in found.notes:
        out.print(f"\n{note}")
    if found.report is not None:
        print_report(found.report)
