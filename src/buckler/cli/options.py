"""Options that several commands share, so that each has one name and one help text."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated

import typer

from buckler.errors import SettingsError
from buckler.operating_point import OperatingPoint

_BUNDLE = "Bundle file, or the name of a ready-made bundle."
BundleArgument = Annotated[Path, typer.Argument(help=_BUNDLE)]
BundleOption = Annotated[Path, typer.Option("--bundle", "-b", help=_BUNDLE)]
TrustedKey = Annotated[
    Path | None,
    typer.Option(
        "--trusted-key",
        envvar="BUCKLER_TRUSTED_KEY",
        help="Public key file (PEM): only what its owner signed is used.",
    ),
]
TaskName = Annotated[
    str, typer.Option("--task", "-t", help="Name of a task, or a .toml file of your own.")
]
TaskFile = Annotated[
    str | None, typer.Option("--task", "-t", help="TOML file of a task of your own.")
]
EventFiles = Annotated[list[Path], typer.Argument(help="Files or folders of events.")]
LabeledFiles = Annotated[list[Path], typer.Argument(help="Labeled files or folders.")]
ReportFolder = Annotated[Path, typer.Option("--output", "-o", help="Folder for the report.")]
Overwrite = Annotated[bool, typer.Option("--force", help="Replace an existing output.")]
Challengers = Annotated[
    list[Path] | None,
    typer.Option("--challenger", help="Bundle to compare with; may be repeated."),
]
TextColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--text-column", "-c", help="Name of the text, such as http.url; may be repeated."
    ),
]
TextColumn = Annotated[str | None, typer.Option(help="Name of the text column.")]
LabelColumn = Annotated[str | None, typer.Option(help="Name of the label column.")]
GroupColumn = Annotated[str | None, typer.Option(help="Name of the group column.")]
SourceColumn = Annotated[str | None, typer.Option(help="Name of the source column.")]
# Its type needs pyarrow, which a command that only scores does not load.
UNKNOWN_LABELS = typer.Option(
    "--unknown-labels", help="Answer to labels that are no class of the task."
)
LabelMap = Annotated[
    str | None, typer.Option(help="Classes of other labels, such as 1=phishing,0=benign.")
]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Format of the files, such as csv or mbox; by default the suffix tells.",
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        help="Fields of the event to repeat, such as host,winlog.record_id; may be repeated.",
    ),
]
KeepAll = Annotated[bool, typer.Option("--keep-all", help="Repeat the whole event.")]
Explain = Annotated[
    int, typer.Option("--explain", help="Number of pieces that say why.", min=0, max=100)
]
Index = Annotated[str, typer.Option(help="Index for --as bulk.")]
OnlyDetections = Annotated[bool, typer.Option("--only-detections", help="Write detections alone.")]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0)]
BudgetUsd = Annotated[float | None, typer.Option(help="Largest cost, in USD.", min=0)]
BudgetTokens = Annotated[int | None, typer.Option(help="Largest number of tokens.", min=0)]
BudgetEvents = Annotated[
    int | None, typer.Option(help="Ask about at most this many events.", min=0)
]
_TEACHER = "Teacher: chat, anthropic, gguf, encoder, rules, sigma or recorded."
TeacherName = Annotated[str, typer.Option(help=_TEACHER)]
OptionalTeacherName = Annotated[str | None, typer.Option(help=_TEACHER)]
TeacherSettings = Annotated[
    Path | None, typer.Option("--settings", help="Settings file of the teacher.")
]
ModelSettings = Annotated[
    Path | None, typer.Option("--settings", help="Settings file of the language model.")
]
Store = Annotated[
    str,
    typer.Option(
        "--store", "-s", help="Label store: a file, or a PostgreSQL URL.", envvar="BUCKLER_LABELS"
    ),
]
PaidStore = Annotated[
    str, typer.Option("--store", "-s", help="Store of paid answers: a file, or a PostgreSQL URL.")
]


def read_label_map(given: str | None) -> dict[str, str]:
    """Return the classes of labels, given as LABEL=CLASS with commas between.

    Raises
    ------
    SettingsError
        If a part is not LABEL=CLASS.
    """
    found = {}
    for part in (given or "").split(",") if given else ():
        label, equals, name = part.partition("=")
        if not equals:
            raise SettingsError(f"{part}: write it as LABEL=CLASS", field="label_map")
        found[label.strip()] = name.strip()
    return found


def split_names(given: list[str] | None) -> tuple[str, ...]:
    """Return the names of an option that takes several, with commas or again and again."""
    names = (name.strip() for each in given or () for name in each.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


# Options of an operating point: name in `OperatingPoint` -> help.
_POINT = {
    "fpr": "Decide at the threshold for this false-positive rate.",
    "recall": "Decide at the threshold that detects this share of positive events.",
    "precision": "Decide at the threshold for this precision; needs --base-rate.",
    "base_rate": "Share of positive events among all.",
    "alerts_per_day": "Decide at the threshold for so many alerts; needs --events-per-day.",
    "events_per_day": "Number of events a day.",
    "threshold": "Decide at this score.",
}


def with_operating_point(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of an operating point in place of one parameter.

    The parameter is named ``operating_point``; it is None where no option is given.
    """
    own = signature(command)

    @wraps(command)
    def _run(**values: object) -> None:
        given = {name: values.pop(name) for name in _POINT}
        asked = {name: value for name, value in given.items() if isinstance(value, float)}
        command(**values, operating_point=OperatingPoint(**asked) if asked else None)

    parameters = [p for p in own.parameters.values() if p.name != "operating_point"]
    for name, text in _POINT.items():
        option = typer.Option(help=text, rich_help_panel="Operating point")
        parameters.append(
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[float | None, option],
            )
        )
    _run.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[p.replace(kind=Parameter.KEYWORD_ONLY) for p in parameters]
    )
    _run.__annotations__ = {p.name: p.annotation for p in parameters}
    return _run
