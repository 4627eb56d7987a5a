"""`buckler evaluate`: how good is a bundle on these data?"""

from pathlib import Path
from typing import Annotated

import typer

from buckler import pipeline
from buckler.cli import options as opt
from buckler.cli.console import out, show_steps
from buckler.cli.results import print_assessment, print_report
from buckler.dataset import ColumnNames, UnknownLabels
from buckler.pipeline import EvaluationOptions


def evaluate(
    bundle: opt.BundleArgument,
    data: Annotated[list[Path], typer.Argument(help="Labeled test files or folders.")],
    output: opt.ReportFolder,
    trained_on: Annotated[
        list[Path] | None,
        typer.Option(help="Training files: the report tells which test rows are not new."),
    ] = None,
    task: opt.TaskFile = None,
    label_column: opt.LabelColumn = None,
    text_column: opt.TextColumn = None,
    group_column: opt.GroupColumn = None,
    source_column: opt.SourceColumn = None,
    slices: Annotated[
        list[str] | None,
        typer.Option("--slice", help="Column to slice the report by; may be repeated."),
    ] = None,
    unknown_labels: Annotated[UnknownLabels, opt.UNKNOWN_LABELS] = UnknownLabels.FAIL,
    label_map: opt.LabelMap = None,
    format_name: opt.FormatName = None,
    resamples: Annotated[
        int, typer.Option(help="Number of bootstrap resamples.", min=50, max=10_000)
    ] = 500,
) -> None:
    """Measure a bundle on labeled test data.

    Writes report.html and report.json.
    """
    columns = ColumnNames(
        text_column,
        label_column,
        group_column,
        source_column,
        tuple(slices or ()),
        unknown_labels,
        opt.read_label_map(label_map),
    )
    with show_steps("loading") as on_step:
        found = pipeline.evaluate(
            bundle,
            data,
            output,
            trained_on=trained_on or [],
            options=EvaluationOptions(task, columns, format_name, resamples),
            on_step=on_step,
        )
    print_assessment(found.assessment)
    for note in found.notes:
        out.print(f"note: {note}")
    out.print()
    print_report(found.report)
