"""Settings in layers: a TOML file, the environment before it, the caller's values before both."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from buckler.errors import SettingsError

Settings = TypeVar("Settings", bound=BaseSettings)


def read_layered_settings(
    kind: type[Settings],
    environment: type[BaseSettings],
    file: Path | None,
    values: Mapping[str, object],
    path_fields: tuple[str, ...] = (),
) -> Settings:
    """Return the settings, checked as a whole.

    Parameters
    ----------
    kind
        Class of the settings.
    environment
        Class with the same fields, all optional: it reads the environment alone.
    file
        TOML file; None for none.
    values
        Settings that the caller gives; they win.
    path_fields
        Fields that are files: in the TOML file they are relative to its folder.

    Raises
    ------
    SettingsError
        If the file cannot be read, or the settings make no sense.
    """
    from_file: dict[str, object] = {}
    if file is not None:
        try:
            from_file = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{file}: cannot be read as TOML: {error}", path=file) from error
        from_file |= {
            name: _relative_to(file.parent, from_file[name])
            for name in path_fields
            if name in from_file
        }
    try:
        from_environment = environment().model_dump(exclude_unset=True)
        return kind.model_validate({**from_file, **from_environment, **values})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "settings"
        message = f"{file or 'settings'}: {field}: {first['msg']}"
        raise SettingsError(message, path=file, field=field) from error


def _relative_to(folder: Path, value: object) -> object:
    if isinstance(value, list):
        return [_relative_to(folder, each) for each in value]
    return folder / value if isinstance(value, str) else value
