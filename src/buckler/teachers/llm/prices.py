"""Prices of tokens as data, and the meter that counts by them."""

from importlib.resources import as_file, files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from buckler.files import read_settings
from buckler.teachers.budget import Spending


class Price(BaseModel):
    """USD per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)

    def __mul__(self, factor: float) -> "Price":
        return Price(input=self.input * factor, output=self.output * factor)


FREE = Price(input=0, output=0)


class _Batch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    factor: float = Field(default=0.5, gt=0, le=1)


class PriceTable(BaseModel):
    """Prices of models."""

    model_config = ConfigDict(extra="forbid")

    batch: _Batch = _Batch()
    models: dict[str, Price]

    def find(self, model: str) -> Price | None:
        """Return the price of the longest known name that this model's name starts with."""
        name = model.rsplit("/", 1)[-1]
        matches = [known for known in self.models if name.startswith(known)]
        return self.models[max(matches, key=len)] if matches else None


def price_table(own: Path | None = None) -> PriceTable:
    """Return the prices that come with Buckler; those of the user's file override them.

    Raises
    ------
    SettingsError
        If the file is no table of prices.
    """
    with as_file(files("buckler.teachers.llm") / "prices.toml") as path:
        table = read_settings(path, PriceTable)
    if own is None:
        return table
    users = read_settings(own, PriceTable)
    return PriceTable(batch=users.batch, models={**table.models, **users.models})


class Meter:
    """Counts what requests cost, by the server's count of tokens or else by estimate.

    Parameters
    ----------
    price
        None if it is not known; requests then count as free.
    """

    def __init__(self, price: Price | None) -> None:
        self.price = price
        self._tokens_per_character = 1 / 3  # refined by the server's counts

    def spending(self, n_events: int, input_tokens: int, output_tokens: int) -> Spending:
        """Return tokens with their price."""
        price = self.price or FREE
        usd = (input_tokens * price.input + output_tokens * price.output) / 1e6
        return Spending(n_events, input_tokens, output_tokens, usd)

    def estimate_tokens(self, characters: int) -> int:
        """Return the estimated number of tokens of a request of this length."""
        return int(characters * self._tokens_per_character)

    def calibrate(self, characters: int, tokens: int) -> None:
        """Refine the estimate by the server's count of one request."""
        observed = (tokens + 1) / (characters + 1)
        self._tokens_per_character += 0.2 * (observed - self._tokens_per_character)
