"""The scorer: loads a bundle and scores. All that an endpoint imports: numpy and the kernel."""

from buckler.runtime.scorer import Scorer, load
from buckler.runtime.verdict import Contribution, Scores, Verdict

__all__ = ["Contribution", "Scorer", "Scores", "Verdict", "load"]
