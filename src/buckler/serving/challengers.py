"""Challengers: bundles that score the events of the deployed one; only counts of detections
stay.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path

from buckler.bundle.manifest import Manifest
from buckler.errors import SettingsError
from buckler.serving.bundles import LoadedBundle, load_bundle
from buckler.serving.event_values import Values
from buckler.serving.verdict_batch import OutputOptions, VerdictBatch, score_values

# Detected by: (the deployed bundle, the challenger).
PAIRS = {
    "both": (True, True),
    "deployed": (True, False),
    "challenger": (False, True),
    "none": (False, False),
}


def answers_same_question(one: Manifest, other: Manifest) -> bool:
    """Return True if two bundles have the same task and classes."""
    question = attrgetter("task", "classes", "positive")
    return bool(question(one) == question(other))


def count_pairs(before: Sequence[bool | None], after: Sequence[bool | None]) -> Counter[str]:
    """Count events by who detected them; an event that one could not score is left out."""
    pairs = Counter(zip(before, after, strict=True))
    return Counter({name: pairs[pair] for name, pair in PAIRS.items() if pairs[pair]})


class Challengers:
    """Challengers of one deployed bundle, with the counts since the start.

    Attributes
    ----------
    bundles, counts
        By name and digest: the challengers, and numbers of events by who detected them.

    Raises
    ------
    BucklerError
        If one is not sound, or answers another question than the deployed one.
    """

    def __init__(self, paths: Sequence[Path], deployed: LoadedBundle) -> None:
        self.bundles: dict[str, LoadedBundle] = {}
        for path in paths:
            challenger = load_bundle(
                path, deployed.text_columns, deployed.trusted_key, deployed.operating_point
            )
            if not answers_same_question(challenger.scorer.manifest, deployed.scorer.manifest):
                raise SettingsError(
                    f"{path}: it does not decide what the deployed bundle decides", path=path
                )
            # Candidates are often named like the deployed one.
            self.bundles[f"{challenger.name} {challenger.scorer.sha256[:8]}"] = challenger
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in self.bundles}

    def __bool__(self) -> bool:
        return bool(self.bundles)

    def score(self, values: Values, verdicts: VerdictBatch) -> None:
        """Score values that the deployed bundle has scored, and count."""
        options = OutputOptions()
        for name, bundle in self.bundles.items():
            after = score_values(values, bundle, options).detected
            self.counts[name] += count_pairs(verdicts.detected, after)


def summarize_counts(name: str, counts: Mapping[str, int]) -> str:
    """Return the counts of a challenger in one line."""
    both, deployed, challenger, none = (counts.get(pair, 0) for pair in PAIRS)
    return (
        f"challenger {name}: detections of both {both:,}, of the deployed alone {deployed:,}, "
        f"of the challenger alone {challenger:,}, of none {none:,}"
    )
