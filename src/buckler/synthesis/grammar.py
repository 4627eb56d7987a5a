"""A generator that expands the forms of a plan: no model, no cost, the same texts for a seed."""

import json
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256

import numpy as np

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.labels import Annotator
from buckler.synthesis.generator import Draft, Generator, draft_rng, generator
from buckler.synthesis.plan import Cell, Plan
from buckler.synthesis.transforms import transformed

VERSION = "1"
_MAX_DEPTH = 8
_MAX_CHARACTERS = 20_000
_PLACE = re.compile(r"\[\[([^\[\]]*)\]\]")
_NUMBER = re.compile(r"(int|hex|letters):(\d{1,6})(?::(\d{1,6}))?")
_HEX_DIGITS, _LETTERS = "0123456789abcdef", "abcdefghijklmnopqrstuvwxyz"


@generator
class Grammar(Generator):
    """Expands forms at random.

    In a form, ``[[name]]`` is a slot's value, ``[[a|b|]]`` one of those written out,
    ``[[int:1:99]]`` a number, ``[[hex:8]]`` and ``[[letters:6]]`` characters at random. A slot's
    value may hold the like.
    """

    kind = "grammar"

    def __init__(self, plan: Plan, real: Dataset, seed: int) -> None:
        super().__init__(plan, real, seed)
        if not any(cell.forms for cell in plan.cells):
            raise SettingsError("no cell of the plan has forms: a language model must write it")
        content = json.dumps([[c.name, c.forms, c.slots] for c in plan.cells] + [plan.slots])
        self.annotator = Annotator(
            self.kind, f"{VERSION}-{sha256(content.encode()).hexdigest()[:8]}", "rule"
        )

    def drafts(self, orders: Sequence[tuple[Cell, int]]) -> Iterator[Draft]:
        """Expand forms of each cell, each draft with a random state of its own."""
        for cell, number in orders:
            for k in range(number if cell.forms else 0):
                rng = draft_rng(self.seed, cell, k)
                form = cell.forms[int(rng.integers(len(cell.forms)))]
                text = expand(form, self.plan.slots | cell.slots, rng)
                medium = self.plan.task.medium
                yield Draft(transformed(text, cell.transforms.values(), medium, rng), cell)


def expand(form: str, slots: dict[str, list[str]], rng: np.random.Generator) -> str:
    """Fill the places of a form; a slot that occurs twice gets two values.

    Raises
    ------
    SettingsError
        If a slot is unknown, or values hold each other without end.
    """

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if name in slots:
            return str(rng.choice(np.array(slots[name], object)))
        if "|" in name:
            return str(rng.choice(np.array(name.split("|"), object)))
        number = _NUMBER.fullmatch(name)
        if number is None:
            raise SettingsError(f"no slot {name!r} in the plan")
        low = int(number[2])
        if number[1] == "int":
            return str(rng.integers(low, max(low, int(number[3] or low)) + 1))
        letters = _HEX_DIGITS if number[1] == "hex" else _LETTERS
        return "".join(letters[i] for i in rng.integers(0, len(letters), min(low, 64)))

    text = form
    for _ in range(_MAX_DEPTH):
        text, count = _PLACE.subn(fill, text)
        if not count:
            return text
        if len(text) > _MAX_CHARACTERS:
            raise SettingsError("a form grows past 20,000 characters")
    raise SettingsError(f"slots hold each other more than {_MAX_DEPTH} deep: {form[:60]!r}")
