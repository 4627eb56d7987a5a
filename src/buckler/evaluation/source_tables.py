"""Tables and sentences on unseen sources, for the terminal, the report and the card."""

from datetime import UTC, datetime

from buckler.evaluation.intervals import Rate
from buckler.evaluation.report import ReportTable, number, rate_text
from buckler.evaluation.unseen_sources import SourceRecord

_SOURCES_CAPTION = (
    "Each source scored by students that saw no event of its family, at the threshold of training, "
    "with 95 % intervals by group. AUROC within a source compares its own two kinds of events, so "
    "the source itself gives nothing away. A class with a single family cannot be left out: its "
    "source is marked as known."
)
_OPTIONS_CAPTION = (
    "Thresholds that could be deployed, and their effect on all unseen sources together. "
    "The rule names the negatives on which the false-positive rate holds."
)
_LATER_CAPTION = (
    "The latest fifth of the events with a time of each family of sources, at the threshold of "
    "training: scored by a student that learned all families as far as their events are older, and "
    "by a student that saw no event of the family."
)


def source_sentences(record: SourceRecord) -> tuple[str, ...]:
    """Return what the figures on unseen sources say, in words."""
    found = []
    if record.pair_auroc is not None:
        found.append(
            f"On pairs of sources that the student has not seen, AUROC is {record.pair_auroc:.3f} "
            f"(mean of {record.n_pairs:,})."
        )
    for option in record.options:
        if option.value != record.threshold or option.rule is not record.rule:
            continue
        found.append(
            f"At a threshold of {option.value:.4f} it detects {_percent(option.detection)} of the "
            f"positive events and {_percent(option.false_positives)} of the others there; at worst "
            f"{_percent(option.worst_false_positives)} of the others, of {option.worst_source}."
        )
    uncertain = [s.uncertain for s in record.sources if s.unseen and s.uncertain is not None]
    if n_events := sum(share.n_rows for share in uncertain):
        share = sum(share.value * share.n_rows for share in uncertain) / n_events
        found.append(f"It cannot tell of {share * 100:.1f} % of all events there.")
    return (*found, *record.warnings)


def source_tables(record: SourceRecord) -> dict[str, ReportTable]:
    """Return tables by name: figures by source, thresholds that could be deployed, latest events.

    A table without rows is left out, but that of the sources.
    """
    tables = {"options": _option_table(record), "later": _later_table(record)}
    found = {name: table for name, table in tables.items() if table.rows}
    return {"sources": _source_table(record), **found}


def _source_table(record: SourceRecord) -> ReportTable:
    heading = (
        "source",
        "seen",
        "positive",
        "others",
        "detection",
        "false positives",
        "AUROC",
        "cannot tell",
    )
    rows: list[tuple[str, ...]] = [
        (
            one.source[:80],
            "no" if one.unseen else "known",
            f"{0 if one.detection is None else one.detection.n_rows:,}",
            f"{0 if one.false_positives is None else one.false_positives.n_rows:,}",
            rate_text(one.detection, 3),
            rate_text(one.false_positives, 3),
            "-" if one.auroc is None else number(one.auroc),
            rate_text(one.uncertain, 3),
        )
        for one in record.sources
    ]
    return ReportTable(heading, rows, _SOURCES_CAPTION)


def _option_table(record: SourceRecord) -> ReportTable:
    heading = ("rule", "threshold", "detection", "false positives", "of the worst source", "source")
    rows: list[tuple[str, ...]] = [
        (
            f"{one.rule}{' (chosen)' if one.value == record.threshold else ''}",
            f"{one.value:.6f}",
            rate_text(one.detection, 3),
            rate_text(one.false_positives, 3),
            rate_text(one.worst_false_positives, 3),
            one.worst_source[:60],
        )
        for one in record.options
    ]
    return ReportTable(heading, rows, _OPTIONS_CAPTION)


def _later_table(record: SourceRecord) -> ReportTable:
    heading = ("family", "kind", "from", "events", "learned until then", "unseen")
    rows: list[tuple[str, ...]] = [
        (
            one.family[:80],
            "positive" if one.positive else "others",
            datetime.fromtimestamp(one.since, UTC).strftime("%Y-%m-%d"),
            f"{one.detected.n_rows:,}",
            rate_text(one.detected, 3),
            rate_text(one.detected_unseen, 3),
        )
        for one in record.later
    ]
    return ReportTable(heading, rows, _LATER_CAPTION)


def _percent(value: Rate) -> str:
    return f"{value.value * 100:.1f} %"
