"""The page on the agreement of a bundle with its teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

from buckler.evaluation.agreement_bound import NEVER, AgreementBound
from buckler.evaluation.plots import draw_agreement
from buckler.evaluation.report import ReportTable, render_page

_CAPTION = (
    "Classes by the bundle. It answers events whose likeliest class is at least so probable; "
    "the bound on the agreement is one-sided, and counts events of one group as dependent."
)


@dataclass(frozen=True)
class Disagreement:
    """An event that the bundle is sure of, and that the teacher sees otherwise.

    Attributes
    ----------
    event_id, text
        The event.
    by_bundle, probability
        Class of the bundle, and its probability.
    by_teacher, teacher_probability, rationale
        Class of the teacher, its probability and its reason.
    """

    event_id: str
    text: str
    by_bundle: str
    probability: float
    by_teacher: str
    teacher_probability: float
    rationale: str


def agreement_table(bound: AgreementBound) -> ReportTable:
    """Return the classes with their thresholds and bounds."""
    rows: list[tuple[str, ...]] = []
    for one in bound.classes:
        least = "never" if one.least >= NEVER else f"{one.least:.4f}"
        share = f"{one.answered.n / one.n_events:.4f}" if one.n_events else "-"
        rows.append((one.name, f"{one.n_events:,}", least, share, str(one.answered)))
    n_events = bound.overall.n
    answered = f"{bound.answered.value:.4f}"
    rows.append(("all answers", f"{n_events:,}", "", answered, str(bound.agreement)))
    rows.append(("every event answered", f"{n_events:,}", "", "1.0000", str(bound.overall)))
    heading = ("class", "events", "least probability", "share answered", "agreement")
    return ReportTable(heading, rows, _CAPTION)


def agreement_html(
    title: str, lead: str, bound: AgreementBound, disagreements: Sequence[Disagreement]
) -> str:
    """Return the page; everything that came from data is escaped.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    values = {
        "title": title,
        "headline": bound.sentence(),
        "lead": lead,
        "notes": (),
        "table": agreement_table(bound),
        "chart": draw_agreement(bound.curve, bound.target),
        "disagreements": disagreements,
    }
    return render_page("agreement.html.j2", values)
