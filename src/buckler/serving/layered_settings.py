"""Settings in layers: a TOML file, the environment before it, the caller's values before both."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource

from buckler.errors import SettingsError
from buckler.files import describe_problem, read_toml

Settings = TypeVar("Settings", bound=BaseSettings)


def read_layered_settings(
    kind: type[Settings], file: Path | None = None, values: Mapping[str, object] | None = None
) -> Settings:
    """Return the settings, checked as a whole.

    Parameters
    ----------
    kind
        Class of the settings; its prefix names the variables of the environment.
    file
        TOML file; None for none. Paths in it are relative to its folder.
    values
        Settings that the caller gives; they win.

    Raises
    ------
    SettingsError
        If the file cannot be read, or the settings make no sense.
    """
    layers: dict[str, object] = {}
    if file is not None:
        fields = kind.model_fields.items()
        paths = {name for name, f in fields if Path in (f.annotation, *get_args(f.annotation))}
        layers = {
            name: _relative_to(file.parent, value) if name in paths else value
            for name, value in read_toml(file).items()
        }
    try:
        return kind.model_validate({**layers, **EnvSettingsSource(kind)(), **(values or {})})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "settings"
        message = f"{file or 'settings'}: {describe_problem(kind, first)}"
        raise SettingsError(message, path=file, field=field) from error


def _relative_to(folder: Path, value: object) -> object:
    if isinstance(value, list):
        return [_relative_to(folder, each) for each in value]
    return folder / value if isinstance(value, str) else value
