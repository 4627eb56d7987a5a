"""Synthesis that closes the loop: the generator writes for what the student gets wrong.

The real events are cut by group. On one part the student's errors are found and shown to the
generator. The other part trains the students and decides in a trial whether the new examples help.
Turns follow one another until one brings no gain (agentic distillation after ElZemity et al. 2026).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from buckler.dataset import Dataset
from buckler.dataset.splits import draw_groups
from buckler.errors import InputError
from buckler.evaluation.calibration import probabilities_of
from buckler.synthesis.filters import FilteredDrafts
from buckler.synthesis.generator import Generator
from buckler.synthesis.synthesis_report import LoopTurn, SynthesisReport
from buckler.synthesis.synthetic_examples import SyntheticExample, as_dataset
from buckler.synthesis.template import Combination
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.synthesis_trial import TrialSettings, run_trial

_ERROR_SHARE = 0.3  # of the real events: errors are found on them
_MIN_GAPS, _MAX_GAPS = 10, 300
_FOLDS = 3
_PROBES = 5  # drafts of a combination that tell how wrong the student is about it
_LEAST_WEIGHT = 0.05


@dataclass(frozen=True)
class Gaps:
    """Errors of a student.

    Attributes
    ----------
    events
        Events that it judges wrongly, or nearly so, with their true labels.
    n_wrong, n_held_out
        Events that it judges wrongly, of those that it was tried on.
    judge
        Function from events to the probability that the student gives their true class.
    """

    events: Dataset
    n_wrong: int
    n_held_out: int
    judge: Callable[[Dataset], "np.ndarray[tuple[int], np.dtype[np.float64]]"]


# Writes and filters examples for gaps; gets the events to learn, the gaps and the turn.
Writer = Callable[[Dataset, Gaps, int], tuple[FilteredDrafts, float]]


@dataclass(frozen=True)
class LoopOutcome:
    """Outcome of `close_loop`.

    Attributes
    ----------
    examples
        Synthetic examples of all turns that helped.
    report
        Figures of the last turn, and a line for each.
    """

    examples: list[SyntheticExample]
    report: SynthesisReport


def close_loop(
    real: Dataset,
    write: Writer,
    n_turns: int,
    family: str = "ngram",
    settings: TrialSettings = TrialSettings(),  # noqa: B008 - frozen
    *,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> LoopOutcome:
    """Find errors, have examples written for them, try these, and repeat until there is no gain.

    Parameters
    ----------
    real
        Events with labels or annotations; test rows have no part in it.
    write
        Function that writes for gaps; returns the filtered drafts and their cost in dollars.
    family
        Student of the trials.
    settings
        Seeds of a trial, and weight of an example.

    Raises
    ------
    InputError
        If there are too few labeled events.
    """
    labeled = real.only_labeled()
    # A salt of its own: the trials cut what is learned by group again.
    shows = draw_groups(labeled, b"errors" + seed.to_bytes(8, "little")) < _ERROR_SHARE
    learned, held_out = (labeled.take(np.flatnonzero(rows)) for rows in (~shows, shows))
    if not len(learned) or not len(held_out):
        raise InputError("too few groups of labeled events to find errors on some of them")
    kept: list[SyntheticExample] = []
    turns: list[LoopTurn] = []
    report = SynthesisReport()
    for turn in range(1, n_turns + 1):
        on_progress(f"turn {turn}: finding errors")
        additional = as_dataset(kept, real.task).with_weights(settings.weight) if kept else None
        spec = StudentSpec(family, {}, _FOLDS, seed=seed)
        gaps = find_gaps(learned, held_out, spec, additional)
        on_progress(f"turn {turn}: writing for {len(gaps.events):,} errors")
        written, cost_usd = write(learned, gaps, turn)
        examples, report = written.synthetic_examples, written.report
        line = LoopTurn(
            errors=gaps.n_wrong,
            held_out=gaps.n_held_out,
            drafts=report.drafts,
            synthetic_examples=len(examples),
            cost_usd=cost_usd,
            summary="no synthetic example passed the filters",
        )
        if examples:
            on_progress(f"turn {turn}: trial")
            trial = run_trial(
                learned, examples, family, settings=replace(settings, before=tuple(kept))
            )
            report = report.model_copy(update={"trial": trial})
            line = line.model_copy(
                update={
                    "gain": trial.gain,
                    "gain_half_width": trial.gain_half_width,
                    "kept": trial.kept,
                    "summary": trial.summary,
                }
            )
        turns.append(line)
        if not line.kept:
            break
        kept += examples
    return LoopOutcome(kept, report.model_copy(update={"turns": turns}))


def find_gaps(
    learned: Dataset, held_out: Dataset, spec: StudentSpec, additional: Dataset | None
) -> Gaps:
    """Return the errors of a student on events that it has not learned; the worst come first."""
    student = fit_student(learned, spec, additional=additional).student

    def judge(events: Dataset) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        p = probabilities_of(student.predict_logits(events.texts))
        return np.asarray(p[np.arange(len(events)), events.labels], np.float64)

    p = probabilities_of(student.predict_logits(held_out.texts))
    n_wrong = int((p.argmax(axis=1) != held_out.labels).sum())
    order = np.argsort(judge(held_out), kind="stable")
    worst = order[: min(max(n_wrong, _MIN_GAPS), _MAX_GAPS)]
    return Gaps(held_out.take(worst), n_wrong, len(held_out), judge)


def focus_drafts(
    generator: Generator, gaps: Gaps, n_drafts: int
) -> Sequence[tuple[Combination, int]]:
    """Spread drafts over the combinations by how wrong the student is about each.

    It serves generators that cost nothing: a few drafts of each combination are judged first.
    """
    combinations = generator.template.combinations
    probes = list(generator.drafts([(one, _PROBES) for one in combinations]))
    if not probes:
        return []
    events = Dataset.from_texts(
        [probe.text.encode() for probe in probes],
        generator.template.task,
        labels=[probe.combination.label for probe in probes],
    )
    wrong = 1 - gaps.judge(events)
    losses: dict[str, list[float]] = {one.name: [] for one in combinations}
    for probe, loss in zip(probes, wrong.tolist(), strict=True):
        losses.setdefault(probe.combination.name, []).append(loss)
    weights = np.array(
        [np.mean(losses[one.name]) if losses[one.name] else 0.0 for one in combinations]
    )
    weights = np.maximum(weights, _LEAST_WEIGHT)
    counts = np.round(n_drafts * weights / weights.sum()).astype(int)
    return [(one, n) for one, n in zip(combinations, counts.tolist(), strict=True) if n]
