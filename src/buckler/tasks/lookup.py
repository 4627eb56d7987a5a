"""Tasks by name: built in, of another package, or defined by a user's TOML file."""

from collections.abc import Iterable
from dataclasses import MISSING, fields
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, create_model

from buckler.errors import InputError, SettingsError
from buckler.normalize import FEATURES, PE
from buckler.settings_file import read_settings
from buckler.tasks.task import TASKS, Task


def list_tasks() -> list[Task]:
    """Return every task that is installed, by name."""
    return TASKS.items()


def get_task(name: str | Path) -> Task:
    """Return the task of this name, or the one that this TOML file defines.

    Raises
    ------
    SettingsError
        If there is no such task, or the file is not a sound definition.
    """
    if str(name).endswith(".toml"):
        return _task_from_toml(Path(name))
    try:
        return TASKS.get(str(name))
    except SettingsError as error:
        raise SettingsError(f"{error}; or give a .toml file", field="task") from None


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


def _task_model() -> type[BaseModel]:
    """Return the model of a task file: the attributes of a task, with the features as a table."""
    known: dict[str, tuple[object, object]] = {"features": (_FeaturesTable | None, None)}
    for field in fields(Task):
        if field.name in ("numbers", "categories"):
            continue
        default: object = ... if field.default is MISSING else field.default
        if field.default_factory is not MISSING:
            default = Field(default_factory=field.default_factory)
        known[field.name] = (field.type, default)
    return create_model("TaskFile", __config__=ConfigDict(extra="forbid"), **known)  # type: ignore[call-overload, no-any-return]


def _task_from_toml(path: Path) -> Task:
    settings = read_settings(path, _task_model()).model_dump()
    if (table := settings.pop("features")) is not None:
        settings |= {**table, "medium": "row"}
        settings["normalizer"] = PE if settings["normalizer"] == PE else FEATURES
        settings["max_bytes"] = 4 * (len(table["numbers"]) + len(table["categories"]))
    try:
        return Task(**settings)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}", path=path) from error
