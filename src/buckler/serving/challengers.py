"""Challengers: bundles that judge what the deployed one judges; only counts of detections stay."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from buckler.bundle.manifest import Manifest
from buckler.errors import SettingsError
from buckler.runtime import Scorer, load

# Who raises a detection: the deployed bundle, the challenger.
PAIRS = {
    "both": (True, True),
    "deployed": (True, False),
    "challenger": (False, True),
    "none": (False, False),
}


def decide_the_same(one: Manifest, other: Manifest) -> bool:
    """Whether two bundles answer the same question."""
    return all(
        getattr(one, name) == getattr(other, name) for name in ("task", "classes", "positive")
    )


def count_pairs(before: Sequence[bool | None], after: Sequence[bool | None]) -> Counter[str]:
    """Return how often who raised a detection; what one of them could not judge is in none."""
    pairs = Counter(zip(before, after, strict=True))
    return Counter({name: pairs[pair] for name, pair in PAIRS.items() if pairs[pair]})


class Challengers:
    """Challengers of one deployed bundle, and what has been counted since the start.

    Raises
    ------
    BucklerError
        If one is not sound, or decides something else than the deployed one.
    """

    def __init__(
        self, paths: Sequence[Path], deployed: Scorer, trusted_key: Path | None = None
    ) -> None:
        self.scorers: dict[str, Scorer] = {}
        for path in paths:
            scorer = load(path, trusted_key=trusted_key)
            if not decide_the_same(scorer.manifest, deployed.manifest):
                raise SettingsError(f"{path}: it does not decide what the deployed bundle decides")
            name = scorer.manifest.name
            # Candidates are often named like the deployed one.
            self.scorers[f"{name} {scorer.sha256[:8]}"] = scorer
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in self.scorers}

    def __bool__(self) -> bool:
        return bool(self.scorers)

    def told(self) -> list[str]:
        """Return a line about each."""
        return [told_counts(name, counts) for name, counts in self.counts.items()]


def told_counts(name: str, counts: "Counter[str] | dict[str, int]") -> str:
    """Return what was counted, in a line."""
    shown = {pair: counts.get(pair, 0) for pair in PAIRS}
    return (
        f"challenger {name}: detections of both {shown['both']:,}, of the deployed alone "
        f"{shown['deployed']:,}, of the challenger alone {shown['challenger']:,}, of none "
        f"{shown['none']:,}"
    )
