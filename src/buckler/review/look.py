"""All that an analyst is shown of one event."""

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from buckler.labels import Annotator
from buckler.labels.ledger import flags_of
from buckler.review.queue import Item, Queue
from buckler.review.showing import Piece, spans, visible
from buckler.review.similar import JudgedEvents, Similar
from buckler.runtime import Scorer
from buckler.runtime.verdicts import Contribution, Verdict

_EXPLAINED = 12
_MAX_ANNOTATIONS = 50


@dataclass(frozen=True)
class Said:
    """An annotation."""

    who: Annotator
    label: str
    probability: float
    why: str
    at_s: int
    withdrawn: bool


@dataclass(frozen=True)
class Look:
    """One event on screen.

    Attributes
    ----------
    text, raw
        As a person reads it, and as it came (None where that is the same).
    pieces
        The normalized text, with what moved the score; empty where the bundle is not there, or the
        event is a row of features.
    about, contributions
        A class, and what spoke for and against it: the bad one of two, else the likeliest.
    verdict
        The bundle's; None without one.
    said
        What annotators say; empty while the judging is blind.
    similar
        Judged events that look like it.
    family
        How many of its group wait.
    folded
        How many near-duplicates the verdict serves.
    flags
        What was noticed of it, such as an attempt to instruct a teacher.
    """

    item: Item
    text: Markup
    raw: Markup | None
    pieces: list[Piece]
    about: str
    contributions: list[Contribution]
    verdict: Verdict | None
    said: list[Said]
    similar: list[Similar]
    family: int
    folded: int
    flags: dict[str, str] = field(default_factory=dict)


def what_was_seen(item: Item, queue: Queue, judged: JudgedEvents) -> dict[str, Any]:
    """Return what is noted beside a verdict: what others think of the event, if it was shown."""
    if item.blind:
        return {"blind": True}
    raw = queue.store.texts([item.event_id]).get(item.event_id, b"")
    normalized = queue.task.text_normalizer.normalize(raw, queue.task.max_bytes)
    annotators = [f"{s.who.name} {s.who.version}".strip() for s in _said(queue, item)]
    return {
        "score": round(item.score, 6),
        "student": item.label,
        "annotators": annotators[:20],
        "similar": [s.item_id for s in judged.like(normalized, item.id)],
    }


def look_at(item: Item, queue: Queue, scorer: Scorer | None, judged: JudgedEvents) -> Look:
    """Gather what is shown of an item; where it is judged blind, nothing that others think."""
    store, task, blind = queue.store, queue.task, item.blind
    raw = store.texts([item.event_id]).get(item.event_id, b"")
    readable = task.readable(raw)
    as_it_came = None
    if not task.features and (plain := raw.decode("utf-8", "replace")) != readable:
        as_it_came = visible(plain)
    normalized = task.text_normalizer.normalize(raw, task.max_bytes)
    verdict, about, contributions = None, "", list[Contribution]()
    if scorer is not None and not blind:
        verdict = scorer.score_one(raw)
        two = len(task.classes) == 2 and len(task.positive) == 1
        about = task.positive[0] if two else verdict.label
        contributions = scorer.explain(raw, label=about, top=_EXPLAINED)
    pieces = [] if task.features else spans(normalized, contributions)
    if task.positive and about not in task.positive:  # red is what speaks for a positive class
        pieces = [Piece(piece.text, -piece.level) for piece in pieces]
    return Look(
        item,
        visible(readable),
        as_it_came,
        pieces,
        about,
        contributions,
        verdict,
        [] if blind else _said(queue, item),
        [] if blind else judged.like(normalized, item.id),
        len(queue.family(item.group)),
        queue.folded_behind(item.id),
        flags_of(store, item.event_id),
    )


def _said(queue: Queue, item: Item) -> list[Said]:
    annotators = queue.store.annotators()
    found = []
    for batch in queue.store.annotations(queue.task, item.event_id):
        for at in range(len(batch)):
            best = int(batch.probabilities[at].argmax())
            who = annotators[int(batch.annotators[at])]
            found.append(
                Said(
                    who,
                    queue.task.class_names[best],
                    float(batch.probabilities[at, best]),
                    batch.rationales[at] or "",
                    int(batch.created_s[at]),
                    who.kind == "human" and not batch.confidence[at],
                )
            )
    return sorted(found, key=lambda s: s.at_s)[:_MAX_ANNOTATIONS]
