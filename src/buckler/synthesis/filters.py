"""Filters between drafts and synthetic examples; every rejected draft is counted by filter.

Drafts pass the filters in the order of `FILTERS`: format and safety first, then duplicates, then
the answers of models, then an even share for each combination.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from buckler.dataset import Dataset
from buckler.dataset.splits import earlier_near_duplicates, minhash, near_duplicates_of
from buckler.normalize import NormalizedTexts
from buckler.synthesis.defanging import defang, find_unsafe
from buckler.synthesis.diversity import Novelty, distinct
from buckler.synthesis.format_check import find_format_error
from buckler.synthesis.generator import Draft, Generator
from buckler.synthesis.synthesis_report import EstimateReport, SynthesisReport
from buckler.synthesis.synthetic_examples import (
    MAX_SYNTHETIC_EXAMPLE_BYTES,
    SyntheticExample,
    as_dataset,
)
from buckler.synthesis.two_sample import TwoSampleTest, two_sample_test
from buckler.synthesis.verifiers import Verifier
from buckler.tasks import Task

FILTERS = (
    "format",
    "unsafe",
    "duplicate of a real event",
    "duplicate of an earlier one",
    "copy of a seed",
    "verifier",
    "real-vs-synthetic",
    "nothing new",
    "combination is full",
)
_RUN_BYTES = 12


class FilterSettings(BaseModel):
    """Limits of the filters.

    Attributes
    ----------
    copied
        Share of a text, in runs of 12 bytes, from which on it counts as a copy of a seed.
    real_vs_synthetic
        Highest probability of being synthetic that the two-sample classifier may give; 1 keeps all.
    new
        Least share of word 3-grams that no earlier synthetic example has.
    """

    model_config = ConfigDict(extra="forbid")

    copied: float = Field(default=0.8, gt=0, le=1)
    real_vs_synthetic: float = Field(default=1.0, gt=0.5, le=1)
    new: float = Field(default=0.1, ge=0, le=1)


@dataclass(frozen=True)
class FilteredDrafts:
    """Synthetic examples that passed, and the account of all drafts.

    Attributes
    ----------
    synthetic_examples
        In the order of the drafts, at most as many as asked for, even over the combinations.
    report
        Counts and figures.
    """

    synthetic_examples: list[SyntheticExample]
    report: SynthesisReport


class _Candidates:
    """Drafts that passed so far, as examples and events, and the counts of rejected ones."""

    def __init__(self, drafts: list[Draft], generator: Generator) -> None:
        self.rejects: Counter[str] = Counter(dict.fromkeys(FILTERS, 0))
        self.reasons: dict[str, Counter[str]] = {}
        self.task = generator.template.task
        self.drafts = list(self._well_formed(drafts))
        groups, annotator = generator.real.groups, generator.annotator
        self.examples = [
            SyntheticExample(
                text=draft.text,
                label=draft.combination.label,
                combination=draft.combination.name,
                attributes=draft.combination.attributes,
                generator=annotator.name,
                version=annotator.version,
                seed_groups=tuple(
                    sorted({str(groups[i]) for i in draft.seeds if groups[i] is not None})
                ),
            )
            for draft in self.drafts
        ]
        self.events = as_dataset(self.examples, self.task)
        self.rows = np.arange(len(self.examples))  # of all that are well-formed

    def reject(self, name: str, flags: npt.NDArray[np.bool_]) -> None:
        """Drop the flagged candidates."""
        self.rejects[name] += int(flags.sum())
        stay = np.flatnonzero(~flags)
        self.drafts = [self.drafts[i] for i in stay]
        self.examples = [self.examples[i] for i in stay]
        self.events, self.rows = self.events.take(stay), self.rows[stay]

    def _well_formed(self, drafts: list[Draft]) -> Iterable[Draft]:
        """Yield the drafts that parse, defanged."""
        for draft in drafts:
            if len(draft.text.encode("utf-8", "replace")) > MAX_SYNTHETIC_EXAMPLE_BYTES:
                fault: str | None = "too long"
            elif any("\ud800" <= c <= "\udfff" for c in draft.text):
                fault = "not Unicode"
            else:
                fault = find_format_error(draft.text, draft.combination, self.task)
            if fault is not None:
                self.rejects["format"] += 1
                self.reasons.setdefault("format", Counter())[fault] += 1
                continue
            text = defang(draft.text)
            if find_unsafe(text) is not None:
                self.rejects["unsafe"] += 1
                continue
            yield replace(draft, text=text)


def filter_drafts(
    drafts: list[Draft],
    generator: Generator,
    settings: FilterSettings,
    number: int,
    *,
    verifier: Verifier | None = None,
    apart_from: Dataset | None = None,
    seed: int = 0,
) -> FilteredDrafts:
    """Pass drafts through the filters, in the order of `FILTERS`.

    Parameters
    ----------
    drafts
        Drafts of the generator.
    generator
        Their generator, whose real events a student learns beside the synthetic examples.
    settings
        Limits.
    number
        Synthetic examples to return at most.
    verifier
        Model or teacher that must agree with the class.
    apart_from
        Further real events, such as a test, that no synthetic example may repeat.
    seed
        Random seed.
    """
    task, real = generator.template.task, generator.real
    candidates = _Candidates(drafts, generator)
    # Compared defanged: else a real name with another suffix would pass for a new one.
    texts = _normalize([e.text for e in candidates.examples], task)
    real_texts = _normalize_defanged(real)
    digests = minhash(texts)
    repeated = near_duplicates_of(digests, minhash(real_texts)) >= 0
    if apart_from is not None:
        others = minhash(_normalize_defanged(apart_from))
        repeated |= near_duplicates_of(digests, others) >= 0
    candidates.reject("duplicate of a real event", repeated)
    earlier = earlier_near_duplicates(digests[candidates.rows]) >= 0
    candidates.reject("duplicate of an earlier one", earlier)
    copies = _find_copies(
        texts.take(candidates.rows), candidates.drafts, real_texts, settings.copied
    )
    candidates.reject("copy of a seed", copies)
    unverified = _verify(candidates, verifier) if verifier is not None else 0
    tests = _test_classes(candidates, real, seed)
    if settings.real_vs_synthetic < 1:
        synthetic = np.full(len(candidates.events), np.nan)
        for label, test in tests.items():
            synthetic[candidates.events.labels == task.class_names.index(label)] = test.synthetic
        candidates.reject(
            "real-vs-synthetic", np.nan_to_num(synthetic) >= settings.real_vs_synthetic
        )
    novelty = Novelty()
    # On the readable text: the markup of pages and the headers of mails are alike by nature.
    shares = [novelty.share_new(task.readable(e.text)) for e in candidates.examples]
    candidates.reject("nothing new", np.array(shares, np.float64) < settings.new)
    full = np.ones(len(candidates.examples), bool)
    full[_choose_even(candidates.examples, number)] = False
    candidates.reject("combination is full", full)
    if settings.real_vs_synthetic < 1:
        tests = _test_classes(candidates, real, seed)
    kept = candidates.examples
    report = SynthesisReport(
        generator=generator.annotator.name,
        drafts=len(drafts),
        synthetic_examples=len(kept),
        rejects=dict(candidates.rejects),
        reasons={name: dict(counts) for name, counts in candidates.reasons.items()},
        verifier=verifier.name if verifier is not None else "none",
        unverified=unverified,
        combinations=len(generator.template.combinations),
        combinations_covered=len({e.combination for e in kept}),
        distinct_3grams=distinct(task.readable(e.text) for e in kept),
        distinct_3grams_of_real=distinct(_sample_like(kept, real, seed)),
        real_vs_synthetic_auroc={
            name: EstimateReport(**vars(test.auroc)) for name, test in tests.items()
        },
        classes=dict(Counter(e.label for e in kept)),
    )
    return FilteredDrafts(kept, report)


def _verify(candidates: _Candidates, verifier: Verifier) -> int:
    """Reject examples that the verifier does not confirm; return how many it is silent about."""
    events = candidates.events
    if not len(events):
        return 0
    own = verifier.probabilities(events)[np.arange(len(events)), events.labels]
    candidates.reject("verifier", ~(np.nan_to_num(own, nan=-1.0) >= verifier.least_probability))
    return int(np.isnan(own).sum())


def _normalize(texts: list[str], task: Task) -> NormalizedTexts:
    return task.normalize(pa.array([text.encode() for text in texts], pa.large_binary()))


def _normalize_defanged(real: Dataset) -> NormalizedTexts:
    """Return real events in the form of stored synthetic examples; mails and rows unchanged."""
    if real.task.medium in ("message", "row"):
        return real.texts
    raw = real.raw_texts
    return _normalize([defang(text.decode("utf-8", "replace")) for text in raw], real.task)


def _find_copies(
    texts: NormalizedTexts, drafts: list[Draft], real: NormalizedTexts, limit: float
) -> npt.NDArray[np.bool_]:
    """Tell which texts stand for the most part in one of their seeds."""
    texts, real = texts.without_features(), real.without_features()
    flags = np.zeros(len(texts), bool)
    for row, draft in enumerate(drafts):
        if draft.seeds:
            own = _runs(texts[row])
            flags[row] = any(len(own & _runs(real[s])) >= limit * len(own) for s in draft.seeds)
    return flags


def _runs(text: bytes) -> set[bytes]:
    last = max(1, len(text) - _RUN_BYTES + 1)
    return {text[i : i + _RUN_BYTES] for i in range(last)}


def _test_classes(candidates: _Candidates, real: Dataset, seed: int) -> dict[str, TwoSampleTest]:
    """Test the synthetic examples of each class against real events of it."""
    names = np.array([e.combination for e in candidates.examples], str)
    _, blocks = np.unique(names, return_inverse=True)
    found = {}
    for index, label in enumerate(real.task.class_names):
        rows = np.flatnonzero(candidates.events.labels == index)
        if len(rows):
            own = real.take(np.flatnonzero(real.labels == index))
            found[label] = two_sample_test(
                candidates.events.take(rows), own, seed, blocks=blocks[rows]
            )
    return found


def _choose_even(examples: list[SyntheticExample], number: int) -> list[int]:
    """Choose rows so that classes, and combinations within a class, get even shares."""
    turns: Counter[tuple[str, str]] = Counter()
    by_label: dict[str, list[tuple[int, int]]] = {}
    for row, example in enumerate(examples):
        key = (example.label, example.combination)
        by_label.setdefault(example.label, []).append((turns[key], row))
        turns[key] += 1
    chosen: list[int] = []
    # The class with the fewest rows first: the others get the rest of its share.
    for position, rows in enumerate(sorted(by_label.values(), key=len)):
        share = (number - len(chosen)) // (len(by_label) - position)
        chosen += [row for _, row in sorted(rows)[:share]]
    return sorted(chosen)


def _sample_like(examples: list[SyntheticExample], real: Dataset, seed: int) -> list[str]:
    """Return readable texts of as many real events of the same classes."""
    rng = np.random.default_rng(seed)
    texts = []
    for label, count in Counter(e.label for e in examples).items():
        rows = np.flatnonzero(real.labels == real.task.class_names.index(label))
        texts += [
            real.task.readable(real.raw_text(int(row))) for row in rng.permutation(rows)[:count]
        ]
    return texts
