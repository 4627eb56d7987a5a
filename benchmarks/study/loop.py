"""Synthesis in turns: what a grammar, and a writer as good as real events, close of the gaps.

The better writer plays back sites that the LLM annotated, as if it had written them: an upper bound
of what a language model could write. A copy that ignores the student's errors stands beside it.
"""

from collections import Counter

import numpy as np

from benchmarks.study.categories import TASK, World
from benchmarks.study.results import Figures, Loader, Study, Table
from buckler.dataset import Dataset
from buckler.synthesis.filters import FilteredDrafts
from buckler.synthesis.generate import GenerationSettings, generate_examples
from buckler.synthesis.generator import get_generator
from buckler.synthesis.synthesis_report import SynthesisReport
from buckler.synthesis.synthetic_examples import SyntheticExample, as_dataset
from buckler.synthesis.template import read_template
from buckler.synthesis.verifiers import student_verifier
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.synthesis_loop import Gaps, Writer, close_loop, focus_drafts
from buckler.training.synthesis_trial import TrialSettings

VERSION = 1
_LABELS, _TURNS, _EACH = 1000, 3, 500
_PRICE_USD = 0.001
_ROWS = {
    "grammar": "grammar of the template, at the errors",
    "playback, random": "a better writer, played back, at random",
    "playback, gaps": "a better writer, played back, at the errors",
}


def run(study: Study) -> list[Table]:
    """Compute what is not known yet, and return the table."""
    loader = Loader(lambda: World(study.data))
    names = ("before", "after", "turns kept", "examples", "usd")
    rows = study.rows(
        "loop", VERSION, _ROWS, lambda name, seed: _figures(loader.world, name, seed), names
    )
    note = (
        f"Accuracy on `category-test` of `ngram` with {_LABELS:,} labels, before and after at most "
        f"{_TURNS} turns of {_EACH:,} synthetic examples. Errors and trials use the labels alone, "
        f"and a turn without a gain ends the loop. An example costs {_PRICE_USD} dollars."
    )
    head = ("writer", "before", "after", "turns kept", "examples", "cost, USD")
    return [Table("Synthesis in turns", note, head, rows)]


def _figures(world: World, name: str, seed: int) -> Figures:
    real = world.labels(_LABELS, seed)
    write = _grammar(real, seed) if name == "grammar" else _playback(world, name, seed)
    found = close_loop(real, write, _TURNS, settings=TrialSettings(seeds=3), seed=seed)
    spec = StudentSpec("ngram", {}, folds=3, seed=seed)
    before = world.accuracy(world.answer(fit_student(real, spec)))
    after = before
    if found.examples:
        more = as_dataset(found.examples, TASK).with_weights(TrialSettings().weight)
        after = world.accuracy(world.answer(fit_student(real, spec, additional=more)))
    turns = found.report.turns
    return {
        "before": before,
        "after": after,
        "turns kept": sum(turn.kept for turn in turns),
        "examples": len(found.examples),
        "usd": sum(turn.cost_usd for turn in turns),
    }


def _grammar(real: Dataset, seed: int) -> Writer:
    def write(learned: Dataset, gaps: Gaps, turn: int) -> tuple[FilteredDrafts, float]:
        template = read_template(TASK, None)
        generator = get_generator("grammar", template, learned, seed + turn)
        settings = GenerationSettings(_EACH, seed=seed + turn)
        counts = focus_drafts(generator, gaps, settings.n_drafts)
        verifier = student_verifier(real, seed)
        return generate_examples(generator, settings, verifier=verifier, counts=counts), 0.0

    return write


def _playback(world: World, name: str, seed: int) -> Writer:
    reserve = world.annotations
    classes = reserve.targets.argmax(axis=1)
    left = np.random.default_rng(seed).permutation(len(reserve)).tolist()

    def write(_: Dataset, gaps: Gaps, turn: int) -> tuple[FilteredDrafts, float]:
        wanted = Counter(dict.fromkeys(range(len(TASK.classes)), _EACH))
        if name.endswith("gaps"):
            share = np.bincount(gaps.events.labels, minlength=len(TASK.classes)) / len(gaps.events)
            wanted = Counter(dict(enumerate(np.ceil(_EACH * share).astype(int).tolist())))
        chosen: list[int] = []
        for row in list(left):
            if len(chosen) < _EACH and wanted[classes[row]] > 0:
                wanted[classes[row]] -= 1
                chosen.append(row)
                left.remove(row)
        examples = [
            SyntheticExample(
                text=reserve.raw_text(row).decode(),
                label=TASK.class_names[classes[row]],
                combination=f"turn {turn}",
                attributes={},
                generator="playback",
                version="1",
            )
            for row in chosen
        ]
        report = SynthesisReport(drafts=len(examples))
        return FilteredDrafts(examples, report), _PRICE_USD * len(examples)

    return write
