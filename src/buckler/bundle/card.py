"""The model card: what a bundle is for, how good it is, and where not to trust it."""

from typing import Any

from buckler.bundle.manifest import Manifest


def model_card(manifest: Manifest) -> str:
    """Return the card as Markdown, from what the manifest says."""
    positive = ", ".join(manifest.positive) or "none"
    lines = [
        f"# {manifest.name}",
        "",
        f"{manifest.description}." if manifest.description else "",
        "",
        "| | |",
        "| --- | --- |",
        f"| Task | {manifest.task} |",
        f"| Classes | {', '.join(manifest.classes)} |",
        f"| A detection is raised for | {positive} |",
        f"| Student | {manifest.family} |",
        *(f"| Auxiliary classifier, on {a.on} | {a.name} |" for a in manifest.auxiliary),
        f"| Normalized text | {manifest.normalizer}, at most {manifest.max_bytes} bytes |",
        f"| Made | {manifest.created} |",
        "",
        "## Thresholds",
        "",
        *_thresholds(manifest),
        "",
        *_calibration(manifest),
        "",
        "## How good it is",
        "",
        *_metrics(manifest.metrics),
        "",
        "## Where it came from",
        "",
        *(f"- {key}: {_short(value)}" for key, value in manifest.provenance.items()),
        "",
        "## Limits",
        "",
        "- The figures hold for data like the test data. Where it stems from another source than "
        "the events that you score, measure on your own before you rely on them.",
        "- It judges the text alone and fetches nothing. Whoever writes the text can try to evade "
        "it: use it as one layer.",
        "- A verdict is a probability, not a proof. Review before you act against a person.",
        "",
    ]
    return "\n".join(lines)


def _thresholds(manifest: Manifest) -> list[str]:
    if not manifest.thresholds:
        return [
            "None: the task has no positive class, or the validation rows were too few; "
            "the likeliest class is the verdict."
        ]
    rows = [
        "| False-positive rate aimed at | Score from which a detection is raised | "
        "On held-out rows: false positives | Detection | Negatives |",
        "| --- | --- | --- | --- | --- |",
    ]
    records = manifest.calibration.get("thresholds")
    known = {
        record.get("target_fpr"): record
        for record in (records if isinstance(records, list) else [])
        if isinstance(record, dict)
    }
    for fpr, value in manifest.thresholds.items():
        mark = " (deployed)" if fpr == manifest.deployed_fpr else ""
        record = known.get(fpr, {})
        rows.append(
            f"| {fpr:g}{mark} | {value:.6f} | {_rate(record, 'fpr')} | {_rate(record, 'tpr')} | "
            f"{record.get('n_negatives', '-')} |"
        )
    return rows


def _rate(record: dict[str, Any], name: str) -> str:
    interval = record.get(f"{name}_interval")
    if not isinstance(interval, list) or len(interval) != 2:
        return "-"
    return f"{record[name]:.4g} ({interval[0]:.4g} to {interval[1]:.4g})"


def _calibration(manifest: Manifest) -> list[str]:
    lines = []
    if manifest.calibration_curve:
        method = manifest.calibration.get("curve") or manifest.calibration.get("method")
        lines.append(f"Calibrated by {method} regression on held-out rows.")
    if manifest.conformal:
        rates = ", ".join(f"{rate:g}" for rate in manifest.conformal)
        lines.append(f"Prediction sets for error rates of {rates}.")
    shares = manifest.calibration.get("share_reaching_each_stage")
    if isinstance(shares, list):
        reached = ", ".join(f"{share:.4g}" for share in shares)
        lines.append(f"Share of the validation events that reach each stage: {reached}.")
    return [" ".join(lines)] if lines else []


def _metrics(metrics: dict[str, Any]) -> list[str]:
    if not metrics:
        return ["Not evaluated on held-out test data yet: run `buckler evaluate`."]
    rows = ["| Measure | Value |", "| --- | --- |"]
    for name, value in metrics.items():
        rows.append(f"| {name} | {_short(value)} |")
    return rows


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_short(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(_short(v) for v in value)
    return str(value)
