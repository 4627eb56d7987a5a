"""A generator that expands the patterns of a template, without a model and without cost."""

import json
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256

import numpy as np

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.labels import Annotator
from buckler.synthesis.generator import GENERATORS, Draft, Generator, draft_rng
from buckler.synthesis.template import Combination, Template, apply_transforms

VERSION = "1"
_MAX_DEPTH = 8
_MAX_CHARACTERS = 20_000
_SLOT = re.compile(r"\[\[([^\[\]]*)\]\]")
_NUMBER = re.compile(r"(int|hex|letters):(\d{1,6})(?::(\d{1,6}))?")
_HEX_DIGITS, _LETTERS = "0123456789abcdef", "abcdefghijklmnopqrstuvwxyz"


@GENERATORS.add
class Grammar(Generator):
    """Expands patterns at random.

    In a pattern, ``[[name]]`` is a value of a slot, ``[[a|b|]]`` one of the values written out,
    ``[[int:1:99]]`` a number, ``[[hex:8]]`` and ``[[letters:6]]`` random characters. A value of a
    slot may contain the same.
    """

    kind = "grammar"

    def __init__(self, template: Template, real: Dataset, seed: int = 0) -> None:
        super().__init__(template, real, seed)
        if not any(combination.patterns for combination in template.combinations):
            raise SettingsError(
                "no combination of the template has patterns, so a language model must write it",
                field="generator",
            )
        content = json.dumps(
            [[c.name, c.patterns, c.slots] for c in template.combinations] + [template.slots]
        )
        self.annotator = Annotator(
            self.kind, f"{VERSION}-{sha256(content.encode()).hexdigest()[:8]}", "rule"
        )

    def drafts(self, counts: Sequence[tuple[Combination, int]]) -> Iterator[Draft]:
        """Expand patterns of each combination, each draft with its own random generator."""
        for combination, number in counts:
            for k in range(number if combination.patterns else 0):
                rng = draft_rng(self.seed, combination, k)
                pattern = combination.patterns[int(rng.integers(len(combination.patterns)))]
                text = expand(pattern, self.template.slots | combination.slots, rng)
                text = apply_transforms(text, combination, self.template.task, rng)
                yield Draft(text, combination)


def expand(pattern: str, slots: dict[str, list[str]], rng: np.random.Generator) -> str:
    """Fill the slots of a pattern; a slot that occurs twice gets two values.

    Raises
    ------
    SettingsError
        If a slot is unknown, or values contain each other without end.
    """

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if name in slots:
            return str(rng.choice(np.array(slots[name], object)))
        if "|" in name:
            return str(rng.choice(np.array(name.split("|"), object)))
        number = _NUMBER.fullmatch(name)
        if number is None:
            raise SettingsError(f"no slot {name!r} in the template")
        low = int(number[2])
        if number[1] == "int":
            return str(rng.integers(low, max(low, int(number[3] or low)) + 1))
        letters = _HEX_DIGITS if number[1] == "hex" else _LETTERS
        return "".join(letters[i] for i in rng.integers(0, len(letters), min(low, 64)))

    text = pattern
    for _ in range(_MAX_DEPTH):
        text, count = _SLOT.subn(fill, text)
        if not count:
            return text
        if len(text) > _MAX_CHARACTERS:
            raise SettingsError(f"a pattern grows past {_MAX_CHARACTERS:,} characters")
    raise SettingsError(f"slots contain each other more than {_MAX_DEPTH} deep: {pattern[:60]!r}")
