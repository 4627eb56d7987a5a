"""The deployed threshold and others in a report: one sentence, and tables."""

import numpy as np

from buckler.evaluation.evaluation import Evaluation
from buckler.evaluation.report import Comparison, number
from buckler.operating_point import OperatingCurve, OperatingPoint

_OPERATING_FPRS = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0001)
_BASE_RATE = 0.001  # of positive events, in the column of precision


def headline_sentence(evaluation: Evaluation) -> str:
    """Return what the deployed threshold does on the test rows, in one sentence."""
    rows = f"{evaluation.n_rows:,} test rows"
    if not evaluation.positive:
        right = evaluation.confusion.trace() / max(1, evaluation.confusion.sum())
        return f"Of 100 test rows, {100 * right:.0f} get the right class ({rows})."
    at = evaluation.deployed_result
    names = " or ".join(evaluation.classes[i] for i in evaluation.positive[:3])
    if at is None or not at.detection.n_rows:
        return f"No threshold is deployed, or no test row is {names} ({rows})."
    detection = f"detects {100 * at.detection.value:.0f} of 100 {names} events"
    if not at.false_positives.n_rows:
        return f"At the deployed threshold, the bundle {detection} ({rows})."
    share = at.false_positives.value
    false = "no false positive"
    if share:
        false = (
            f"1 false positive in {round(1 / share):,}"
            if share < 0.05
            else (f"{100 * share:.0f} false positives in 100")
        )
    n = at.false_positives.n_rows
    return f"At the deployed threshold, the bundle {detection}; {false} others ({n:,} of {rows})."


def operating_table(evaluation: Evaluation, curve: OperatingCurve | None) -> Comparison | None:
    """Return usual false-positive rates with their thresholds and effects; None without a curve."""
    if curve is None or not evaluation.positive:
        return None
    heading = (
        *("target FPR", "threshold", "detection, held out", "false alerts a day"),
        *("precision at 1 in 1,000", "detection, test rows", "FPR, test rows"),
    )
    rows: list[tuple[str, ...]] = []
    score, kinds = evaluation.score, (evaluation.is_positive, ~evaluation.is_positive)
    for fpr in _OPERATING_FPRS:
        if fpr < curve.least_fpr:
            continue
        threshold = curve.threshold(OperatingPoint(fpr=fpr))
        false, recall = curve.rates_at(threshold)
        false = max(false, curve.least_fpr)
        precision = _BASE_RATE * recall / (_BASE_RATE * recall + (1 - _BASE_RATE) * false)
        detected = score >= np.float32(threshold)
        on_test = [number(float(detected[kind].mean())) if kind.any() else "-" for kind in kinds]
        false_alerts, share = f"{false * 1e6:,.0f}", f"{precision:.2f}"
        rows.append(
            (f"{fpr:g}", f"{threshold:.4f}", f"{recall:.3f}", false_alerts, share, *on_test)
        )
    return Comparison(heading, rows) if rows else None


def deployed_table(evaluation: Evaluation) -> Comparison | None:
    """Return how many rows of each class are detected at the deployed threshold."""
    at = evaluation.deployed_result
    if at is None or not evaluation.positive:
        return None
    detected = evaluation.score >= np.float32(at.score)
    rows: list[tuple[str, ...]] = []
    for name, kind in (("positive", evaluation.is_positive), ("others", ~evaluation.is_positive)):
        n, hits = int(kind.sum()), int(detected[kind].sum())
        rows.append((name, f"{n:,}", f"{hits:,}", f"{n - hits:,}"))
    return Comparison(("true class", "rows", "detected", "not detected"), rows)
