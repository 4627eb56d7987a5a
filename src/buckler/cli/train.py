"""`buckler train`: a bundle from labeled files, without a recipe file."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli.results import print_run
from buckler.cli.run import run_with_progress
from buckler.dataset.splits import OnLeak
from buckler.errors import SettingsError
from buckler.pipeline.recipe import (
    DataSection,
    EvaluationSection,
    Recipe,
    SplitSection,
    StudentSection,
)
from buckler.training.noise import Noise


def train(
    data: Annotated[list[Path], typer.Argument(help="Labeled files or folders.")],
    task: Annotated[str, typer.Option("--task", "-t", help="A task, or a .toml file of your own.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for bundle and report.")],
    test: Annotated[
        list[Path] | None,
        typer.Option("--test", help="Test data; default: a fifth of the groups is held out."),
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="Name of the label column.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Name of the text column.")] = None,
    group_column: Annotated[str | None, typer.Option(help="Name of the group column.")] = None,
    on_leak: Annotated[
        OnLeak, typer.Option(help="What to do where training and test share something.")
    ] = OnLeak.FAIL,
    fpr: Annotated[float | None, typer.Option(help="False-positive rate to deploy at.")] = None,
    student: Annotated[str, typer.Option(help="Student family.")] = "ngram",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the student, as NAME=VALUE; may be repeated."),
    ] = None,
    noise: Annotated[
        Noise, typer.Option(help="What to do about labels that may be wrong.")
    ] = Noise.NONE,
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="Read as parquet, csv, jsonl, lines, eml or mbox."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 0,
) -> None:
    """Train, evaluate and bundle labeled files; `buckler run` does the same from a recipe."""
    recipe = Recipe(
        task=task,
        output=output,
        data=DataSection(
            train=data,
            test=test or [],
            text_column=text_column,
            label_column=label_column,
            group_column=group_column,
            format=format_name,
        ),
        split=SplitSection(on_leak=on_leak, test_share=0.2),
        student=StudentSection.model_validate(
            {
                "family": student,
                "seed": seed,
                "noise": noise,
                **settings_of(setting or []),
            }
        ),
        evaluation=EvaluationSection(deployed_fpr=fpr, resamples=500),
    )
    print_run(run_with_progress(recipe))


def settings_of(pairs: list[str]) -> dict[str, int | float | str]:
    """Return the settings that --set names.

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
        if name in ("family", "folds", "seed", "noise"):
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
