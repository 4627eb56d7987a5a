"""What tokens cost: a table as data, which the user's own goes before."""

from importlib.resources import as_file, files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from buckler.settings_file import read_settings


class Price(BaseModel):
    """USD per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Return what so many tokens cost."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6

    def scaled(self, factor: float) -> "Price":
        """Return this price times a factor."""
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
        """Return the price of the longest name that this model's name starts with."""
        name = model.rsplit("/", 1)[-1]
        fitting = [known for known in self.models if name.startswith(known)]
        return self.models[max(fitting, key=len)] if fitting else None


def price_table(own: Path | None = None) -> PriceTable:
    """Return the prices that come with Buckler, with those of the user's file before them.

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
