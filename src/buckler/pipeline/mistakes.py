"""The worst mistakes on test rows, with their explanations: what a reader of a report looks at."""

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.evaluation.report import Mistake
from buckler.runtime import Scorer
from buckler.runtime.explanation import mark_pieces

WORST = 25
_PIECES = 6
_CHARACTERS = 400


def find_mistakes(
    scorer: Scorer,
    events: Dataset,
    scores: npt.NDArray[np.float32],
    detected: npt.NDArray[np.bool_],
) -> tuple[Mistake, ...]:
    """Return the worst false positives by score, then the worst misses, at most 25 of each.

    Events without a text of their own, such as rows of features, are shown by their features.

    Parameters
    ----------
    scorer
        Bundle that explains the mistakes.
    events
        Labeled events.
    scores, detected
        Answers about these events, float32 [n] and bool [n].
    """
    if not scorer.positive:
        return ()
    wrong = np.flatnonzero(detected & ~events.is_positive)
    missed = np.flatnonzero(~detected & events.is_positive)
    worst = wrong[np.argsort(-scores[wrong], kind="stable")][:WORST]
    lowest = missed[np.argsort(scores[missed], kind="stable")][:WORST]
    rows: npt.NDArray[np.intp] = np.concatenate([worst, lowest])
    return tuple(
        _describe(scorer, events, int(row), float(scores[row]), is_miss=at >= len(worst))
        for at, row in enumerate(rows)
    )


def _describe(scorer: Scorer, events: Dataset, row: int, score: float, *, is_miss: bool) -> Mistake:
    raw = events.raw_text(row)
    label = scorer.label_to_explain(scorer.classes[0], detected=True, text=raw)
    found = scorer.explain(raw, label=label, top=_PIECES)
    text = _harmless(events.task.readable(raw))
    return Mistake(
        is_miss=is_miss,
        score=score,
        label=str(events.label_names[row] or ""),
        source=str(events.sources[row] or ""),
        because=found.because,
        runs=tuple(mark_pieces(text, found.contributions, _CHARACTERS)),
    )


def _harmless(text: str) -> str:
    """Return a text without characters that hide or move others."""
    return "".join(c if c.isprintable() or c == "\n" else "·" for c in text)
