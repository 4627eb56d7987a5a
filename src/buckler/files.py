"""Files: reading, atomic writing, digests and settings, with one wording for every failure.

Everything that reads or writes a file goes through here, so that a missing file, a full disk and a
refused permission are told the same way everywhere, and no reader ever sees half a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, TypeVar

from buckler.errors import BucklerError, InputError, OutputError, SettingsError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path  # see errors.py

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

_BLOCK_BYTES = 1 << 20
_FORMULA = re.compile(r"[=+\-@\t\r](?!\Z)")
_PLAIN_NUMBER = re.compile(r"[+-]\d+(\.\d+)?(e[+-]?\d+)?\Z", re.ASCII)
_Model = TypeVar("_Model", bound="BaseModel")


@contextmanager
def reading(path: Path | str, error: type[BucklerError] = InputError) -> Iterator[None]:
    """Turn a failure of the operating system into an error that names the file.

    Parameters
    ----------
    path
        File or folder that the block reads.
    error
        Class of the error to raise.

    Raises
    ------
    BucklerError
        If the block raises OSError.

    Examples
    --------
    >>> with reading("no-such-file"):
    ...     open("no-such-file")
    Traceback (most recent call last):
    buckler.errors.InputError: no-such-file: cannot be read (No such file or directory)
    """
    try:
        yield
    except OSError as failure:
        raise error(f"{path}: cannot be read ({_reason(failure)})", path=path) from failure


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn a failure of the operating system into an error that names the file.

    Raises
    ------
    OutputError
        If the block raises OSError.
    """
    try:
        yield
    except OSError as failure:
        raise OutputError(f"{path}: cannot be written ({_reason(failure)})", path=path) from failure


def read_bytes(path: Path, error: type[BucklerError] = InputError) -> bytes:
    """Return the content of a file.

    Raises
    ------
    BucklerError
        If the file cannot be read; of the class that `error` names.
    """
    with reading(path, error):
        return path.read_bytes()


@contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of `path` when the block ends without an error.

    Raises
    ------
    OutputError
        If the file cannot be written; nothing is left behind then.
    """
    import tempfile  # readers never need them
    from pathlib import Path

    temporary: Path | None = None
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            temporary = Path(name)
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
            temporary = None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it.

    Raises
    ------
    OutputError
        If the file cannot be written; nothing is left behind then.
    """
    with atomic_writer(path) as file:
        file.write(data)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    from hashlib import sha256  # loads OpenSSL

    digest = sha256()
    with reading(path), path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object as a dictionary; for ``object_pairs_hook`` of `json`.

    Raises
    ------
    ValueError
        If a key stands twice with two values: programs disagree on which of them counts.
    """
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise ValueError(f"the key {key[:40]!r} stands twice with two values")
        found[key] = value
    return found


def path_text(path: Path | str) -> str:
    r"""Return a path as text that is valid UTF-8; other bytes of a name are escaped.

    Examples
    --------
    >>> print(path_text("caf\udce9.eml"))
    caf\xe9.eml
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def harmless_cell(value: object) -> object:
    """Return a cell that no spreadsheet runs: a text that begins like a formula is quoted.

    A sign alone and a number are no formulas.

    Examples
    --------
    >>> harmless_cell("=1+1"), harmless_cell("-"), harmless_cell("-0.5")
    ("'=1+1", '-', '-0.5')
    """
    if not isinstance(value, str) or not _FORMULA.match(value) or _PLAIN_NUMBER.match(value):
        return value
    return f"'{value}"


def _reason(failure: OSError) -> str:
    return failure.strerror or type(failure).__name__


def read_settings(path: Path, model: type[_Model]) -> _Model:
    """Return the content of a TOML file as a pydantic model.

    Raises
    ------
    SettingsError
        If it cannot be read, is not TOML, or fails validation; the message names the keys.
    """
    return check_settings(read_toml(path), model, path)


def check_settings(
    settings: Mapping[str, object], model: type[_Model], path: Path | None = None
) -> _Model:
    """Return settings, of this file where they are of one, as a pydantic model.

    Raises
    ------
    SettingsError
        If they fail validation; the message names the keys.
    """
    from pydantic import ValidationError  # an endpoint that only loads a bundle does not need it

    try:
        return model.model_validate(settings)
    except ValidationError as error:
        problems = "; ".join(describe_problem(model, each) for each in error.errors()[:3])
        raise SettingsError(f"{path}: {problems}" if path else problems, path=path) from error


def describe_problem(model: type[BaseModel], problem: ErrorDetails) -> str:
    """Return a problem of settings in words; an unknown key with the keys that there are."""
    place = ".".join(map(str, problem["loc"])) or "settings"
    if problem["type"] != "extra_forbidden":
        return f"{place}: {problem['msg'].removeprefix('Value error, ')}"
    *parents, name = problem["loc"]
    known: list[str] = []
    kinds: list[object] = [model]
    for parent in parents:
        found = [getattr(kind, "model_fields", {}).get(parent) for kind in kinds]
        kinds = [arg for each in found if each for arg in _types_in(each.annotation)]
    for kind in kinds:
        known += getattr(kind, "model_fields", {})
    listed = f" there are: {', '.join(known)}" if known else ""
    return f"unknown key {place}{did_you_mean(str(name), known) or ';'}{listed}".removesuffix(";")


def _types_in(annotation: object) -> Iterator[object]:
    from typing import get_args

    yield annotation
    for each in get_args(annotation):
        yield from _types_in(each)


def read_toml(path: Path) -> dict[str, object]:
    """Return the content of a TOML file.

    Raises
    ------
    SettingsError
        If it cannot be read or is not TOML.
    """
    import tomllib  # an endpoint that only loads a bundle does not need it

    try:
        return tomllib.loads(read_bytes(path, SettingsError).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: not valid TOML: {str(error)[:200]}", path=path) from error
