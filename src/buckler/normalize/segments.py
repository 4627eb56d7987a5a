"""Segments of normalized texts: pieces that a student scores alone, beside the whole text.

Text beside a threat dilutes the score of the whole, so an attacker pads. A segment holds one
command, one window of a text, or one part of a URL; its score does not depend on the rest. The
kernel cuts (`segments.c`), by the rule that the task names. docs/normalize.md has the rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.errors import BundleError
from buckler.normalize.normalized_texts import NormalizedTexts

# Both in the order of their numbers in the kernel.
SEGMENTERS = ("none", "commands", "windows", "host", "head")
COMBINATIONS = ("none", "mean", "max", "soft")

# Of the soft combination: chosen on mails that are not of a student's sources, docs/tasks/email.md.
_TEMPERATURE = 4.0
_HEADS, _WHOLE_SHARE = 8, 1 / 16  # as in the kernel

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
        higher score; or, ``soft``, the mean over its text and all segments, in which a higher score
        weighs more (attention pooling, Ilse et al. 2018). One of `COMBINATIONS`.
    positive
        Bit for each positive class below 64; of a single logit, that of the second class.
    temperature
        Difference of logits by which a weight of ``soft`` grows by a factor of e.
    """

    segmenter: str = "none"
    combination: str = "none"
    positive: int = 0
    temperature: float = _TEMPERATURE

    @property
    def is_learned(self) -> bool:
        """True where segments are examples too.

        As one, a host would weigh more than its pages, and heads find less on unseen sources.
        """
        return self.combination != "none" and self.segmenter not in ("host", "head")

    @property
    def numbers(self) -> tuple[int, int, int, float]:
        """The rule as the kernel takes it."""
        segmenter, combination = SEGMENTERS.index(self.segmenter), self.combination
        return segmenter, COMBINATIONS.index(combination), self.positive, self.temperature

    @property
    def settings(self) -> dict[str, object]:
        """The rule as the manifest of a bundle holds it, with the positive classes of the task."""
        found = {"segmenter": self.segmenter, "combination": self.combination}
        return found | ({"temperature": self.temperature} if self.combination == "soft" else {})

    @staticmethod
    def from_settings(settings: Mapping[str, object], positive: int) -> "SegmentRule":
        """Read what `settings` returned.

        Raises
        ------
        BundleError
            If there is no such rule.
        """
        segmenter, combination = settings.get("segmenter"), settings.get("combination")
        temperature = settings.get("temperature", _TEMPERATURE)
        if segmenter not in SEGMENTERS or combination not in COMBINATIONS:
            raise BundleError("student settings: unknown segmenter or combination")
        if not isinstance(temperature, float):
            raise BundleError("student settings: temperature must be a number")
        return SegmentRule(str(segmenter), str(combination), positive, temperature)

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
        if self.combination == "soft":
            return self._soft_mean(found, logits, segments.owners)
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
        logits = logits_of(NormalizedTexts.from_bytes([text, *segments.texts]))
        if self.combination == "soft":
            own, others = self._soft_weights(logits[:1], logits[1:], segments.owners)
            shares = np.append(own, others) / (own.sum() + others.sum())
            places = [0, *segments.shifts.tolist()]
            return list(zip([text, *segments.texts], places, shares.tolist(), strict=True))
        margins = self.margins(logits)
        worst = int(margins[1:].argmax())
        segment, place = segments.texts[worst], int(segments.shifts[worst])
        if margins[1 + worst] <= margins[0]:
            return [(text, 0, 1.0)]
        if self.combination == "max":
            return [(segment, place, 1.0)]
        return [(text, 0, 0.5), (segment, place, 0.5)]

    def _soft_mean(self, whole: Floats, parts: Floats, owners: npt.NDArray[np.int64]) -> Floats:
        """Return the mean of the logits of texts [n, outputs] and of their segments."""
        own, others = self._soft_weights(whole, parts, owners)
        sums = own[:, None] * whole
        np.add.at(sums, owners, others[:, None] * parts)
        total = own + np.bincount(owners, others, len(whole))
        return np.asarray(sums / total[:, None], np.float32)

    def _soft_weights(
        self, whole: Floats, parts: Floats, owners: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the weights of texts and of their segments in the soft mean, before their sum."""
        own, others = self.margins(whole), self.margins(parts)
        top = own.copy()
        np.maximum.at(top, owners, others)
        own_weights = np.exp((own - top).astype(np.float64) / self.temperature)
        if self.segmenter == "head":
            own_weights *= _WHOLE_SHARE + _HEADS - np.bincount(owners, minlength=len(whole))
        differences = (others - top[owners]).astype(np.float64)
        return own_weights, np.exp(differences / self.temperature)
