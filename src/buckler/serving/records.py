"""Events that are Python values, judged: a record for each, in the order in which they came."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from buckler.runtime import Scorer
from buckler.serving.challengers import Challengers, count_pairs
from buckler.serving.fields import Fields
from buckler.serving.formats import VERDICT_FORMATS, ScoredEvent
from buckler.serving.incoming import read_values
from buckler.serving.verdicts import VerdictForm, verdict_columns

BROKEN: Any = object()  # what is no JSON


@dataclass(frozen=True)
class Wish:
    """How a request wants to be answered.

    Attributes
    ----------
    form
        Threshold, probabilities, threads.
    convention
        ``verdict`` alone, or with bundle and time as ``plain``, ``ocsf``, ``ecs``, ``alert``.
    explain
        How many pieces that moved a verdict to name, for each event.
    """

    form: VerdictForm = field(default_factory=VerdictForm)
    convention: str = "verdict"
    explain: int = 0


@dataclass(frozen=True)
class Records:
    """What came of some events.

    Attributes
    ----------
    records
        For each a verdict in the form that was wished for, or an error.
    verdicts
        For each the plain verdict; None where it could not be judged.
    errors
        Position -> why it could not be judged.
    detections
        How many raised one.
    """

    records: list[Any]
    verdicts: list[dict[str, Any] | None]
    errors: dict[int, str]
    detections: int

    @property
    def raised(self) -> list[bool | None]:
        """For each whether it raised a detection; None where it could not be judged."""
        return [None if verdict is None else bool(verdict["detected"]) for verdict in self.verdicts]


def challenge(
    challengers: Challengers,
    values: Sequence[Any],
    made: Records,
    fields: Fields,
    target_fpr: float | None,
) -> None:
    """Let challengers judge values that the deployed bundle has judged, and count."""
    wish = Wish(VerdictForm(target_fpr, with_text=False))
    for name, scorer in challengers.scorers.items():
        after = judge_values(values, scorer, fields, wish).raised
        challengers.counts[name] += count_pairs(made.raised, after)


def loads(line: bytes) -> Any:
    """Return a JSON value; `BROKEN` for what is none."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return BROKEN


def judge_values(
    values: Sequence[Any],
    scorer: Scorer,
    fields: Fields,
    wish: Wish,
    sources: Sequence[str] | None = None,
) -> Records:
    """Judge values: strings, objects with the fields that files have, or `BROKEN`.

    Parameters
    ----------
    sources
        Where each came from, for forms that tell it.
    """
    broken = {row for row, value in enumerate(values) if value is BROKEN}
    sound = [{} if row in broken else value for row, value in enumerate(values)]
    incoming = read_values(sound, scorer, fields)
    columns = verdict_columns(scorer, incoming.text, wish.form)
    names = list(columns)
    rows = zip(*(column.to_pylist() for column in columns.values()), strict=True)
    judged = [dict(zip(names, row, strict=True)) for row in rows]
    texts = incoming.text.to_pylist() if wish.explain or wish.form.with_text else None
    if wish.explain and texts is not None:
        for verdict, text in zip(judged, texts, strict=True):
            pieces = scorer.explain(text, label=verdict["label"], top=wish.explain)
            verdict["because"] = [vars(piece) for piece in pieces]
    formed: list[Any] = judged
    if wish.convention != "verdict":
        form, now = VERDICT_FORMATS.get(wish.convention), time.time()
        told = texts if wish.form.with_text else None
        formed = [
            form(
                ScoredEvent(
                    verdict,
                    now,
                    None if told is None else told[at].decode("utf-8", "replace"),
                    "" if sources is None else sources[incoming.rows[at]],
                ),
                scorer,
            )
            for at, verdict in enumerate(judged)
        ]
    detections = columns["detected"].true_count
    if not incoming.errors:
        return Records(formed, list(judged), {}, detections)
    errors = incoming.errors | dict.fromkeys(broken, "no JSON")
    records: list[Any] = [{"error": errors.get(i, "not judged")} for i in range(len(values))]
    verdicts: list[dict[str, Any] | None] = [None] * len(values)
    for at, row in enumerate(incoming.rows.tolist()):
        records[row], verdicts[row] = formed[at], judged[at]
    return Records(records, verdicts, errors, detections)
