"""Attacks test events and sees what a bundle still catches; makes attacked copies to learn from."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.attacks import Attack, Scene, get_attacks
from buckler.errors import InputError
from buckler.evaluation.metrics import Ranking, enough_negatives, rate, tpr_at_fpr
from buckler.evaluation.robustness import Bools, Robustness, outcome
from buckler.events import Events
from buckler.learning.cross_fit import Extra
from buckler.learning.recipe import AugmentationSection
from buckler.runtime import Scorer
from buckler.synthesis.specimens import SPECIMEN
from buckler.tasks import Task

MAX_ATTACKED = 5_000
_MAX_BENIGN = 5_000


def attack_scorer(
    scorer: Scorer,
    events: Events,
    task: Task,
    attacks: Sequence[Attack],
    *,
    model: str = "this bundle",
    seed: int = 0,
    max_events: int = MAX_ATTACKED,
    on_attack: Callable[[str], None] | None = None,
) -> Robustness:
    """Measure the share of bad events that a bundle catches, as they are and under each attack.

    The same seed attacks in the same way, so that bundles can be set side by side. Where a task has
    no bad classes, all events are attacked, and a right verdict counts.

    Raises
    ------
    InputError
        If there is no labelled event to attack.
    """
    bad = _attacked_rows(events, task)
    if not len(bad):
        raise InputError("no labelled event of a bad class to attack")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(bad)[:max_events])
    texts = _texts(events, chosen)
    scene = _scene(events, task, rng)
    found = _unattacked(scorer, events.take(np.flatnonzero(events.labels >= 0)), task, model)
    before = _caught(scorer, events.take(chosen), task)
    for number, attack in enumerate(attacks):
        if on_attack is not None:
            on_attack(attack.name)
        own = Scene(np.random.default_rng([seed, number]), scene.benign, scene.features)
        attacked, changed = _attacked(texts, attack, own)
        rows = np.flatnonzero(changed)
        if len(rows):
            part = _changed_events(events, chosen[rows], [attacked[i] for i in rows], task)
            after = _caught(scorer, part, task)
        else:
            after = np.zeros(0, bool)
        found.outcomes.append(outcome(attack.name, attack.description, before[rows], after))
    return found


def _unattacked(scorer: Scorer, events: Events, task: Task, model: str) -> Robustness:
    caught = _caught(scorer, events, task)
    bad = _bad(events, task)
    if not task.bad:
        return Robustness(model, rate(caught), rate(np.zeros(0, bool)))
    target = scorer.manifest.deployed_fpr
    if target is None or not enough_negatives(int((~bad).sum()), target):
        return Robustness(model, rate(caught[bad]), rate(caught[~bad]))
    badness = scorer.score(events.table.column("text")).badness
    matched = tpr_at_fpr(Ranking(badness, bad).roc(), target)
    return Robustness(model, rate(caught[bad]), rate(caught[~bad]), matched, target)


def augment(
    events: Events,
    task: Task,
    changes: Sequence[Attack],
    share: float,
    weight: float,
    seed: int,
    *,
    of_benign: bool = False,
) -> Extra | None:
    """Return changed copies of a share of the bad (or of the other) events, to learn from as well.

    A copy keeps id, group and target of its origin, so that it never helps a fold in which its
    origin is held out. None where nothing could be changed.
    """
    rng = np.random.default_rng(seed)
    rows = _attacked_rows(events, task)
    if of_benign:
        rows = np.setdiff1d(np.flatnonzero(events.labels >= 0), rows)
    rows = np.sort(rng.permutation(rows)[: round(share * len(rows))])
    scene = _scene(events, task, rng)
    texts, origins = [], []
    for row, text in zip(rows.tolist(), _texts(events, rows), strict=True):
        for position in rng.permutation(len(changes)).tolist():  # the first that can be applied
            made = changes[position](text, scene)
            if made != text:
                texts.append(made)
                origins.append(row)
                break
    if not origins:
        return None
    kept = np.array(origins, np.intp)
    copies = _changed_events(events, kept, texts, task, source=SPECIMEN)
    targets = events.targets(len(task.classes))[kept]
    return Extra(copies, targets, np.full(len(kept), weight, np.float32))


def augmentation(
    events: Events, task: Task, section: AugmentationSection, seed: int
) -> list[Extra | None]:
    """Return the changed copies that a recipe asks for."""
    attacks = get_attacks(section.attacks, task.medium)
    variations = get_attacks(section.variations, task.medium)
    share, weight = section.share, section.weight
    return [
        augment(events, task, attacks, share, weight, seed) if attacks else None,
        augment(events, task, variations, section.variation_share, weight, seed, of_benign=True)
        if variations
        else None,
    ]


def _bad(events: Events, task: Task) -> Bools:
    return np.isin(events.labels, [task.class_names.index(name) for name in task.bad])


def _attacked_rows(events: Events, task: Task) -> npt.NDArray[np.intp]:
    return np.flatnonzero(_bad(events, task) if task.bad else events.labels >= 0)


def _texts(events: Events, rows: npt.NDArray[np.intp]) -> list[str]:
    column = events.table.column("text").take(pa.array(rows))
    return [value.decode("utf-8", "surrogateescape") for value in column.to_pylist()]


def _scene(events: Events, task: Task, rng: np.random.Generator) -> Scene:
    rows = np.flatnonzero((events.labels >= 0) & ~_bad(events, task))
    rows = rng.permutation(rows)[:_MAX_BENIGN]
    return Scene(rng, _texts(events, rows), task.features or None)


def _attacked(texts: list[str], attack: Attack, scene: Scene) -> tuple[list[str], Bools]:
    attacked = [attack(text, scene) for text in texts]
    changed = [a != b for a, b in zip(texts, attacked, strict=True)]
    return attacked, np.array(changed, bool)


def _changed_events(
    events: Events,
    rows: npt.NDArray[np.intp],
    texts: list[str],
    task: Task,
    source: str | None = None,
) -> Events:
    """Return these events with other texts."""
    origin = events.take(rows)
    raw = [text.encode("utf-8", "surrogateescape") for text in texts]
    column = pa.array(raw, pa.large_binary())
    table = origin.table.set_column(origin.table.schema.get_field_index("text"), "text", column)
    if source is not None:
        index = table.schema.get_field_index("source")
        table = table.set_column(index, "source", pa.array([source] * len(rows), pa.string()))
    return Events(table, task.canonical.canonical_column(column, task.max_bytes), origin.labels)


def _caught(scorer: Scorer, events: Events, task: Task) -> Bools:
    scores = scorer.score(events.table.column("text"))
    if not task.bad:
        return np.asarray(scores.label_indices == events.labels)
    threshold = scorer.threshold()
    if threshold is None:
        return np.isin(scores.label_indices, list(scorer.bad))
    return np.asarray(scores.badness >= threshold)
