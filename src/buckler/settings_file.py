"""Settings files: reads TOML and validates it with a pydantic model."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from buckler.errors import SettingsError
from buckler.files import reading

_Model = TypeVar("_Model", bound=BaseModel)


def read_settings(path: Path, model: type[_Model]) -> _Model:
    """Return the content of a TOML file as a model.

    Raises
    ------
    SettingsError
        If it cannot be read, is not TOML, or fails validation; the message names the keys.
    """
    try:
        with reading(path, SettingsError):
            text = path.read_text(encoding="utf-8")
        return model.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: not valid TOML: {str(error)[:200]}", path=path) from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3]
        )
        raise SettingsError(f"{path}: {problems}", path=path) from error
