"""From a plan to synthetic examples: orders for the cells, drafts, gates, until there are enough."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.labels import Annotator
from buckler.synthesis.filters import GateSettings, Judge, Passed, pass_gates
from buckler.synthesis.generator import Draft
from buckler.synthesis.plan import Cell, Plan

SURPLUS = 2.0  # drafts for each synthetic example that is wanted
MAX_DRAFTS = 200_000


@dataclass(frozen=True)
class Synthesis:
    """What is wanted.

    Attributes
    ----------
    number
        Synthetic examples.
    surplus
        Drafts for each of them: gates are strict.
    gates
        How strict.
    seed
        Of everything random.
    """

    number: int
    surplus: float = SURPLUS
    gates: GateSettings = field(default_factory=GateSettings)
    seed: int = 0

    @property
    def n_drafts(self) -> int:
        """How many drafts are asked for."""
        return min(MAX_DRAFTS, int(self.number * self.surplus) + 1)


class Source(Protocol):
    """What writes drafts: a generator, or a language model's `Writer`."""

    annotator: Annotator
    real: Dataset

    def drafts(self, orders: Sequence[tuple[Cell, int]]) -> Iterator[Draft]:
        """Write so many drafts for each cell."""


def orders(plan: Plan, n_drafts: int) -> list[tuple[Cell, int]]:
    """Spread drafts over classes evenly, and within a class over its cells."""
    labels = list(dict.fromkeys(cell.label for cell in plan.cells))
    found = []
    for position, label in enumerate(labels):
        cells = [cell for cell in plan.cells if cell.label == label]
        share = n_drafts // len(labels) + (position < n_drafts % len(labels))
        for number, cell in enumerate(cells):
            count = share // len(cells) + (number < share % len(cells))
            if count:
                found.append((cell, count))
    return found


def synthesize(
    plan: Plan,
    generator: Source,
    wanted: Synthesis,
    *,
    judge: Judge | None = None,
    judge_name: str = "nobody",
    also_apart_from: Dataset | None = None,
    on_draft: Callable[[int], None] | None = None,
) -> Passed:
    """Write drafts and let them through the gates.

    Raises
    ------
    InputError
        If the generator wrote nothing at all.
    """
    drafts: list[Draft] = []
    for draft in generator.drafts(orders(plan, wanted.n_drafts)):
        drafts.append(draft)
        if on_draft is not None:
            on_draft(len(drafts))
    if not drafts:
        raise InputError(f"the generator {generator.annotator.name!r} wrote nothing for this plan")
    return pass_gates(
        drafts,
        plan,
        generator.real,
        writer=(generator.annotator.name, generator.annotator.version),
        settings=wanted.gates,
        number=wanted.number,
        judge=judge,
        judge_name=judge_name,
        also_apart_from=also_apart_from,
        seed=wanted.seed,
    )
