"""Retraining from review: analyst labels train a candidate, which must beat the deployed bundle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from buckler.bundle.archive import read_bundle
from buckler.dataset import Dataset, read_dataset
from buckler.dataset.splits import near_duplicate_clusters
from buckler.errors import InputError, SettingsError
from buckler.labels import open_existing
from buckler.pipeline.recipe import AnalystLabelsSection, Recipe, read_recipe
from buckler.pipeline.run import Listener, Run, run
from buckler.review.queue import random_sample_events
from buckler.runtime import Scorer, load
from buckler.serving.bundle_registry import BundleRegistry, Entry
from buckler.training.promotion import Decision, decide
from buckler.training.targets import read_analyst_labels

MIN_EVENTS = 20  # a smaller set decides nothing


@dataclass(frozen=True)
class RetrainingResult:
    """Result of `learn`.

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


def learn(
    recipe: Recipe | Path | str,
    registry: BundleRegistry,
    labels: AnalystLabelsSection | None = None,
    *,
    listener: Listener | None = None,
    trusted_key: Path | None = None,
) -> RetrainingResult:
    """Train a candidate with labels of analysts, and promote it if it is better.

    The recipe must name frozen test data. The bundles are compared there and on held-out labels:
    random samples can promote a candidate, ranked events can only refuse it.

    Parameters
    ----------
    recipe
        Recipe of the deployed bundle, or its file.
    registry
        Registry with the deployed bundle.
    labels
        Label store, share of the groups to hold out, and weight of a label; by default the
        recipe's.
    listener
        Functions that are called while the run works.
    trusted_key
        Public key that the deployed bundle must be signed for.

    Raises
    ------
    SettingsError
        If the recipe names no test data, or no labels of analysts are named.
    InputError
        If there is no label to learn from.
    """
    if not isinstance(recipe, Recipe):
        recipe = read_recipe(Path(recipe))
    labels = labels or recipe.analyst_labels
    if labels is None:
        raise SettingsError("learning from review needs labels: name analyst_labels in the recipe")
    if not recipe.data.test:
        raise SettingsError("learning from review needs frozen tests: name data.test in the recipe")
    task = recipe.load_task()
    name = Path(labels.store).name
    with open_existing(labels.store) as opened:
        if not len(read_analyst_labels(opened, task)):
            raise InputError(f"{name}: no analyst has labeled an event yet, or no texts are stored")
    # The frozen tests decide on promotion, so nothing like them may be learned.
    split = recipe.split.model_copy(update={"learn_dropped": False})
    update = {"analyst_labels": labels, "output": recipe.output / "learn", "split": split}
    done = run(recipe.model_copy(update=update), listener or Listener())
    if done.analyst_labels is None or not len(done.analyst_labels.training):
        raise InputError(
            f"{name}: no label to learn from: all labeled events are held out or near-duplicates "
            "of a test"
        )
    counted = f"with {len(done.analyst_labels.training):,} labeled events"
    bundle = read_bundle(done.bundle)
    if registry.find_deployed() is None:
        return RetrainingResult(
            done, None, registry.promote(bundle, f"the first bundle, {counted}")
        )
    with registry.open_deployed() as path:
        champion = load(path, trusted_key=trusted_key)
    tests, guards = _sets(recipe, done.analyst_labels.held_out, labels.store)
    found = decide(champion, Scorer(bundle), tests, guards=guards)
    act = registry.promote if found.promote else registry.refuse
    return RetrainingResult(done, found, act(bundle, f"{found.reason}; {counted}"))


def _sets(
    recipe: Recipe, held_out: Dataset, store: str
) -> tuple[list[tuple[str, Dataset]], list[tuple[str, Dataset]]]:
    """Return the sets that can promote, and those that can only refuse."""
    task = held_out.task
    frozen = read_dataset(recipe.data.test, task, recipe.columns, format_name=recipe.data.format)
    tests, guards = [("the frozen tests", frozen)], []
    if len(held_out):
        with open_existing(store) as opened:
            sampled_ids = random_sample_events(opened, task)
        is_sampled = np.array([i in sampled_ids for i in held_out.ids], bool)
        sampled = held_out.take(np.flatnonzero(is_sampled))
        ranked = held_out.take(np.flatnonzero(~is_sampled))
        # Near-duplicates share the label of one of them; that one is enough.
        first = near_duplicate_clusters(ranked.texts) == np.arange(len(ranked))
        ranked = ranked.take(np.flatnonzero(first))
        if len(sampled) >= MIN_EVENTS:
            tests.append(("held-out labels of random samples", sampled))
        if len(ranked) >= MIN_EVENTS:
            guards.append(("held-out labels of ranked events", ranked))
    return tests, guards
