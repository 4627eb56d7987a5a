"""Closes the loop: verdicts train a candidate, which is deployed only if it is surely better."""

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
from buckler.review.lots import drawn_by_lot
from buckler.runtime import load
from buckler.serving.bundle_registry import BundleRegistry, Entry
from buckler.tasks import Task
from buckler.training.analyst_labels import held_out_verdicts, judged_events
from buckler.training.promotion import Decision, decide

LEAST = 20  # events that a set needs to say anything


@dataclass(frozen=True)
class Relearned:
    """What came of it.

    Attributes
    ----------
    run
        The training.
    decision
        The comparison; None where nothing was deployed yet.
    entry
        What the registry says of it.
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
) -> Relearned:
    """Train a candidate with the verdicts of analysts, and promote it if it is better.

    Its test data must be the recipe's own, and frozen. It is compared there, and on held-out
    verdicts: of events drawn by lot, and (to refuse only) of those chosen for their value.

    Parameters
    ----------
    train
        Runs a recipe.
    hold_out, weight
        See `VerdictsSection`.

    Raises
    ------
    SettingsError
        If the recipe names no test data.
    InputError
        If there is no verdict to learn from.
    """
    if not recipe.data.test:
        raise SettingsError("learning from review needs frozen tests: name data.test in the recipe")
    task = recipe.load_task()
    with open_existing(store) as opened:
        if judged_events(opened, task) is None:
            raise InputError(
                f"{Path(store).name}: nobody has judged anything yet, or no texts are kept"
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
            f"{Path(store).name}: no verdict to learn from: of {stage['judged']:,} judged events, "
            "all are held out or too like a test"
        )
    counted = f"with {stage['learned_from']:,} judged events"
    if registry.find_deployed() is None:
        return Relearned(run, None, registry.promote(run.bundle, f"the first, {counted}"))
    with registry.open_deployed() as path:
        champion = load(path, trusted_key=trusted_key)
    tests, guards = _sets(recipe, run, store, task)
    found = decide(champion, load(run.bundle), tests, guards=guards)
    act = registry.promote if found.promote else registry.refuse
    return Relearned(run, found, act(run.bundle, f"{found.reason}; {counted}"))


def _sets(
    recipe: Recipe, run: Run, store: str, task: Task
) -> tuple[list[tuple[str, Dataset]], list[tuple[str, Dataset]]]:
    """Return the sets that can promote, and those that can only refuse."""
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
            drawn_ids = drawn_by_lot(opened, task)
        lot = np.array([i in drawn_ids for i in held.ids], bool)
        drawn, chosen = held.take(np.flatnonzero(lot)), held.take(np.flatnonzero(~lot))
        # Near-duplicates got the word that was said of one of them; that one is enough.
        first = near_duplicate_clusters(chosen.texts) == np.arange(len(chosen))
        chosen = chosen.take(np.flatnonzero(first))
        if len(drawn) >= LEAST:
            tests.append(("held-out verdicts, drawn by lot", drawn))
        if len(chosen) >= LEAST:
            guards.append(("held-out verdicts, chosen for their value", chosen))
    return tests, guards
