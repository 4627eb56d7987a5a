"""The view of one event: everything that an analyst is shown of it."""

import re
from dataclasses import dataclass, replace

from markupsafe import Markup

from buckler.labels import Annotator
from buckler.labels.ledger import flags_of
from buckler.labels.withdrawal import withdrawn_annotators
from buckler.review.facts import EventFacts, find_facts
from buckler.review.queue import Item, Queue
from buckler.review.safe_text import Span, highlight, visible
from buckler.review.similar import LabeledEvents, SimilarEvent
from buckler.runtime import Explanation, Scorer, Verdict
from buckler.tasks import Task

_HOST = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?(?://)?([^/?#\s]{1,253})", re.I)
_MAX_CONTRIBUTIONS = 12
_MAX_ANNOTATIONS = 50


@dataclass(frozen=True)
class ShownAnnotation:
    """An annotation as the page lists it."""

    annotator: Annotator
    label: str
    probability: float
    rationale: str
    at_s: int
    withdrawn: bool


@dataclass(frozen=True)
class EventView:
    """One event on screen.

    Attributes
    ----------
    spans, raw
        Readable text, with the pieces that count marked, and the raw text (None where that is the
        same).
    explanation
        Pieces for and against a class: the positive class of two, else the likeliest. None without
        a verdict.
    verdict
        The bundle's verdict; None without a bundle.
    annotations
        Annotations; empty while the event is labeled blind.
    similar
        Labeled events that are similar.
    family
        Number of events of its group that wait.
    duplicates
        Number of near-duplicates that the label covers too.
    flags
        Peculiarities, such as an attempt to instruct a teacher.
    facts
        Times, places and labels of its like.
    """

    item: Item
    spans: list[Span]
    raw: Markup | None
    explanation: Explanation | None
    verdict: Verdict | None
    annotations: list[ShownAnnotation]
    similar: list[SimilarEvent]
    family: int
    duplicates: int
    flags: dict[str, str]
    facts: EventFacts


def view_event(
    item: Item, queue: Queue, scorer: Scorer | None, labeled: LabeledEvents
) -> EventView:
    """Gather the view of an item; while it is labeled blind, without verdicts and annotations."""
    store, task, blind = queue.store, queue.task, item.blind
    raw = store.texts([item.event_id]).get(item.event_id, b"")
    readable = task.readable(raw)
    shown_raw = None
    if not task.features and (plain := raw.decode("utf-8", "replace")) != readable:
        shown_raw = visible(plain)
    normalized = _normalize(raw, task)
    verdict, explanation = None, None
    if scorer is not None and not blind and raw:
        verdict = scorer.score_one(raw)
        binary = len(task.classes) == 2 and len(task.positive) == 1
        about = task.positive[0] if binary else verdict.label
        explanation = scorer.explain(raw, label=about, top=_MAX_CONTRIBUTIONS)
    pieces = () if explanation is None else explanation.contributions
    host = _HOST.search(readable) if task.medium == "url" else None
    spans = highlight(readable, pieces, (0, 0) if host is None else host.span(1))
    if explanation is not None and task.positive and explanation.label not in task.positive:
        spans = [
            replace(span, level=-span.level) for span in spans
        ]  # red stands for a positive class
    facts = find_facts(item, queue)
    return EventView(
        item=item,
        spans=spans,
        raw=shown_raw,
        explanation=explanation,
        verdict=verdict,
        annotations=[] if blind else _annotations(queue, item),
        similar=[] if blind else labeled.most_similar(normalized, item.id),
        family=len(queue.family(item.group)),
        duplicates=facts.near_duplicates,
        flags=flags_of(store, item.event_id),
        facts=facts,
    )


def _normalize(raw: bytes, task: Task) -> bytes:
    """Return the normalized text; empty for rows of features, which have none to highlight."""
    return b"" if task.features else task.text_normalizer.normalize(raw, task.max_bytes)


def collect_evidence(item: Item, queue: Queue, labeled: LabeledEvents) -> dict[str, object]:
    """Return the evidence that is stored with a label: verdict and annotations, if shown."""
    if item.blind:
        return {"blind": True}
    raw = queue.store.texts([item.event_id]).get(item.event_id, b"")
    normalized = _normalize(raw, queue.task)
    annotators = [str(a.annotator) for a in _annotations(queue, item)]
    return {
        "score": round(item.score, 6),
        "predicted_label": item.predicted_label,
        "annotators": annotators[:20],
        "similar": [s.item_id for s in labeled.most_similar(normalized, item.id)],
    }


def _annotations(queue: Queue, item: Item) -> list[ShownAnnotation]:
    annotators = queue.store.annotators()
    withdrawn = withdrawn_annotators(queue.store, queue.task)
    shown = []
    for batch in queue.store.annotations(queue.task, item.event_id, with_withdrawn=True):
        for at in range(len(batch)):
            best = int(batch.probabilities[at].argmax())
            annotator = annotators[int(batch.annotators[at])]
            shown.append(
                ShownAnnotation(
                    annotator=annotator,
                    label=queue.task.class_names[best],
                    probability=float(batch.probabilities[at, best]),
                    rationale=batch.rationales[at] or "",
                    at_s=int(batch.created_s[at]),
                    withdrawn=int(batch.annotators[at]) in withdrawn
                    or (annotator.kind == "human" and not batch.confidence[at]),
                )
            )
    return sorted(shown, key=lambda a: a.at_s)[:_MAX_ANNOTATIONS]
