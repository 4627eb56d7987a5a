"""Logs as JSON lines; an entry holds the fields that its call gives, and nothing of any event."""

import json
import logging
import sys
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """One JSON object per entry: time, level, logger, message, and the fields of ``extra``.

    A call gives its fields as ``extra={"fields": {…}}``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class TerminalFormatter(JsonFormatter):
    """One short line per entry for a person; values are JSON, so none of them moves the cursor."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = getattr(record, "fields", {})
        shown = "  ".join(f"{name}={json.dumps(v, default=str)}" for name, v in fields.items())
        exception = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{record.getMessage()}  {shown}{exception}"


def log_as_json() -> None:
    """Send all logs of this process to standard error: JSON lines, short ones on a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TerminalFormatter() if sys.stderr.isatty() else JsonFormatter())
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # steps of its start and end
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
