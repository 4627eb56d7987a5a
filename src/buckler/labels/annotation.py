"""The nouns of the label store."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from sqlalchemy import Row

from buckler.errors import InputError

KINDS = ("human", "llm", "model", "rule", "feed")
_ID_BYTES = 16
_MAX_SECONDS = 1 << 40


@dataclass(frozen=True)
class Annotator:
    """A source of annotations: a person, a model, a rule set or a feed.

    Attributes
    ----------
    name
        Name of the analyst, model or feed.
    version
        Changes whenever its annotations could: model and prompt version, rule set, feed date. An
        analyst who reconsiders makes a new revision of the annotation, not a new version.
    kind
        ``human``, ``llm``, ``model``, ``rule`` or ``feed``. A human's label wins.
    """

    name: str
    version: str = ""
    kind: str = "feed"

    def __post_init__(self) -> None:
        if not self.name:
            raise InputError("an annotator needs a name")
        if self.kind not in KINDS:
            raise InputError(f"annotator {self.name!r}: kind must be one of {', '.join(KINDS)}")

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()

    @property
    def full_name(self) -> str:
        """Name and version, ``NAME@VERSION``; the name alone where there is no version."""
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(frozen=True)
class Annotation:
    """The answer of an annotator about one event; never changed once it is stored.

    Attributes
    ----------
    event_id
        16 bytes: the hash of the event's content.
    probabilities
        One for each class of the task, in its order; they add up to 1.
    confidence
        Certainty of the annotator, 0 to 1. A human's label with 0 is withdrawn.
    rationale
        Reason, in the annotator's words.
    cost_usd
        Cost.
    created_s
        Time in seconds since 1970.
    """

    event_id: bytes
    probabilities: tuple[float, ...]
    confidence: float = 1.0
    rationale: str | None = None
    cost_usd: float = 0.0
    created_s: int = 0

    def __post_init__(self) -> None:
        if len(self.event_id) != _ID_BYTES:
            raise InputError(f"an event id has {_ID_BYTES} bytes, not {len(self.event_id)}")
        if not all(math.isfinite(p) and -1e-6 <= p <= 1 + 1e-6 for p in self.probabilities):
            raise InputError("probabilities must lie between 0 and 1")
        if abs(sum(self.probabilities) - 1) > 1e-3:
            raise InputError("probabilities must add up to 1")
        if not 0 <= self.confidence <= 1:
            raise InputError("confidence must lie between 0 and 1")
        if abs(self.created_s) > _MAX_SECONDS:
            raise InputError(f"no time in seconds since 1970: {self.created_s}")


@dataclass(frozen=True)
class AnnotationColumns:
    """Further attributes of many annotations, one value per annotation.

    Attributes
    ----------
    confidence, rationales, cost_usd, created_s
        As in `Annotation`; 1, None, 0 and 0 where they are not given.
    """

    confidence: Sequence[float] | None = None
    rationales: Sequence[str | None] | None = None
    cost_usd: Sequence[float] | None = None
    created_s: Sequence[int] | None = None


@dataclass(frozen=True)
class StoredEvent:
    """The kept text of an event, with its group and source."""

    text: bytes
    group: str | None
    source: str | None


@dataclass(frozen=True)
class AnnotationBatch:
    """Annotations as arrays.

    Attributes
    ----------
    event_ids
        16 bytes each.
    annotators
        int64 [n]: ids, to be looked up in `LabelStore.annotators`.
    probabilities
        float32 [n, classes].
    confidence, cost_usd
        float64 [n].
    created_s
        int64 [n].
    rationales
        Text or None.
    """

    event_ids: list[bytes]
    annotators: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float64]
    cost_usd: npt.NDArray[np.float64]
    created_s: npt.NDArray[np.int64]
    rationales: list[str | None]

    @classmethod
    def from_rows(cls, rows: Sequence[Row[tuple[object, ...]]], n_classes: int) -> Self:
        """Make a batch of rows of the table."""
        flat = np.frombuffer(b"".join(bytes(r.probabilities) for r in rows), "<f4")
        return cls(
            [bytes(r.event_id) for r in rows],
            np.array([r.annotator_id for r in rows], np.int64),
            flat.reshape(-1, n_classes),
            np.array([r.confidence for r in rows], np.float64),
            np.array([r.cost_usd for r in rows], np.float64),
            np.array([r.created_s for r in rows], np.int64),
            [r.rationale for r in rows],
        )

    def __len__(self) -> int:
        return len(self.event_ids)

    @property
    def runners_up(self) -> npt.NDArray[np.int64]:
        """The class of each annotation that is the likeliest but for the label, int64 [n].

        -1 where several classes are equally likely.
        """
        order = np.argsort(-self.probabilities, axis=1, kind="stable")
        ranked = np.take_along_axis(self.probabilities, order, axis=1)
        after = ranked[:, 2] if ranked.shape[1] > 2 else np.zeros(len(ranked), np.float32)
        return np.where(ranked[:, 1] > after, order[:, 1], -1).astype(np.int64)
