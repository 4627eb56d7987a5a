"""Run time: loads a bundle and scores events with it. All that an endpoint imports.

It stands after `bundle` in the data flow, and needs numpy and the kernel alone: no training code,
no pyarrow, no network. `load` verifies a bundle and returns a `Scorer`; `Scorer.score` judges a
batch, `Scorer.score_one` one event, `Scorer.explain` names the pieces that count. The files:

- `scorer`: loading, thresholds, and the calls above.
- `verdicts`: the answers, computed as they are read.
- `classifier`: normalizer, model and calibration curve of one bundle.
- `model`: the seam for loaded students; `ngram`, `trees`, `onnx` and `cascade` are behind it.
- `explanation`, `locating`: the weights of a model as pieces of the event that was given.
- `auxiliary`: further questions that a bundle answers.

Examples
--------
Score a column and keep the detections::

    import buckler

    scorer = buckler.load("url-threat.buckler")
    verdicts = scorer.score(["http://a.example/", "http://b.example/login.php"])
    verdicts.scores, verdicts.detected, verdicts.threshold
    table = verdicts.to_arrow()

Decide at one false positive in a thousand, and see why::

    scorer = scorer.with_operating_point(OperatingPoint(fpr=0.001))
    verdict = scorer.score_one("http://b.example/login.php", top=5)
    verdict.label, verdict.detected, verdict.because, verdict.why
"""

from buckler.operating_point import OperatingPoint
from buckler.runtime.explanation import Contribution, Explanation
from buckler.runtime.scorer import Scorer, load
from buckler.runtime.verdicts import Verdict, Verdicts

__all__ = [
    "Contribution",
    "Explanation",
    "OperatingPoint",
    "Scorer",
    "Verdict",
    "Verdicts",
    "load",
]
