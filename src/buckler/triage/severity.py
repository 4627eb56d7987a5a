"""Severities of alerts, from 0 to 1: as tools write them, and as a table gives them by rule."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError
from buckler.readers.csv import CsvReader
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import ColumnSpec

_LEVELS = {
    **dict.fromkeys(("informational", "info", "debug"), 0.0),
    **dict.fromkeys(("low", "notice"), 0.25),
    **dict.fromkeys(("medium", "med", "warning"), 0.5),
    **dict.fromkeys(("high", "error"), 0.75),
    **dict.fromkeys(("critical", "crit", "fatal", "alert", "emergency"), 1.0),
}
# Scales: (number of the mildest, of the worst).
WAZUH, SURICATA, OCSF, RISK = (0.0, 15.0), (4.0, 1.0), (1.0, 5.0), (0.0, 100.0)


def severity_of(value: object, scale: tuple[float, float] = WAZUH) -> float:
    """Return a severity from 0 to 1, of a word or a number on a scale; NaN for anything else."""
    text = "" if value is None else str(value).strip().lower()
    if text in _LEVELS:
        return _LEVELS[text]
    try:
        number = float(text)
    except ValueError:
        return float("nan")
    mildest, worst = scale
    if number != number or (scale == OCSF and number == 0):  # 0 is "unknown" there
        return float("nan")
    return min(1.0, max(0.0, (number - mildest) / (worst - mildest)))


def read_severities(path: Path) -> dict[str, float]:
    """Return the severity of each rule, from a table with the columns ``rule`` and ``level``.

    A name that ends in ``*`` stands for all that begin so.

    Raises
    ------
    InputError
        If the file is no such table.
    """
    quarantine = Quarantine()
    found: dict[str, float] = {}
    for chunk in CsvReader().chunks(path, ColumnSpec(("rule",), {"level": ("level",)}), quarantine):
        if "level" not in chunk.columns:
            raise InputError(f"{path}: no column named level beside the column rule")
        levels = chunk.columns["level"].to_pylist()
        for row, raw, level in zip(chunk.rows, chunk.events.to_pylist(), levels, strict=True):
            number = severity_of(level)
            if number != number:
                raise InputError(
                    f"{path}: row {row}: level {str(level)[:20]!r} is no severity: write "
                    "low, medium, high, critical, or 0 to 15"
                )
            found[raw.decode("utf-8", "replace").strip()] = number
    if not found:
        raise InputError(f"{path}: no rule in it ({quarantine.summary()})")
    return found


def severity_by_rule(rules: Iterable[str], severities: dict[str, float]) -> npt.NDArray[np.float64]:
    """Return the severity of each rule; -1, below all, of those that the table does not name."""
    starts = {name[:-1]: level for name, level in severities.items() if name.endswith("*")}

    def level_of(rule: str) -> float:
        if rule in severities:
            return severities[rule]
        return max((level for start, level in starts.items() if rule.startswith(start)), default=-1)

    known = {rule: level_of(rule) for rule in set(rules)}
    return np.array([known[rule] for rule in rules], np.float64)
