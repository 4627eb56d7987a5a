"""Finds tasks: built in, from an entry point of another package, or from a user's TOML file."""

from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from buckler.errors import InputError, SettingsError
from buckler.normalize import FEATURES, PE
from buckler.settings_file import read_settings
from buckler.tasks.alert_triage import ALERT_TRIAGE
from buckler.tasks.command_line import COMMAND_LINE
from buckler.tasks.email import EMAIL
from buckler.tasks.html import HTML
from buckler.tasks.pe import PE_TASK
from buckler.tasks.task import Task
from buckler.tasks.url_category import URL_CATEGORY
from buckler.tasks.url_threat import URL_THREAT

_BUILT_IN = {
    task.name: task
    for task in (ALERT_TRIAGE, COMMAND_LINE, EMAIL, HTML, PE_TASK, URL_CATEGORY, URL_THREAT)
}


def list_tasks() -> list[Task]:
    """Return every task that is installed, by name."""
    found = dict(_BUILT_IN)
    for entry in entry_points(group="buckler.tasks"):
        task = entry.load()
        found.setdefault(task.name, task)
    return [found[name] for name in sorted(found)]


def get_task(name: str | Path) -> Task:
    """Return the task of this name, or the one that this TOML file defines.

    Raises
    ------
    SettingsError
        If there is no such task, or the file is not a sound definition.
    """
    if str(name).endswith(".toml"):
        return _task_from_toml(Path(name))
    for task in list_tasks():
        if task.name == str(name):
            return task
    known = ", ".join(task.name for task in list_tasks())
    raise SettingsError(f"unknown task {str(name)!r}: known are {known}, or give a .toml file")


def get_bundle_task(name: str, classes: Iterable[str]) -> Task:
    """Return the task that a bundle was made for.

    Parameters
    ----------
    name
        Name in the bundle's manifest, or the TOML file of a task of one's own.
    classes
        Classes in the bundle's manifest.

    Raises
    ------
    InputError
        If the task is not installed and no file is given, or its classes are others.
    """
    known, expected = {task.name for task in list_tasks()}, tuple(classes)
    if name not in known and not name.endswith(".toml"):
        raise InputError(f"the task {name!r} is not installed; give its file", field="task")
    task = get_task(name)
    if tuple(task.classes) != expected:
        raise InputError(
            f"the bundle's classes are {', '.join(expected)}, those of the task "
            f"{', '.join(task.classes)}; name the task that the bundle was made for",
            field="task",
        )
    return task


class _FeaturesTable(BaseModel):
    model_config = ConfigDict(extra="forbid")

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


class _TaskFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    description: str = ""
    classes: dict[str, str]
    positive: tuple[str, ...] = ()
    normalizer: str = "text-v1"
    max_bytes: int = 4096
    text_columns: tuple[str, ...] = ("text",)
    label_columns: tuple[str, ...] = ("label",)
    group_columns: tuple[str, ...] = ("group",)
    context: tuple[tuple[str, ...], ...] = ()
    group_by: str = "none"
    aliases: dict[str, str] = {}
    guidance: str = ""
    medium: str = "text"
    features: _FeaturesTable | None = None


def _task_from_toml(path: Path) -> Task:
    parsed = read_settings(path, _TaskFile)
    settings = parsed.model_dump(exclude={"features"})
    if parsed.features is not None:
        rows = parsed.features
        settings |= {"numbers": rows.numbers, "categories": rows.categories, "medium": "row"}
        settings["normalizer"] = PE if parsed.normalizer == PE else FEATURES
        settings["max_bytes"] = 4 * (len(rows.numbers) + len(rows.categories))
    try:
        return Task(**settings)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
