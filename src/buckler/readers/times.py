"""Points in time as data spell them, as seconds since 1970."""

import re
from datetime import UTC, datetime

_ZONE = re.compile(r"\s?([+-]\d{2}):?(\d{2})$")  # +0100, which the standard library wants as +01:00
_FRACTION = re.compile(r"(\.\d{6})\d+")
# Micro- and milliseconds, of many logs: the number above which it must be that and what to divide
# by. As seconds, it would be after the year 5000.
UNITS = ((100_000_000_000_000, 1_000_000), (100_000_000_000, 1_000))


def seconds_of(value: object) -> int | None:
    """Return seconds since 1970 of a number or of ISO 8601 text; None where it tells none."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return int(moment.timestamp())
    try:
        number = int(float("" if value is None else value))  # type: ignore[arg-type]
        for above, unit in UNITS:
            if number > above:
                return number // unit
        return number
    except (ValueError, OverflowError, TypeError):
        pass
    text = str(value or "").strip().removesuffix(" UTC")
    try:
        moment = datetime.fromisoformat(_ZONE.sub(r"\1:\2", _FRACTION.sub(r"\1", text)))
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
