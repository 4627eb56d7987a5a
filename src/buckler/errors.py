"""The tree of errors that Buckler raises on purpose.

    BucklerError
    ├── InputError          data that cannot be read or used
    │   └── TooLargeError       data that would take more memory than its bound
    ├── SettingsError       a recipe, task file or argument that makes no sense
    ├── LeakError           training and test data share what they must not share
    ├── BundleError         a bundle that is damaged, altered, hostile or too new
    ├── OutputError         a result that cannot be written
    │   └── ScanInterruptedError    a scan that was told to stop; what is written is safe
    └── MissingExtraError   a feature whose optional dependencies are not installed

An error says what is wrong, where, and what to do about it. It names no command-line option: the
same message serves callers of the Python API. Where a file, a row or a field is at fault, the
error carries it as an attribute too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path  # imports 4 ms of URL parsing: an endpoint needs none


class BucklerError(Exception):
    """A fault that the caller can put right.

    Attributes
    ----------
    path
        File or folder at fault; None where none is.
    row
        Row of the file, counted from 1; None where the fault is not one row's.
    field
        Column, key or argument at fault; None where there is none.

    Examples
    --------
    >>> error = InputError("a.csv: row 3: no text", path="a.csv", row=3)
    >>> error.row
    3
    """

    def __init__(
        self,
        message: str = "",
        *,
        path: Path | str | None = None,
        row: int | None = None,
        field: str | None = None,
    ) -> None:
        from pathlib import Path

        super().__init__(message)
        self.path = None if path is None else Path(path)
        self.row = row
        self.field = field


class InputError(BucklerError):
    """Data that cannot be read or used."""


class TooLargeError(InputError):
    """Data that would take more memory than its bound."""


class SettingsError(BucklerError):
    """A recipe, task file or argument that makes no sense."""


class LeakError(BucklerError):
    """Training and test data share what they must not share."""


class BundleError(BucklerError):
    """A bundle that is damaged, altered, hostile or too new."""


class OutputError(BucklerError):
    """A result that cannot be written."""


class ScanInterruptedError(OutputError):
    """A scan that was told to stop; what is written is safe, and the same call resumes."""


class MissingExtraError(BucklerError):
    """A feature whose optional dependencies are not installed.

    Attributes
    ----------
    extra
        Name of the extra that brings them.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra: pip install 'buckler[{extra}]'")
        self.extra = extra


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for a name like a known one; empty where there is none."""
    from difflib import get_close_matches

    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name.lower()[:100], by_lower, 1, 0.7)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""
