"""Examples of the `ngram` student: texts and, behind them, their segments."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.normalize import NormalizedTexts
from buckler.normalize.segments import SegmentRule, Segments
from buckler.students.student import Floats, weigh_classes

_SAMPLE = 4096


@dataclass(frozen=True)
class NgramExamples:
    """Texts, followed by all their segments, which have the targets and weights of their texts.

    Attributes
    ----------
    texts, targets, weights
        Normalized texts, their targets [n, outputs], and their weights.
    segments
        Segments of the texts.
    rule
        Rule that cut them.
    """

    texts: NormalizedTexts
    targets: Floats
    weights: Floats
    segments: Segments
    rule: SegmentRule

    @staticmethod
    def of(
        training: Dataset, rule: SegmentRule, n_outputs: int, class_weights: str
    ) -> "NgramExamples":
        """Return the examples of labeled events."""
        targets = training.targets[:, 1:2] if n_outputs == 1 else training.targets
        weights = weigh_classes(training, class_weights)
        segments = (rule if rule.is_learned else SegmentRule()).cut(training.texts)
        parts = [training.texts, segments.texts] if len(segments) else [training.texts]
        return NgramExamples(
            NormalizedTexts.concatenate(parts),
            np.ascontiguousarray(np.concatenate([targets, targets[segments.owners]]), np.float32),
            np.concatenate([weights, weights[segments.owners]]),
            segments,
            rule,
        )

    def order(
        self,
        texts: npt.NDArray[np.int64],
        epoch: int,
        logits_of: Callable[[NormalizedTexts], Floats],
    ) -> npt.NDArray[np.uint32]:
        """Return the examples of a pass: each text and, once a pass is done, its worst segment."""
        if epoch == 1 or not len(self.segments):
            return texts.astype(np.uint32)
        logits = logits_of(self.segments.texts)
        chosen = self.rule.find_worst(self.segments, logits, len(texts))[texts]
        pairs = np.stack([texts, np.where(chosen < 0, -1, chosen + len(texts))], axis=1).ravel()
        return pairs[pairs >= 0].astype(np.uint32)


def sample_texts(texts: NormalizedTexts) -> NormalizedTexts:
    """Return some thousand texts, by whose logits weights are scaled."""
    return texts.take(np.arange(0, len(texts), max(1, len(texts) // _SAMPLE)))
