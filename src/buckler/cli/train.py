"""`buckler train`: a bundle from labeled files, without a recipe file."""

from pathlib import Path
from typing import Annotated

import typer

from buckler import pipeline
from buckler.cli import options as opt
from buckler.cli.results import print_run
from buckler.cli.run import run_progress
from buckler.dataset import UnknownLabels
from buckler.dataset.splits import OnLeak
from buckler.errors import SettingsError
from buckler.evaluation.unseen_sources import ThresholdRule
from buckler.operating_point import OperatingPoint
from buckler.training.noise import Noise


@opt.with_operating_point
def train(
    data: opt.LabeledFiles,
    task: opt.TaskName,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for bundle and report.")],
    test: Annotated[
        list[Path] | None,
        typer.Option("--test", help="Test files; by default a fifth of the groups is held out."),
    ] = None,
    label_column: opt.LabelColumn = None,
    text_column: opt.TextColumn = None,
    group_column: opt.GroupColumn = None,
    source_column: opt.SourceColumn = None,
    threshold_rule: Annotated[
        ThresholdRule, typer.Option(help="Negatives on which the false-positive rate must hold.")
    ] = ThresholdRule.UNSEEN,
    own_negatives: Annotated[
        list[Path] | None,
        typer.Option(help="Your own negatives, for the rule own-negatives; nothing learns them."),
    ] = None,
    on_leak: Annotated[
        OnLeak, typer.Option(help="Reaction where training and test share something.")
    ] = OnLeak.FAIL,
    operating_point: OperatingPoint | None = None,
    student: Annotated[str, typer.Option(help="Student family.")] = "ngram",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting of the student, as NAME=VALUE; may be repeated."),
    ] = None,
    noise: Annotated[
        Noise, typer.Option(help="Treatment of labels that may be wrong.")
    ] = Noise.NONE,
    unknown_labels: Annotated[UnknownLabels, opt.UNKNOWN_LABELS] = UnknownLabels.FAIL,
    label_map: opt.LabelMap = None,
    source_balance: Annotated[
        float, typer.Option(min=0, max=1, help="Weight of small sources: 1 makes all count alike.")
    ] = 0.0,
    format_name: opt.FormatName = None,
    seed: opt.Seed = 0,
) -> None:
    """Train, evaluate and bundle labeled files without a recipe."""
    sections: dict[str, dict[str, object]] = {
        "data": {
            "text_column": text_column,
            "label_column": label_column,
            "group_column": group_column,
            "source_column": source_column,
            "own_negatives": own_negatives or [],
            "format": format_name,
            "unknown_labels": unknown_labels,
            "label_map": opt.read_label_map(label_map),
        },
        "split": {"on_leak": on_leak},
        "student": {
            **settings_of(setting or []),
            "family": student,
            "seed": seed,
            "noise": noise,
            "source_balance": source_balance,
        },
        "evaluation": {"operating_point": operating_point, "threshold_rule": threshold_rule},
    }
    with run_progress() as listener:
        finished = pipeline.train(
            data, task, output, test=test or [], sections=sections, listener=listener
        )
    print_run(finished)


def settings_of(pairs: list[str]) -> dict[str, int | float | str]:
    """Return the settings of NAME=VALUE pairs.

    Raises
    ------
    SettingsError
        If one is not NAME=VALUE, or has an option of its own.
    """
    found: dict[str, int | float | str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--set {pair}: write it as NAME=VALUE")
        if name in ("family", "folds", "seed", "noise", "source_balance", "class_prior"):
            raise SettingsError(
                f"--set {name}: it has an option of its own, or belongs in a recipe"
            )
        for kind in (int, float, str):
            try:
                found[name] = kind(value)
                break
            except ValueError:
                continue
    return found
