"""Rows that cannot be used: set aside with the reason, counted, never silently dropped."""

import json
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO

from buckler.errors import OutputError

SAMPLE_BYTES = 200
_REASONS_SHOWN = 5


class Quarantine:
    """Counts rows that were set aside and writes them to a JSONL file, made on the first one.

    Parameters
    ----------
    path
        Where to write; None only counts.
    resume
        Continue a file that an interrupted run left behind instead of starting a new one.
    """

    def __init__(self, path: Path | None = None, *, resume: bool = False) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()
        self._file: IO[str] | None = None
        self._mode = "a" if resume else "w"

    @property
    def count(self) -> int:
        """How many rows were set aside."""
        return self.reasons.total()

    def add(self, source: Path, row: int, reason: str, sample: str | bytes = b"") -> None:
        """Set one row aside; `sample` is cut to its first bytes."""
        self.reasons[reason] += 1
        if self.path is None:
            return
        if isinstance(sample, bytes):
            sample = sample[:SAMPLE_BYTES].decode("utf-8", "backslashreplace")
        record = {
            "path": str(source),
            "row": row,
            "reason": reason,
            "sample": sample[:SAMPLE_BYTES],
        }
        try:
            if self._file is None:
                self._file = self.path.open(self._mode, encoding="utf-8", errors="backslashreplace")
            self._file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror})") from error

    def pass_over(self, what: str) -> None:
        """Count a row that is sound, but not what is asked for."""
        self.passed_over[what] += 1

    def flush(self) -> int:
        """Write what is buffered; return the size of the file in bytes."""
        if self._file is None:
            return self.path.stat().st_size if self.path and self.path.exists() else 0
        try:
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror})") from error
        return self._file.tell()

    def summary(self) -> str:
        """One line: how many rows, why."""
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
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise OutputError(f"{self.path}: cannot be written ({error.strerror})") from error
            finally:
                self._file = None

    def __enter__(self) -> "Quarantine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
