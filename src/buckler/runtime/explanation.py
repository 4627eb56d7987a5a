"""Explanations: the weights of a model's normalized text, as pieces of the event that was given.

A model gives a weight to each byte of the normalized text (`Model.byte_weights`). Here they are
summed to words, sentences or named traits, and each piece is found in the event. The weights of all
pieces add up to those of the model.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from buckler.normalize import FeatureSchema
from buckler.normalize.field_names import (
    DERIVED_FIELDS,
    FIELD_NAMES,
    PROSE_FIELDS,
    describe_feature,
    describe_word,
)
from buckler.normalize.normalized_texts import FEATURE_BYTES
from buckler.runtime.locating import Event

Weights = npt.NDArray[np.float64]
Kind = Literal["text", "decoded", "trait", "feature"]
_SEPARATOR, _FEATURES = b"\x1f", b"\x1d"
_PAGES = ("html-structure-v2", "html-structure-text-v1")
_LETTERS = rb"[0-9A-Za-z\x80-\xff]"
_URL_WORD = re.compile(_LETTERS + rb"+")
_COMMAND_WORD = re.compile(
    rb"<[a-z0-9]{2,8}>|(?:--?|/)?[0-9A-Za-z_.$%\x80-\xff]+(?:-" + _LETTERS + rb"+)*"
)
_SENTENCE = re.compile(rb"(?:[^.!?]|[.!?](?!\s|$)){1,200}\S{0,40}")  # cut between words
_PART = re.compile(rb"\S+")
_WORD = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")
# Fields of a command event, by the name of the field of the normalized text.
_INPUT_FIELDS = {"command": 0, "payload": 0, "parent": 1, "image": 2, "user": 3}
_REASONS = 3
_LEVELS = 4


@dataclass(frozen=True)
class Contribution:
    """A piece of the event that counts for or against a class.

    Attributes
    ----------
    text
        Piece as it was given, or, for a trait, what it says, such as ``6 labels in the host``. For
        rows of features, name and value.
    start, end
        Position in the event, in characters; None for what does not stand there as such.
    weight
        Share of the logit of the class.
    kind
        ``text`` for what stands in the event, ``decoded`` for what it hides, ``trait`` for what it
        is like, ``feature`` for a feature of a row.
    place
        Name of the field, such as ``host``, ``payload`` or ``subject``; empty for a feature.
    """

    text: str
    start: int | None
    end: int | None
    weight: float
    kind: Kind
    place: str = ""


@dataclass(frozen=True)
class Explanation:
    """Pieces that count for or against a class.

    Attributes
    ----------
    label
        Class that is explained.
    contributions
        Pieces, strongest first.
    coverage
        Share of all weights, without their signs, that these pieces hold: 0 to 1.
    because
        The same in one sentence.
    """

    label: str
    contributions: tuple[Contribution, ...]
    coverage: float
    because: str


def explain_weights(
    weights: Weights, normalized: bytes, given: str | bytes, normalizer: str
) -> list[Contribution]:
    """Return all pieces of a text, strongest first; `weights` has a value for each byte."""
    names = FIELD_NAMES.get(normalizer, ("text",))
    fields = normalized.split(_SEPARATOR)
    decoded = [field.decode("utf-8", "replace") for field in fields]
    family = normalizer.partition("-")[0]
    event = Event(given, family if family in ("url", "command") else "")
    found: list[Contribution] = []
    start, left = 0, 0.0
    for index, field in enumerate(fields):
        name = names[index] if index < len(names) else "text"
        if normalizer in ("url-v3", *_PAGES) and field.startswith(_FEATURES):
            name = "features"
        own = weights[start : start + len(field)]
        words = list(_words(field, name, family))
        sums = _sum_words(own, words)
        border = float(weights[start + len(field)]) if start + len(field) < len(weights) else 0.0
        start += len(field) + 1
        if not words:
            left += float(own.sum()) + border
            continue
        sums[0] += left
        sums[-1] += border
        left = 0.0
        facts = _page_facts(given) if name == "features" and normalizer in _PAGES else None
        for at, (begin, end) in enumerate(words):
            word = field[begin:end].decode("utf-8", "replace")
            says = None
            if facts is not None:
                says = facts[at]
            elif name == "features":
                says = describe_feature(word, decoded)
            elif name in DERIVED_FIELDS:
                says = describe_word(normalizer, name, word)
            if says is not None:
                found.append(Contribution(says, None, None, float(sums[at]), "trait", name))
            else:
                found.append(_locate(word, name, float(sums[at]), event, family))
    if left and found:
        found[-1] = _heavier(found[-1], left)
    return _strongest(_merge(found))


def explain_features(
    weights: Weights, normalized: bytes, features: FeatureSchema
) -> list[Contribution]:
    """Return the features of a row, strongest first; each has its weight at its first byte."""
    names = features.describe(normalized)
    sums = weights.reshape(-1, 4).sum(axis=1)
    found = [
        Contribution(name, None, None, float(weight), "feature")
        for name, weight in zip(names, sums, strict=True)
        if weight
    ]
    return _strongest(found)


def summarize(contributions: Sequence[Contribution], label: str, top: int) -> Explanation:
    """Return the strongest pieces, and say why in one sentence."""
    kept = tuple(contributions[:top])
    total = sum(abs(piece.weight) for piece in contributions)
    coverage = sum(abs(piece.weight) for piece in kept) / total if total else 0.0
    return Explanation(label, kept, coverage, _sentence(kept, label, coverage))


def mark_pieces(
    text: str, contributions: Sequence[Contribution], limit: int
) -> list[tuple[str, int]]:
    """Return a readable text in runs, each with the strength of its piece: -4 (against) to 4.

    A piece stands where the explanation places it, else where the text first has it. Of a longer
    text, the first `limit` characters are returned.
    """
    shown = text[:limit]
    folded = shown.lower()
    strongest = max((abs(piece.weight) for piece in contributions), default=0.0)
    levels = [0] * len(shown)
    for piece in sorted(contributions, key=lambda piece: abs(piece.weight)):
        start, size = piece.start, len(piece.text)
        if piece.kind != "text" or not size or strongest <= 0:
            continue
        if start is None or shown[start : start + size] != piece.text:
            start = folded.find(piece.text.lower())
        if start >= 0:
            size = min(size, len(shown) - start)
            levels[start : start + size] = [round(_LEVELS * piece.weight / strongest)] * size
    runs: list[tuple[str, int]] = []
    start = 0
    for at in range(1, len(shown) + 1):
        if at == len(shown) or levels[at] != levels[start]:
            runs.append((shown[start:at], levels[start]))
            start = at
    return runs


def _sentence(contributions: Sequence[Contribution], label: str, coverage: float) -> str:
    reasons = [piece for piece in contributions if piece.weight > 0][:_REASONS]
    against = [piece for piece in contributions if piece.weight < 0]
    if not contributions:
        return ""
    if not reasons:
        return f"{label} although none of the strongest pieces weighs toward it"
    sentence = f"{label} because of {_enumerate([_quote(piece) for piece in reasons])}"
    if against and -against[0].weight > 0.5 * reasons[0].weight:
        sentence += f", in spite of {_quote(against[0])}"
    return f"{sentence} ({coverage:.0%} of the weight is in the pieces named)"


def _enumerate(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _quote(piece: Contribution) -> str:
    """Return a piece for a sentence; text of events is quoted, cut, and without controls."""
    text = "".join(c if c.isprintable() else " " for c in piece.text)
    text = text if len(text) <= 60 else text[:59] + "…"
    if piece.kind in ("trait", "feature"):
        return text
    place = f" in the {piece.place}" if piece.place not in ("", "text", "command") else ""
    return f"“{text}”{' (decoded)' if piece.kind == 'decoded' else place}"


def _page_facts(given: str | bytes) -> list[str]:
    from buckler.normalize.html_v1 import html_structure_facts
    from buckler.normalize.page_structure import describe_fact

    return [describe_fact(fact) for fact in html_structure_facts(given)]


# --- words --------------------------------------------------------------------------------------


def _words(field: bytes, name: str, family: str) -> list[tuple[int, int]]:
    """Return where the pieces of a field begin and end."""
    if name == "features":
        return [(at, at + FEATURE_BYTES) for at in range(1, len(field), FEATURE_BYTES)]
    if name in DERIVED_FIELDS:
        return [match.span() for match in _PART.finditer(field)]
    if family == "url":
        return [match.span() for match in _URL_WORD.finditer(field)]
    if family == "command":
        return [match.span() for match in _COMMAND_WORD.finditer(field)]
    if family in ("email", "html"):
        pattern = _SENTENCE if name in PROSE_FIELDS else _PART
        spans = [match.span() for match in pattern.finditer(field)]
        return [(begin, end) for begin, end in spans if field[begin:end].strip()]
    return [match.span() for match in _WORD.finditer(field)]


def _sum_words(weights: Weights, words: Sequence[tuple[int, int]]) -> Weights:
    """Return the weight of each word; what stands between two belongs to the one before it."""
    if not words:
        return np.zeros(0)
    starts = np.array([begin for begin, _ in words])
    sums = np.add.reduceat(weights, starts) if len(weights) else np.zeros(len(words))
    sums[0] += weights[: starts[0]].sum()
    return np.asarray(sums, np.float64)


def _locate(word: str, name: str, weight: float, event: Event, family: str) -> Contribution:
    """Return a word of the normalized text as it was given."""
    kind: Kind = "text"
    if family == "command":
        place = _find_in_command(word, name, event)
        if name == "payload":
            kind, given = "decoded", word
            if place is not None and event.text[slice(*place)].lower() == word:
                kind = "text"
    elif family in ("email", "html"):
        place = event.find_prose(word)
    else:
        place = event.find(word)
    given = word if place is None or kind == "decoded" else event.text[slice(*place)]
    start, end = (None, None) if place is None else place
    return Contribution(given.strip(), start, end, weight, kind, name)


def _find_in_command(word: str, name: str, event: Event) -> tuple[int, int] | None:
    if name == "user":
        return event.field(_INPUT_FIELDS["user"])
    if word.startswith("<") and word.endswith(">"):
        return event.find_placeholder(word[1:-1], _INPUT_FIELDS.get(name, 0))
    place = event.find(word, _INPUT_FIELDS.get(name, 0))
    return event.find_encoded() if place is None and name == "payload" else place


def _merge(found: Sequence[Contribution]) -> list[Contribution]:
    """Join pieces that stand at one place, or say the same."""
    merged: dict[tuple[object, ...], Contribution] = {}
    for piece in found:
        key = (piece.text, piece.start, piece.end, piece.place)
        before = merged.get(key)
        merged[key] = piece if before is None else _heavier(before, piece.weight)
    return list(merged.values())


def _heavier(piece: Contribution, more: float) -> Contribution:
    return replace(piece, weight=piece.weight + more)


def _strongest(found: Sequence[Contribution]) -> list[Contribution]:
    return sorted((piece for piece in found if piece.weight), key=lambda piece: -abs(piece.weight))
