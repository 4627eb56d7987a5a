"""Settings in layers: a TOML file, the environment before it, the command line before both."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from buckler.errors import SettingsError

Settings = TypeVar("Settings", bound=BaseSettings)


def layered(
    kind: type[Settings],
    environment: type[BaseSettings],
    file: Path | None,
    given: Mapping[str, Any],
    paths: tuple[str, ...] = (),
) -> Settings:
    """Return the settings, checked as a whole.

    Parameters
    ----------
    environment
        The same fields, none of which must be there: what the environment alone says.
    given
        What the command line says.
    paths
        Fields that are files: in the file they are relative to it.

    Raises
    ------
    SettingsError
        If the file cannot be read, or the settings make no sense.
    """
    of_file: dict[str, Any] = {}
    if file is not None:
        try:
            of_file = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{file}: cannot be read as TOML: {error}") from error
        of_file |= {name: _beside(file, of_file[name]) for name in paths if name in of_file}
    try:
        of_environment = environment().model_dump(exclude_unset=True)
        return kind.model_validate({**of_file, **of_environment, **given})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise SettingsError(f"{file or 'settings'}: {where}: {first['msg']}") from error


def _beside(file: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_beside(file, each) for each in value]
    return file.parent / value if isinstance(value, str) else value
