"""Retraining from review: analyst labels train a candidate, which must beat the deployed bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.deduplication import near_duplicate_clusters
from buckler.errors import InputError, SettingsError
from buckler.labels import open_existing
from buckler.pipeline.recipe import Recipe, VerdictsSection
from buckler.pipeline.run import Run
from buckler.review.queue import random_sample_events
from buckler.runtime import load
from buckler.serving.bundle_registry import BundleRegistry, Entry
from buckler.tasks import Task
from buckler.training.analyst_labels import held_out_verdicts, judged_events
from buckler.training.promotion import Decision, decide

MIN_EVENTS = 20  # a smaller set decides nothing


@dataclass(frozen=True)
class RetrainingResult:
    """Result of `learn_from_review`.

    Attributes
    ----------
    run
        The training run.
    decision
        The comparison; None where no bundle was deployed before.
    entry
        Entry of the candidate in the registry.
    """

    run: Run
    decision: Decision | None
    entry: Entry


def learn_from_review(
    recipe: Recipe,
    store: str,
    registry: BundleRegistry,
    train: Callable[[Recipe], Run],
    *,
    hold_out: float = 0.3,
    weight: float = 1.0,
    trusted_key: Path | None = None,
) -> RetrainingResult:
    """Train a candidate with labels of analysts, and promote it if it is better.

    The recipe must name frozen test data. The bundles are compared there and on held-out labels:
    random samples can promote a candidate, ranked events can only refuse it.

    Parameters
    ----------
    train
        Function that runs a recipe.
    hold_out, weight
        See `VerdictsSection`.

    Raises
    ------
    SettingsError
        If the recipe names no test data.
    InputError
        If there is no label to learn from.
    """
    if not recipe.data.test:
        raise SettingsError("learning from review needs frozen tests: name data.test in the recipe")
    task = recipe.load_task()
    with open_existing(store) as opened:
        if judged_events(opened, task) is None:
            raise InputError(
                f"{Path(store).name}: no analyst has labeled an event yet, or no texts are stored"
            )
    with_verdicts = recipe.model_copy(
        update={
            "verdicts": VerdictsSection(store=store, hold_out=hold_out, weight=weight),
            "output": recipe.output / "learn",
        }
    )
    run = train(with_verdicts)
    stage = next(summary for name, _, _, summary in run.stages if name.startswith("verdicts"))
    if not stage.get("learned_from"):
        raise InputError(
            f"{Path(store).name}: no label to learn from: all {stage['judged']:,} labeled events "
            "are held out or near-duplicates of a test"
        )
    counted = f"with {stage['learned_from']:,} labeled events"
    if registry.find_deployed() is None:
        return RetrainingResult(
            run, None, registry.promote(run.bundle, f"the first bundle, {counted}")
        )
    with registry.open_deployed() as path:
        champion = load(path, trusted_key=trusted_key)
    tests, guards = _sets(recipe, run, store, task)
    decision = decide(champion, load(run.bundle), tests, guards=guards)
    act = registry.promote if decision.promote else registry.refuse
    return RetrainingResult(run, decision, act(run.bundle, f"{decision.reason}; {counted}"))


def _sets(
    recipe: Recipe, run: Run, store: str, task: Task
) -> tuple[list[tuple[str, Dataset]], list[tuple[str, Dataset]]]:
    """Return the sets that can promote a candidate, and those that can only refuse it."""
    data = recipe.data
    frozen = read_dataset(
        data.test,
        task,
        ColumnNames(text=data.text_column, label=data.label_column, group=data.group_column),
        format_name=data.format,
    )
    tests, guards = [("the frozen tests", frozen)], []
    held = None if run.verdicts is None else held_out_verdicts(run.verdicts, task)
    if held is not None:
        with open_existing(store) as opened:
            sampled_ids = random_sample_events(opened, task)
        ids = held.ids
        is_sampled = np.array([i in sampled_ids for i in ids], bool)
        sampled = held.take(np.flatnonzero(is_sampled))
        ranked = held.take(np.flatnonzero(~is_sampled))
        # Near-duplicates share the label of one of them; that one is enough.
        first = near_duplicate_clusters(ranked.texts) == np.arange(len(ranked))
        ranked = ranked.take(np.flatnonzero(first))
        if len(sampled) >= MIN_EVENTS:
            tests.append(("held-out labels of random samples", sampled))
        if len(ranked) >= MIN_EVENTS:
            guards.append(("held-out labels of ranked events", ranked))
    return tests, guards
