"""Reads the answers of a language model: tolerant of form, strict about the event that is meant."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError
from buckler.files import unique_keys
from buckler.tasks import Task
from buckler.teachers.llm.client import Token

MAX_ANSWER_CHARACTERS = 1 << 17
_MAX_STARTS = 4096
_OPENING = re.compile(r"[{\[]")
_LABEL_VALUE = re.compile(r'(?<!\\)"label"\s{0,8}:\s{0,8}"')
_SMOOTHING = 1e-3  # spread over all classes: nobody is certain
# With less than this on all class names together, the model preferred another answer, and its
# forced choice says little.
_MIN_MASS = 0.05


@dataclass(frozen=True)
class Answer:
    """Answer about one event.

    Attributes
    ----------
    label
        Class index.
    why
        Reason, where one was given.
    position
        Number of this label among the labels of the reply, counted from 0.
    """

    label: int
    why: str | None
    position: int


def read_answers(
    content: str, tags: Sequence[str], task: Task
) -> tuple[dict[str, Answer], dict[str, str]]:
    """Return answers by tag, and for all other tags the reason why there is none.

    JSON may stand in a code block or between other words. An answer counts for an event only if
    it carries the event's tag (or if one event was asked about and one answer came); an event
    that is answered twice in two ways has no answer.
    """
    try:
        items = _find_json(content[:MAX_ANSWER_CHARACTERS])
    except _NoJsonError:
        if len(tags) == 1:
            label = _label(content, task)
            if label is not None:
                return {tags[0]: Answer(label, None, 0)}, {}
        reason = "no JSON in the answer" if content.strip() else "an empty answer"
        return {}, dict.fromkeys(tags, reason)
    answers: dict[str, Answer] = {}
    reasons: dict[str, str] = {}
    for position, item in enumerate(items):
        tag = tags[0] if len(tags) == len(items) == 1 else str(item.get("event", ""))
        if tag not in tags:
            continue
        label = _label(item.get("label"), task)
        if label is None:
            reasons[tag] = f"no class of the task: {str(item.get('label'))[:60]!r}"
        elif tag in answers and answers[tag].label != label:
            reasons[tag] = "answered twice in two ways"
        elif tag not in answers:
            why = item.get("why")
            answers[tag] = Answer(label, str(why)[:1000] if why else None, position)
    for tag in tags:
        if tag not in answers:
            reasons.setdefault(tag, "no answer for this event")
    return {t: a for t, a in answers.items() if t not in reasons}, reasons


class _NoJsonError(Exception):
    pass


def _find_json(content: str) -> list[dict[str, object]]:
    """Return all objects that carry a label, also from a truncated answer."""
    decoder = json.JSONDecoder(object_pairs_hook=unique_keys, strict=False)
    found: list[dict[str, object]] = []
    position = 0
    for _ in range(_MAX_STARTS):
        start = _OPENING.search(content, position)
        if start is None:
            break
        position = start.end()
        try:
            value, end = decoder.raw_decode(content, start.start())
        except (ValueError, RecursionError):
            continue
        items = _items(value)
        if items:
            found += items
            position = end
    if not found:
        raise _NoJsonError
    return found


def _items(found: object) -> list[dict[str, object]]:
    if isinstance(found, dict):
        inner = found.get("answers")
        found = inner if isinstance(inner, list) else [found] if "label" in found else []
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _label(value: object, task: Task) -> int | None:
    if not isinstance(value, str) or len(value) > 200:
        return None
    try:
        return task.class_index(value.strip().strip("\"'`.*"))
    except InputError:
        return None


def class_probabilities(
    tokens: Sequence[Token], position: int, classes: Sequence[str], content: str | None = None
) -> npt.NDArray[np.float64] | None:
    """Return float64 [classes] from the log-probabilities of the tokens of one label.

    The alternatives of each token are followed as in a trie of the class names: what continues
    only some of the names gives them its probability; the chosen token leads on. What is no class
    name is left out, and the rest is scaled to 1.

    Parameters
    ----------
    position
        Number of the label in the answer, counted from 0.
    content
        Answer, where reasoning may stand before it in the tokens.

    Returns
    -------
    probabilities
        None where the label cannot be found in the tokens, or the class names together have less
        than 5 %: servers that force the form often report what the model said before that.
    """
    text = "".join(token.text for token in tokens)
    labels = [m.end() for m in _LABEL_VALUE.finditer(text)]
    if content is not None:
        position += len(labels) - len(_LABEL_VALUE.findall(content))
    if not 0 <= position < len(labels):
        return None
    names = [name.lower() for name in classes]
    mass = np.zeros(len(names))
    reach, prefix, offset = 1.0, "", 0
    for token in tokens:
        end = offset + len(token.text)
        if end <= labels[position]:
            offset = end
            continue
        # The first token may begin before the value, as in `":"ben`.
        junk = token.text[: max(0, labels[position] - offset)] if not prefix else ""
        offset = end
        chosen = prefix + token.text[len(junk) :].lower()
        alternatives = {t: p for t, p in token.alternatives if t.startswith(junk)}
        alternatives.pop(token.text, None)
        for other, logprob in alternatives.items():
            matches = _matching_names(prefix + other[len(junk) :].lower(), names)
            if matches:
                mass[matches] += reach * math.exp(min(logprob, 0.0)) / len(matches)
        matches = _matching_names(chosen, names)
        reach *= math.exp(min(token.logprob, 0.0))
        if len(matches) <= 1 or '"' in chosen:
            if matches:
                mass[matches] += reach / len(matches)
            break
        prefix = chosen
    else:
        matches = _matching_names(prefix, names)
        if prefix and matches:
            mass[matches] += reach / len(matches)
    total = mass.sum()
    if not math.isfinite(total) or total < _MIN_MASS:
        return None
    return np.asarray((1 - _SMOOTHING) * mass / total + _SMOOTHING / len(names))


def _matching_names(written: str, names: list[str]) -> list[int]:
    """Return the indices of the names that start with this text."""
    value, quote, _ = written.partition('"')
    if quote:
        return [i for i, name in enumerate(names) if name == value]
    if not value:
        return []
    return [i for i, name in enumerate(names) if name.startswith(value)]


def sample_probabilities(labels: Sequence[int], n_classes: int) -> npt.NDArray[np.float64]:
    """Return float64 [classes] from repeated answers: counts, plus one spread over all classes."""
    counts = np.bincount(np.array(labels, np.intp), minlength=n_classes).astype(np.float64)
    return np.asarray((counts + 1 / n_classes) / (len(labels) + 1))
