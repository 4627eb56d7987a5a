"""Money: spending, the budget that limits it, and the account that a run gives of it."""

from collections import Counter
from dataclasses import dataclass, field

from buckler.errors import SettingsError


@dataclass
class Spending:
    """Events, tokens and dollars."""

    events: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: "Spending") -> "Spending":
        return self._plus(other, 1)

    def __sub__(self, other: "Spending") -> "Spending":
        return self._plus(other, -1)

    def _plus(self, other: "Spending", sign: int) -> "Spending":
        return Spending(
            self.events + sign * other.events,
            self.input_tokens + sign * other.input_tokens,
            self.output_tokens + sign * other.output_tokens,
            self.cost_usd + sign * other.cost_usd,
        )

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens


@dataclass
class Budget:
    """Limits of one run.

    A call is admitted only if the money spent, the estimate of the calls in flight, and the call
    itself stay within every limit. So a run exceeds its budget at most by the cost of the calls in
    flight above their estimates.

    Attributes
    ----------
    usd, tokens, events
        Limits; None for none.

    Examples
    --------
    >>> budget = Budget(events=10)
    >>> budget.admits(Spending(events=11))
    False
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
        """Reserve the estimated cost of a call."""
        self.in_flight += estimate

    def settle(self, estimate: Spending, actual: Spending) -> None:
        """Replace the estimate of a finished call by its cost."""
        self.in_flight -= estimate
        self.spent += actual


@dataclass
class Account:
    """Calls, answers and cost of one run.

    Attributes
    ----------
    calls, retries
        Requests that were answered; requests that failed and were tried again.
    annotations
        Usable answers.
    rejects
        Reason -> number of events without a usable answer for that reason.
    unanswered
        Events whose call failed for good in this run; the next run asks again.
    spent
        Events, tokens and dollars.
    uncertain
        Requests that broke after they were sent; their estimate counts as spent.
    stopped
        Reason why the run ended before all events were asked about; None if it did not.
    """

    calls: int = 0
    retries: int = 0
    annotations: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    spent: Spending = field(default_factory=Spending)
    uncertain: int = 0
    stopped: str | None = None
