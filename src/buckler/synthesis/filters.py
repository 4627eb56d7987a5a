"""The gates between a draft and a synthetic example; what fails is counted by gate and reason."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from buckler.dataset import Dataset
from buckler.dataset.deduplication import earlier_near_duplicates, minhash, near_duplicates_of
from buckler.evaluation.report import without_nan
from buckler.normalize import NormalizedTexts
from buckler.synthesis.diversity import Novelty, distinct
from buckler.synthesis.forms import ill_formed
from buckler.synthesis.generator import Draft
from buckler.synthesis.plan import Plan
from buckler.synthesis.safeguards import made_safe, unsafe_part
from buckler.synthesis.synthetic_examples import (
    MAX_SYNTHETIC_EXAMPLE_BYTES,
    SyntheticExample,
    as_events,
)
from buckler.synthesis.two_sample import TwoSample, two_sample_test
from buckler.tasks import Task

GATES = (
    "form",
    "harmless",
    "repeats a real event",
    "repeats an earlier one",
    "memorized",
    "judge",
    "told apart",
    "nothing new",
    "cell is full",
)
Judge = Callable[[Dataset], npt.NDArray[np.float64]]  # probabilities [n, classes]; NaN: silent
_RUN_BYTES = 12
_MAX_EXAMPLES = 3


class GateSettings(BaseModel):
    """How strict the gates are.

    Attributes
    ----------
    memorized
        A synthetic example of which so large a share stands, in runs of 12 bytes, in one of its seeds is a
        copy.
    judge
        The least probability that a judge must give to the synthetic example's class.
    told_apart
        A synthetic example that the two-sample classifier knows for one with at least this probability goes;
        1 keeps all.
    new
        The least share of its word 3-grams that no synthetic example before it had.
    """

    model_config = ConfigDict(extra="forbid")

    memorized: float = Field(default=0.8, gt=0, le=1)
    judge: float = Field(default=0.5, ge=0, le=1)
    real_vs_synthetic: float = Field(default=1.0, gt=0.5, le=1)
    new: float = Field(default=0.1, ge=0, le=1)


@dataclass(frozen=True)
class Passed:
    """What came through.

    Attributes
    ----------
    synthetic examples
        In the order of the drafts, at most as many as were wanted, even over the cells.
    rejects
        Gate -> how many it stopped.
    reasons
        Gate -> reason -> how many, where a gate has several.
    report
        All counts and measures, as JSON types.
    """

    synthetic_examples: list[SyntheticExample]
    rejects: Counter[str]
    reasons: dict[str, Counter[str]]
    report: Any


class _Sieve:
    """Drafts that are still in, as texts and rows, and the count of those that are out."""

    def __init__(self, drafts: list[Draft]) -> None:
        self.drafts = drafts
        self.rejects: Counter[str] = Counter(dict.fromkeys(GATES, 0))
        self.reasons: dict[str, Counter[str]] = {}

    def reject(self, gate: str, out: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """Drop what is marked; return the rows that stay."""
        self.rejects[gate] += int(out.sum())
        stay = np.flatnonzero(~out)
        self.drafts = [self.drafts[i] for i in stay]
        return stay


def pass_gates(
    drafts: list[Draft],
    plan: Plan,
    real: Dataset,
    *,
    writer: tuple[str, str],
    settings: GateSettings,
    number: int,
    judge: Judge | None = None,
    judge_name: str = "nobody",
    also_apart_from: Dataset | None = None,
    seed: int = 0,
) -> Passed:
    """Let drafts through the gates, in the order of `GATES`.

    Parameters
    ----------
    real
        Labeled events that the seeds came from and that a student will learn beside them.
    writer
        Name and version.
    number
        How many are wanted.
    also_apart_from
        Further real events, such as a test, that no synthetic example may repeat.
    """
    n_drafts = len(drafts)
    sieve = _Sieve(drafts)
    sieve.drafts = _formed(sieve, plan)
    group_names = real.groups
    synthetic_examples = [
        SyntheticExample(
            d.text,
            d.cell.label,
            d.cell.name,
            d.cell.attributes,
            *writer,
            tuple(sorted({str(group_names[i]) for i in d.seeds if group_names[i] is not None})),
        )
        for d in sieve.drafts
    ]
    events = as_events(synthetic_examples, plan.task)
    alive = np.arange(len(synthetic_examples))

    def sift(gate: str, out: npt.NDArray[np.bool_]) -> None:
        nonlocal events, alive
        stay = sieve.reject(gate, out)
        events, alive = events.take(stay), alive[stay]

    # Compared in the safe form: else a real name with another suffix would pass for a new one.
    safe = _normalized([s.text for s in synthetic_examples], plan.task)
    safe_real = _safe_form(real)
    digests = minhash(safe)
    repeats = near_duplicates_of(digests, minhash(safe_real)) >= 0
    if also_apart_from is not None:
        others = minhash(_safe_form(also_apart_from))
        repeats |= near_duplicates_of(digests, others) >= 0
    sift("repeats a real event", repeats)
    sift("repeats an earlier one", earlier_near_duplicates(digests[alive]) >= 0)
    sift("memorized", _memorized(safe.take(alive), sieve.drafts, safe_real, settings.memorized))
    silent = 0
    if judge is not None and len(events):
        said = judge(events)[np.arange(len(events)), events.labels]
        silent = int(np.isnan(said).sum())
        sift("judge", ~(np.nan_to_num(said, nan=-1.0) >= settings.judge))
    tests = _real_vs_synthetic(events, [d.cell.name for d in sieve.drafts], real, plan, seed)
    synthetic = np.full(len(events), np.nan)
    for label, test in tests.items():
        synthetic[events.labels == plan.task.class_names.index(label)] = test.synthetic
    if settings.real_vs_synthetic < 1:
        sift("told apart", np.nan_to_num(synthetic) >= settings.real_vs_synthetic)
    novelty = Novelty()
    # Of what is judged: the markup of pages and the headers of mails are alike by nature.
    read = plan.task.readable
    old = [novelty.share_new(read(d.text)) < settings.new for d in sieve.drafts]
    sift("nothing new", np.array(old, bool))
    full = np.ones(len(events), bool)
    full[_even([(d.cell.label, d.cell.name) for d in sieve.drafts], number)] = False
    sift("cell is full", full)
    kept = [synthetic_examples[i] for i in alive]
    final = tests
    if settings.real_vs_synthetic < 1:
        final = _real_vs_synthetic(events, [s.cell for s in kept], real, plan, seed)
    report = {
        "drafts": n_drafts,
        "synthetic_examples": len(kept),
        "rejects": dict(sieve.rejects),
        "reasons": {gate: dict(counts) for gate, counts in sieve.reasons.items()},
        "judge": judge_name,
        "judge_silent": silent,
        "cells": len(plan.cells),
        "cells_covered": len({s.cell for s in kept}),
        "distinct_3grams": distinct(read(s.text) for s in kept),
        "distinct_3grams_of_real": _distinct_of_real(real, plan, kept, seed),
        "two_sample_auroc": {label: asdict(test.auroc) for label, test in final.items()},
        "classes": dict(Counter(s.label for s in kept)),
    }
    return Passed(kept, sieve.rejects, sieve.reasons, without_nan(report))


def _formed(sieve: _Sieve, plan: Plan) -> list[Draft]:
    """Return the drafts that parse, made safe."""
    formed = []
    for draft in sieve.drafts:
        if len(draft.text.encode("utf-8", "replace")) > MAX_SYNTHETIC_EXAMPLE_BYTES:
            wrong: str | None = "too long"
        elif any("\ud800" <= c <= "\udfff" for c in draft.text):
            wrong = "not Unicode"
        else:
            wrong = ill_formed(draft.text, draft.cell, plan.task)
        if wrong is not None:
            sieve.rejects["form"] += 1
            sieve.reasons.setdefault("form", Counter())[wrong] += 1
            continue
        text = made_safe(draft.text)
        unsafe = unsafe_part(text)
        if unsafe is not None:
            sieve.rejects["harmless"] += 1
            continue
        formed.append(replace(draft, text=text))
    return formed


def _normalized(texts: list[str], task: Task) -> NormalizedTexts:
    column = pa.array([text.encode() for text in texts], pa.large_binary())
    return task.text_normalizer.normalize_column(column, task.max_bytes)


def _safe_form(real: Dataset) -> NormalizedTexts:
    """Return normalized texts of real events as synthetic examples are stored; mails and rows as they are."""
    if real.task.medium in ("message", "row"):
        return real.texts
    raw = real.raw_texts.to_pylist()
    return _normalized([made_safe(text.decode("utf-8", "replace")) for text in raw], real.task)


def _memorized(
    texts: NormalizedTexts, drafts: list[Draft], real: NormalizedTexts, limit: float
) -> npt.NDArray[np.bool_]:
    """Tell which texts stand for the most part in one of their seeds."""
    out = np.zeros(len(texts), bool)
    for row, draft in enumerate(drafts):
        if draft.seeds:
            own = _runs(texts[row])
            out[row] = any(len(own & _runs(real[s])) >= limit * len(own) for s in draft.seeds)
    return out


def _runs(text: bytes) -> set[bytes]:
    last = max(1, len(text) - _RUN_BYTES + 1)
    return {text[i : i + _RUN_BYTES] for i in range(last)}


def _real_vs_synthetic(
    events: Dataset, cells: list[str], real: Dataset, plan: Plan, seed: int
) -> dict[str, TwoSample]:
    """Test the synthetic examples of each class against real events of it."""
    _, numbers = np.unique(np.array(cells, str), return_inverse=True)
    found = {}
    for index, label in enumerate(plan.task.class_names):
        rows = np.flatnonzero(events.labels == index)
        if len(rows):
            of_class = real.take(np.flatnonzero(real.labels == index))
            found[label] = two_sample_test(events.take(rows), numbers[rows], of_class, seed)
    return found


def _even(synthetic_examples: list[tuple[str, str]], number: int) -> list[int]:
    """Return rows so that classes, and in a class cells, get as even shares as there are drafts
    for.

    `synthetic_examples` are (class, cell) pairs.
    """
    turn: Counter[tuple[str, str]] = Counter()
    by_label: dict[str, list[tuple[int, int]]] = {}
    for row, key in enumerate(synthetic_examples):
        by_label.setdefault(key[0], []).append((turn[key], row))
        turn[key] += 1
    chosen: list[int] = []
    # The class with the fewest first: what it leaves over is for the others.
    for position, turns in enumerate(sorted(by_label.values(), key=len)):
        share = (number - len(chosen)) // (len(by_label) - position)
        chosen += [row for _, row in sorted(turns)[:share]]
    return sorted(chosen)


def _distinct_of_real(real: Dataset, plan: Plan, kept: list[SyntheticExample], seed: int) -> float:
    """Return the same measure of as many real events of the same classes, to compare with."""
    rng = np.random.default_rng(seed)
    wanted = Counter(s.label for s in kept)
    texts = []
    column = real.raw_texts
    for label, count in wanted.items():
        rows = np.flatnonzero(real.labels == plan.task.class_names.index(label))
        texts += [
            plan.task.readable(column[int(row)].as_py()) for row in rng.permutation(rows)[:count]
        ]
    return distinct(texts)
