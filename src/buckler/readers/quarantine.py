"""Rows that cannot be used: set aside with the reason, counted, never silently dropped."""

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from buckler.files import path_text, writing

SAMPLE_BYTES = 200
_REASONS_SHOWN = 5
_MAX_REASONS = 1000  # reasons may quote events


class Reason(StrEnum):
    """Reasons that callers decide by; all others are free text."""

    NO_TEXT = "no text"


@dataclass(frozen=True)
class QuarantineMark:
    """State of a quarantine at one moment.

    Attributes
    ----------
    size_bytes
        Length of its file.
    reasons
        Rows set aside, by reason.
    passed_over
        Rows of other kinds, by kind.
    """

    size_bytes: int
    reasons: dict[str, int]
    passed_over: dict[str, int]


class Quarantine:
    """Counts rows that were set aside and writes them to a JSONL file, made on the first one.

    Parameters
    ----------
    path
        File to write; None only counts.
    resume
        True continues a file that an interrupted run left behind.
    """

    def __init__(self, path: Path | None = None, *, resume: bool = False) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()
        self._file: IO[bytes] | None = None
        self._mode = "ab" if resume else "wb"
        self._size_bytes = path.stat().st_size if resume and path and path.exists() else 0

    @property
    def count(self) -> int:
        """Number of rows that were set aside."""
        return self.reasons.total()

    def add(self, source: Path, row: int, reason: str, sample: str | bytes = b"") -> None:
        """Set one row aside; `sample` is cut to its first bytes."""
        known = reason in self.reasons or len(self.reasons) < _MAX_REASONS
        self.reasons[reason if known else "other reasons"] += 1
        if self.path is None:
            return
        if isinstance(sample, bytes):
            sample = sample[:SAMPLE_BYTES].decode("utf-8", "backslashreplace")
        record = {
            "path": path_text(source),
            "row": row,
            "reason": reason,
            "sample": sample[:SAMPLE_BYTES],
        }
        with writing(self.path):
            if self._file is None:
                self._file = self.path.open(self._mode)
            self._size_bytes += self._file.write(json.dumps(record).encode() + b"\n")

    def pass_over(self, what: str, rows: int = 1) -> None:
        """Count rows that are sound, but not what is asked for."""
        self.passed_over[what] += rows

    def mark(self) -> QuarantineMark:
        """Return the state up to now."""
        return QuarantineMark(self._size_bytes, dict(self.reasons), dict(self.passed_over))

    def flush(self) -> None:
        """Write what is buffered."""
        if self._file is not None and self.path is not None:
            with writing(self.path):
                self._file.flush()

    def summary(self) -> str:
        """Return one line: how many rows were set aside, and why."""
        others = "".join(f"; {n:,} {what} passed over" for what, n in self.passed_over.items())
        if not self.count:
            return f"no rows set aside{others}"
        common = self.reasons.most_common(_REASONS_SHOWN)
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in common)
        more = len(self.reasons) - len(common)
        reasons += f", {more} more reasons" if more else ""
        return f"{self.count:,} rows set aside ({reasons}){others}"

    def close(self) -> None:
        """Close the file; what was counted stays."""
        if self._file is not None and self.path is not None:
            file, self._file = self._file, None
            with writing(self.path):
                file.close()

    def __enter__(self) -> "Quarantine":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
