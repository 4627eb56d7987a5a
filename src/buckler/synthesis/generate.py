"""From a template to synthetic examples: drafts for each combination, then the filters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.synthesis.filters import FilteredDrafts, FilterSettings, filter_drafts
from buckler.synthesis.generator import Draft, Generator
from buckler.synthesis.template import Combination, Template
from buckler.synthesis.verifiers import Verifier

SURPLUS = 2.0
MAX_DRAFTS = 200_000


@dataclass(frozen=True)
class GenerationSettings:
    """Amount and strictness of a generation.

    Attributes
    ----------
    number
        Synthetic examples to return at most.
    surplus
        Drafts for each of them, since filters are strict.
    filters
        Limits of the filters.
    seed
        Random seed.
    """

    number: int
    surplus: float = SURPLUS
    filters: FilterSettings = field(default_factory=FilterSettings)
    seed: int = 0

    @property
    def n_drafts(self) -> int:
        """Number of drafts to write."""
        return min(MAX_DRAFTS, int(self.number * self.surplus) + 1)


def generate_examples(
    generator: Generator,
    settings: GenerationSettings,
    *,
    verifier: Verifier | None = None,
    apart_from: Dataset | None = None,
    on_draft: Callable[[int], None] | None = None,
    counts: Sequence[tuple[Combination, int]] | None = None,
) -> FilteredDrafts:
    """Write drafts and filter them.

    Parameters
    ----------
    generator
        Generator with its template and real events.
    settings
        Amount and strictness.
    verifier
        Model or teacher that must agree with the class of an example.
    apart_from
        Further real events, such as a test, that no synthetic example may repeat.
    on_draft
        Called with the number of drafts so far.
    counts
        Drafts for each combination; by default the same number for each.

    Raises
    ------
    InputError
        If the generator writes nothing at all.
    """
    drafts: list[Draft] = []
    counts = counts or spread_drafts(generator.template, settings.n_drafts)
    for draft in generator.drafts(counts):
        drafts.append(draft)
        if on_draft is not None:
            on_draft(len(drafts))
    if not drafts:
        name = generator.annotator.name
        raise InputError(f"the generator {name!r} wrote nothing for this template")
    return filter_drafts(
        drafts,
        generator,
        settings.filters,
        settings.number,
        verifier=verifier,
        apart_from=apart_from,
        seed=settings.seed,
    )


def spread_drafts(template: Template, n_drafts: int) -> list[tuple[Combination, int]]:
    """Spread drafts over classes evenly, and within a class over its combinations."""
    labels = list(dict.fromkeys(c.label for c in template.combinations))
    found = []
    for position, label in enumerate(labels):
        own = [c for c in template.combinations if c.label == label]
        share = n_drafts // len(labels) + (position < n_drafts % len(labels))
        for number, combination in enumerate(own):
            count = share // len(own) + (number < share % len(own))
            if count:
                found.append((combination, count))
    return found
