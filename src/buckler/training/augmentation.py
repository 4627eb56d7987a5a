"""Attacks test events and sees what a bundle still catches; makes attacked copies to learn from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.attacks import Attack, Attacker
from buckler.dataset import Dataset
from buckler.dataset.dataset import MADE_FROM
from buckler.errors import InputError
from buckler.evaluation.intervals import UNKNOWN_RATE, rate
from buckler.evaluation.metrics import Ranking, enough_negatives, tpr_at_fpr
from buckler.evaluation.robustness import Bools, Robustness, compare_attacked
from buckler.runtime import Scorer, Verdicts
from buckler.synthesis.synthetic_examples import SYNTHETIC_EXAMPLE
from buckler.tasks import Task

MAX_ATTACKED = 5_000
_MAX_BENIGN = 5_000


def attack_scorers(
    scorers: Mapping[str, Scorer],
    events: Dataset,
    attacks: Sequence[Attack],
    *,
    seed: int = 0,
    max_events: int = MAX_ATTACKED,
    on_attack: Callable[[str], None] | None = None,
) -> list[Robustness]:
    """Measure the share of positive events that bundles catch, as they are and under each attack.

    Each attack is made once, so that all bundles (by the name that tables call them) judge the
    same texts. Where a task has no positive classes, all events are attacked, and a right verdict
    counts.

    Raises
    ------
    InputError
        If there is no labeled event to attack.
    """
    task = events.task
    events = events.only_labeled()
    rng = np.random.default_rng(seed)
    chosen = _chosen(events, rng, max_events)
    texts, labels = _texts(events, chosen), events.labels[chosen]
    groups = events.group_codes()[chosen]
    attacker, _ = _attacker(events, rng)
    found, before = [], []
    for name, scorer in scorers.items():
        verdicts = scorer.score(events.raw)
        detected = _find_detected(verdicts, events.labels, task)
        found.append(_measure_unattacked(name, scorer, verdicts, detected, events))
        before.append(detected[chosen])
    for number, attack in enumerate(attacks):
        if on_attack is not None:
            on_attack(attack.name)
        own = Attacker(np.random.default_rng([seed, number]), attacker.benign, attacker.features)
        attacked = [attack(text, own) for text in texts]
        rows = np.flatnonzero([a != b for a, b in zip(texts, attacked, strict=True)])
        column = _copies(events, chosen[rows], [attacked[i] for i in rows]).raw
        for model, scorer, was in zip(found, scorers.values(), before, strict=True):
            after = _find_detected(scorer.score(column), labels[rows], task)
            model.outcomes.append(compare_attacked(attack, was[rows], after, groups[rows]))
    return found


def attacked_texts(events: Dataset, *, seed: int = 0, max_events: int = MAX_ATTACKED) -> list[str]:
    """Return the texts that `attack_scorers` will attack, for an attack that must be prepared.

    Raises
    ------
    InputError
        If there is no labeled event to attack.
    """
    events = events.only_labeled()
    return _texts(events, _chosen(events, np.random.default_rng(seed), max_events))


def _chosen(events: Dataset, rng: np.random.Generator, max_events: int) -> npt.NDArray[np.intp]:
    positive = _attacked_rows(events)
    if not len(positive):
        raise InputError("no labeled event of a positive class to attack")
    return np.sort(rng.permutation(positive)[:max_events])


def _measure_unattacked(
    name: str, scorer: Scorer, verdicts: Verdicts, detected: Bools, events: Dataset
) -> Robustness:
    groups, positive = events.group_codes(), events.is_positive
    if not events.task.positive:
        return Robustness(name, rate(detected, groups), UNKNOWN_RATE)
    share, false_positives = (rate(detected[rows], groups[rows]) for rows in (positive, ~positive))
    found = Robustness(name, share, false_positives)
    target = scorer.manifest.deployed_fpr
    if target is None or not enough_negatives(int((~positive).sum()), target):
        return found
    matched = tpr_at_fpr(Ranking(verdicts.scores, positive).roc(), target)
    return replace(found, matched=matched, matched_fpr=target)


def augment(
    events: Dataset,
    changes: Sequence[Attack],
    share: float,
    seed: int,
    *,
    for_benign: bool = False,
    copies: int = 1,
) -> Dataset | None:
    """Return changed copies of a share of the labeled events, or of those that are not positive.

    Events of all classes are changed alike, so that no change tells the class. Few events show few
    of the ways in which an attack can change them, so each event of the rarest class has so many
    `copies`; an event of a class n times as frequent has the nth part, and at least one. The copies
    of an event share the weight of one.

    A copy keeps id, group and target of its origin and names the benign events whose text it
    borrows, so it never helps a fold in which one of them is held out. None where nothing could be
    changed.
    """
    if not changes:
        return None
    rng = np.random.default_rng(seed)
    wanted = (events.labels >= 0) & ~(events.is_positive & for_benign)
    rows = np.flatnonzero(wanted)
    rows = np.sort(rng.permutation(rows)[: round(share * len(rows))])
    numbers = _copies_of_class(events.labels[rows], copies)
    rows = np.repeat(rows, numbers[events.labels[rows]])
    attacker, benign = _attacker(events, rng)
    names = [
        g if g is not None else i.hex() for g, i in zip(events.groups, events.ids, strict=True)
    ]
    texts, origins, parents = [], [], []
    for row, text in zip(rows.tolist(), _texts(events, rows), strict=True):
        for position in rng.permutation(len(changes)).tolist():  # the first that can be applied
            attacker.drawn.clear()
            made = changes[position](text, attacker)
            if made != text:
                texts.append(made)
                origins.append(row)
                parents.append(sorted({names[benign[i]] for i in attacker.drawn}))
                break
    if not origins:
        return None
    made_of = np.array(origins, np.intp)
    weights = (1 / np.bincount(made_of)[made_of]).astype(np.float32)
    found = _copies(events, made_of, texts).with_weights(weights)
    return found.with_column(MADE_FROM, pa.array(parents, pa.list_(pa.string())))


def _copies_of_class(labels: npt.NDArray[np.int32], copies: int) -> npt.NDArray[np.intp]:
    """Return a number for each class: `copies` for the rarest, fewer for the others."""
    counts = np.bincount(labels)
    rarest = counts[counts > 0].min(initial=len(labels))
    numbers = np.rint(copies * rarest / np.maximum(1, counts)).astype(np.intp)
    return np.asarray(np.maximum(1, numbers))


def _attacked_rows(events: Dataset) -> npt.NDArray[np.intp]:
    return np.flatnonzero(events.is_positive if events.task.positive else events.labels >= 0)


def _texts(events: Dataset, rows: npt.NDArray[np.intp]) -> list[str]:
    return [text.decode("utf-8", "surrogateescape") for text in events.take(rows).raw_texts]


def _attacker(events: Dataset, rng: np.random.Generator) -> tuple[Attacker, npt.NDArray[np.intp]]:
    """Return an attacker, and the rows of its benign events."""
    rows = np.flatnonzero((events.labels >= 0) & ~events.is_positive)
    rows = rng.permutation(rows)[:_MAX_BENIGN]
    return Attacker(rng, _texts(events, rows), events.task.features), rows


def _copies(events: Dataset, rows: npt.NDArray[np.intp], texts: list[str]) -> Dataset:
    """Return these events with other texts, marked as synthetic."""
    copies = events.take(rows).with_column("source", [SYNTHETIC_EXAMPLE] * len(rows))
    return copies.with_raw_texts([text.encode("utf-8", "surrogateescape") for text in texts])


def _find_detected(verdicts: Verdicts, labels: npt.NDArray[np.int32], task: Task) -> Bools:
    if not task.positive:
        return np.asarray(verdicts.label_indices == labels)
    return verdicts.detected
