"""Isolation of events: what one event does wrong is the reason to set it aside, nothing more.

Attackers write the events, and parsers fail on them in ways that nobody foresaw. Readers, scoring,
HTTP, streams and engines work on events through this module, so that every other event gets its
answer. A fault of settings, of a bundle or of the installation is not the event's: it is raised.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from buckler.errors import BucklerError, InputError

_LOG = logging.getLogger("buckler.isolation")
_PANIC = "PanicException"  # of extensions in Rust; no Exception, and no class to import
_Event = TypeVar("_Event")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class EventFault:
    """Reason why an event cannot be used.

    Attributes
    ----------
    reason
        One line. It holds nothing of the event, so that equal faults are counted together.
    error
        Exception behind it.
    """

    reason: str
    error: BaseException = field(repr=False, compare=False)

    def to_error(self, path: Path) -> InputError:
        """Return an error for a file of which this is the fault."""
        if isinstance(self.error, InputError):
            return self.error
        error = InputError(f"{path}: {self.reason}", path=path)
        error.__cause__ = self.error
        return error


def attempt(work: Callable[[_Event], _Result], event: _Event) -> _Result | EventFault:
    """Return the result of the work on one event, or why the event cannot be used.

    Raises
    ------
    BucklerError
        If the fault is not the event's; an InputError is.

    Examples
    --------
    >>> attempt(int, "12"), attempt(int, "twelve")
    (12, EventFault(reason='cannot be read (ValueError)'))
    """
    result = catch(work, event)
    if not isinstance(result, Failure):
        return result
    error = result.error
    if isinstance(error, InputError):
        return EventFault(str(error), error)
    if isinstance(error, BucklerError):
        raise error
    _LOG.debug("an event was set aside", exc_info=error)
    return EventFault(f"cannot be read ({type(error).__name__})", error)


@dataclass(frozen=True)
class Failure:
    """Exception that `catch` caught."""

    error: BaseException


def catch(work: Callable[[_Event], _Result], argument: _Event) -> _Result | Failure:
    """Return the result of foreign code, or what it raises; interrupts are raised."""
    try:
        return work(argument)
    except BaseException as error:  # the net itself: parsers and plug-ins may raise anything
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        return Failure(error)


def isolate(
    work: Callable[[int, int], _Result], n_rows: int
) -> tuple[list[_Result], dict[int, str]]:
    """Work on all rows at once; where that fails, on each row by itself.

    Parameters
    ----------
    work
        Function of the first row and the row behind the last one.
    n_rows
        Number of rows.

    Returns
    -------
    results
        Results in the order of the rows, at least one; that of no rows where all of them fail.
    faults
        Row -> reason, for each row that fails.

    Examples
    --------
    >>> isolate(lambda start, stop: [10 // n for n in (2, 0, 5)[start:stop]], 3)
    ([[5], [2]], {1: 'cannot be read (ZeroDivisionError)'})
    """
    if not n_rows:
        return [work(0, 0)], {}
    results: list[_Result] = []
    faults: dict[int, str] = {}
    whole = attempt(lambda rows: work(0, rows), n_rows)
    if not isinstance(whole, EventFault):
        return [whole], faults
    for row in range(n_rows):
        found = whole if n_rows == 1 else attempt(lambda at: work(at, at + 1), row)
        if isinstance(found, EventFault):
            faults[row] = found.reason
        else:
            results.append(found)
    return results or [work(0, 0)], faults
