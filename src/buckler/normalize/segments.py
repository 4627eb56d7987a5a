"""Segments of normalized texts: pieces that a student scores alone, beside the whole text.

Text beside a threat dilutes the score of the whole, so an attacker pads. A segment holds one
command, one window of a text, or one part of a URL; its score does not depend on the rest. The
kernel cuts (`segments.c`), by the rule that the task names. docs/normalize.md has the rules.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.normalize.normalized_texts import NormalizedTexts

# Both in the order of their numbers in the kernel.
SEGMENTERS = ("none", "commands", "windows", "host", "head")
COMBINATIONS = ("none", "mean", "max")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Segments:
    """Segments of several texts, in order.

    Attributes
    ----------
    texts
        Segments, each a normalized text.
    owners
        int64 [n]: number of the text that a segment belongs to.
    shifts
        int64 [n]: number to add to a place in a segment for its place in the text.
    """

    texts: NormalizedTexts
    owners: npt.NDArray[np.int64]
    shifts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.owners)


@dataclass(frozen=True)
class SegmentRule:
    """Segments of a student's texts, and the part that they have in a score.

    Attributes
    ----------
    segmenter
        Rule that cuts a normalized text; one of `SEGMENTERS`.
    combination
        Logits of an event from those of its text and of its worst segment, where that one has the
        higher score; one of `COMBINATIONS`.
    positive
        Bit for each positive class below 64; of a single logit, that of the second class.
    """

    segmenter: str = "none"
    combination: str = "none"
    positive: int = 0

    @property
    def is_learned(self) -> bool:
        """True where segments are examples too; as one, a host would weigh more than its pages."""
        return self.combination != "none" and self.segmenter != "host"

    @property
    def numbers(self) -> tuple[int, int, int]:
        """The rule as the kernel takes it."""
        combination = COMBINATIONS.index(self.combination)
        return SEGMENTERS.index(self.segmenter), combination, self.positive

    def cut(self, texts: NormalizedTexts) -> Segments:
        """Return the segments of normalized texts; none where only whole texts count."""
        number = 0 if self.combination == "none" else SEGMENTERS.index(self.segmenter)
        owners, shifts, offsets, data = _kernel.segments(number, texts.offsets, texts.data)
        return Segments(
            NormalizedTexts.from_buffers(offsets, data),
            np.frombuffer(owners, np.int64),
            np.frombuffer(shifts, np.int64),
        )

    def margins(self, logits: Floats) -> Floats:
        """Return by how much the best positive logit exceeds the best other one."""
        if logits.shape[1] == 1:
            return logits[:, 0] if self.positive & 2 else -logits[:, 0]
        chosen = np.array([bool(self.positive >> j & 1) for j in range(logits.shape[1])])
        return np.asarray(logits[:, chosen].max(axis=1) - logits[:, ~chosen].max(axis=1))

    def find_worst(self, segments: Segments, logits: Floats, n_texts: int) -> npt.NDArray[np.intp]:
        """Return the row of each text's first segment with the largest margin; -1 without any."""
        margins = self.margins(logits)
        order = np.lexsort((-np.arange(len(margins)), margins, segments.owners))
        worst = np.full(n_texts, -1, np.intp)
        worst[segments.owners[order]] = order  # the last assignment to a text stays
        return worst

    def event_logits(
        self, texts: NormalizedTexts, logits_of: Callable[[NormalizedTexts], Floats]
    ) -> Floats:
        """Return the logits of events, from a function that returns those of texts."""
        found, segments = logits_of(texts), self.cut(texts)
        if not len(segments):
            return found
        logits = logits_of(segments.texts)
        worst = self.find_worst(segments, logits, len(texts))
        rows = np.flatnonzero(worst >= 0)
        whole, part = found[rows], logits[worst[rows]]
        raised = part if self.combination == "max" else np.float32(0.5) * (whole + part)
        higher = self.margins(part) > self.margins(whole)
        found[rows] = np.where(higher[:, None], raised, whole)
        return found

    def scored_parts(
        self, text: bytes, logits_of: Callable[[NormalizedTexts], Floats]
    ) -> list[tuple[bytes, int, float]]:
        """Return the normalized texts whose logits make the event's: text, place and share."""
        segments = self.cut(NormalizedTexts.from_bytes([text]))
        if not len(segments):
            return [(text, 0, 1.0)]
        margins = self.margins(logits_of(NormalizedTexts.from_bytes([text, *segments.texts])))
        worst = int(margins[1:].argmax())
        segment, place = segments.texts[worst], int(segments.shifts[worst])
        if margins[1 + worst] <= margins[0]:
            return [(text, 0, 1.0)]
        if self.combination == "max":
            return [(segment, place, 1.0)]
        return [(text, 0, 0.5), (segment, place, 0.5)]
