"""What keeps a run within its limits: requests and tokens a minute, and a budget."""

import asyncio
import time
from dataclasses import dataclass, field

from buckler.errors import SettingsError


class Pace:
    """Spreads requests evenly, so that no minute has more than is allowed.

    Parameters
    ----------
    per_minute
        None for no limit.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self._free_at = 0.0

    async def wait(self, amount: float = 1) -> None:
        """Wait until this much may go out."""
        now = time.monotonic()
        start = max(now, self._free_at)
        self._free_at = start + amount * self._seconds_each
        if start > now:
            await asyncio.sleep(start - now)

    def pause(self, seconds: float) -> None:
        """Let nothing out for a while: the server asked for it."""
        self._free_at = max(self._free_at, time.monotonic() + seconds)


@dataclass
class Spending:
    """Events, tokens and dollars."""

    events: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(
            self.events + other.events,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_usd + other.cost_usd,
        )

    def __sub__(self, other: "Spending") -> "Spending":
        return Spending(
            self.events - other.events,
            self.input_tokens - other.input_tokens,
            self.output_tokens - other.output_tokens,
            self.cost_usd - other.cost_usd,
        )

    @property
    def tokens(self) -> int:
        """Both kinds together."""
        return self.input_tokens + self.output_tokens


@dataclass
class Budget:
    """What one run may spend.

    A call is admitted only if what was spent, what is in flight by estimate, and the call itself
    stay within every limit; so the budget is exceeded at most by what the calls in flight cost
    above their estimates.

    Attributes
    ----------
    usd, tokens, events
        Limits; None for none.
    """

    usd: float | None = None
    tokens: int | None = None
    events: int | None = None
    spent: Spending = field(default_factory=Spending)
    in_flight: Spending = field(default_factory=Spending)

    def __post_init__(self) -> None:
        if any(limit is not None and limit < 0 for limit in (self.usd, self.tokens, self.events)):
            raise SettingsError("a budget cannot be negative")

    def admits(self, estimate: Spending) -> bool:
        """Tell whether a call may be made."""
        total = self.spent + self.in_flight + estimate
        return not (
            (self.usd is not None and total.cost_usd > self.usd)
            or (self.tokens is not None and total.tokens > self.tokens)
            or (self.events is not None and total.events > self.events)
        )

    def start(self, estimate: Spending) -> None:
        """Set aside what a call will cost."""
        self.in_flight += estimate

    def settle(self, estimate: Spending, actual: Spending) -> None:
        """Replace the estimate of a finished call by what it cost."""
        self.in_flight -= estimate
        self.spent += actual
