"""What attacks do to detection: shares caught before and after, on the same events."""

import json
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from buckler.evaluation.metrics import Rate, rate
from buckler.evaluation.pages import render
from buckler.evaluation.report import ATTACK_CAPTION, Comparison, number, without_nan

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Outcome:
    """One attack against one model.

    Attributes
    ----------
    attack, description
        Which, and what it does.
    n_changed
        Events that it could be applied to; the shares are of these.
    before, after
        Share caught at the deployed threshold: as they are, and attacked.
    """

    attack: str
    description: str
    n_changed: int
    before: Rate
    after: Rate


@dataclass(frozen=True)
class Robustness:
    """All attacks against one model.

    Attributes
    ----------
    model
        How it is called in tables.
    caught, false_detections
        On the events as they are. For a task without positive classes, `caught` is the accuracy and
        nothing is a false positive.
    matched, matched_fpr
        Share caught where exactly this share of the clean negatives of the test detections: deployed
        thresholds keep more or less than they promise, and models can only be compared at one rate.
    outcomes
        One an attack.
    """

    model: str
    caught: Rate
    false_positives: Rate
    matched: float = float("nan")
    matched_fpr: float | None = None
    outcomes: list[Outcome] = field(default_factory=list)


def outcome(name: str, description: str, before: Bools, after: Bools) -> Outcome:
    """Return the outcome of an attack on events of which these were caught."""
    return Outcome(name, description, len(before), rate(before), rate(after))


def robustness_table(models: list[Robustness]) -> Comparison:
    """Return the models side by side, for a report."""
    head = ["attack", "events"]
    for model in models:
        head += [f"{model.model}: before", f"{model.model}: after"]
    rows: list[tuple[str, ...]] = []
    clean = ["none", f"{models[0].caught.n_rows:,}"]
    for model in models:
        clean += [_share(model.caught), ""]
    rows.append(tuple(clean))
    if models[0].false_positives.n_rows:
        detections = ["none: false positives", f"{models[0].false_positives.n_rows:,}"]
        for model in models:
            detections += [_share(model.false_positives, 4), ""]
        rows.append(tuple(detections))
    if (target := models[0].matched_fpr) is not None:
        matched = [f"none: at FPR {target:g} of these rows", ""]
        for model in models:
            matched += [number(model.matched), ""]
        rows.append(tuple(matched))
    for position, first in enumerate(models[0].outcomes):
        cells = [first.attack, f"{first.n_changed:,}"]
        for model in models:
            found = model.outcomes[position]
            cells += [_share(found.before), _share(found.after)]
        rows.append(tuple(cells))
    return Comparison(tuple(head), rows)


def robustness_json(models: list[Robustness]) -> bytes:
    """Return the figures as JSON."""
    document = {"buckler": version("buckler"), "models": [asdict(model) for model in models]}
    return json.dumps(without_nan(document), indent=1, allow_nan=False).encode() + b"\n"


def _share(value: Rate, places: int = 3) -> str:
    if not value.n_rows:
        return "-"
    return f"{value.value:.{places}f} ({value.low:.{places}f} to {value.high:.{places}f})"


def robustness_html(
    title: str, lead: str, models: list[Robustness], notes: tuple[str, ...] = ()
) -> str:
    """Return a page of its own.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    return render(
        "attack.html.j2",
        title=title,
        lead=lead,
        notes=notes,
        table=robustness_table(models),
        caption=ATTACK_CAPTION,
        attacks=[{"name": o.attack, "description": o.description} for o in models[0].outcomes],
    )
