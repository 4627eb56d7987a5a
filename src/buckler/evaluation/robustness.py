"""Robustness: shares of events detected before and after attacks, on the same events."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from buckler.attacks import Attack
from buckler.evaluation.intervals import Rate, rate
from buckler.evaluation.plots import draw_attacks
from buckler.evaluation.report import (
    ReportTable,
    number,
    rate_text,
    render_page,
    without_nan,
)

_CAPTION = (
    "Share of positive events detected at the deployed threshold, with intervals by group, before "
    "and after each attack, of the events to which the attack applies. Where no class is positive: "
    "the share of correct verdicts."
)
Bools = npt.NDArray[np.bool_]
Groups = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AttackOutcome:
    """One attack against one model.

    Attributes
    ----------
    attack, description
        Name and description of the attack.
    n_changed
        Events to which it applies; the shares are of these.
    before, after
        Share detected at the deployed threshold, unchanged and attacked.
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
        Name in tables.
    detected, false_positives
        Shares of the unchanged events. For a task without positive classes, `detected` is the
        accuracy and there are no false positives.
    matched, matched_fpr
        Share detected at the threshold that gives exactly this false-positive rate on the unchanged
        negatives: models are comparable only at one rate.
    outcomes
        One for each attack.
    """

    model: str
    detected: Rate
    false_positives: Rate
    matched: float = float("nan")
    matched_fpr: float | None = None
    outcomes: list[AttackOutcome] = field(default_factory=list)


def compare_attacked(attack: Attack, before: Bools, after: Bools, groups: Groups) -> AttackOutcome:
    """Return the outcome of an attack from the detections before and after it, by group."""
    found = rate(before, groups), rate(after, groups)
    return AttackOutcome(attack.name, attack.description, len(before), *found)


def robustness_table(models: list[Robustness]) -> ReportTable:
    """Return the models side by side, for a report."""
    first = models[0]
    heading = ["attack", "events"]
    for model in models:
        heading += [f"{model.model}: before", f"{model.model}: after"]

    def row(name: str, events: str, cells: Callable[[Robustness], Sequence[str]]) -> None:
        rows.append((name, events, *(cell for model in models for cell in cells(model))))

    rows: list[tuple[str, ...]] = []
    row("none", f"{first.detected.n_rows:,}", lambda m: (rate_text(m.detected, 3), ""))
    if n_negatives := first.false_positives.n_rows:
        name = "none: false positives"
        row(name, f"{n_negatives:,}", lambda m: (rate_text(m.false_positives), ""))
    if first.matched_fpr is not None:
        name = f"none: at FPR {first.matched_fpr:g} of these rows"
        row(name, "", lambda m: (number(m.matched), ""))
    for outcomes in zip(*(model.outcomes for model in models), strict=True):
        cells = [rate_text(share, 3) for o in outcomes for share in (o.before, o.after)]
        rows.append((outcomes[0].attack, f"{outcomes[0].n_changed:,}", *cells))
    return ReportTable(tuple(heading), rows, _CAPTION)


def robustness_json(models: list[Robustness]) -> bytes:
    """Return the figures as JSON."""
    document = {"buckler": version("buckler"), "models": [asdict(model) for model in models]}
    return json.dumps(without_nan(document), indent=1, allow_nan=False).encode() + b"\n"


def _draw(model: Robustness) -> str:
    outcomes = [each for each in model.outcomes if each.n_changed]
    return draw_attacks(
        [each.attack for each in outcomes],
        [each.before.value for each in outcomes],
        [each.after.value for each in outcomes],
    )


def _headline(model: Robustness) -> str:
    """Return one sentence: what is detected, and which attack takes most of it away."""
    outcomes = [each for each in model.outcomes if each.n_changed]
    if not outcomes:
        return ""
    worst = min(outcomes, key=lambda each: each.after.value - each.before.value)
    before, after = (f"{100 * share.value:.0f} of 100" for share in (worst.before, worst.after))
    has_positives = model.false_positives.n_rows
    what = f"detects {before} positive" if has_positives else f"is right on {before}"
    return f"{model.model} {what} events; after the worst attack, {worst.attack}, {after}."


def robustness_html(
    title: str, lead: str, models: list[Robustness], notes: tuple[str, ...] = ()
) -> str:
    """Return a page of its own.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    values = {
        "title": title,
        "headline": _headline(models[0]),
        "lead": lead,
        "notes": notes,
        "table": robustness_table(models),
        "attacks": models[0].outcomes,
        "charts": {model.model: _draw(model) for model in models if model.outcomes},
    }
    return render_page("attack.html.j2", values)
