"""Plain records: the verdict as it is."""

from buckler.runtime import Scorer
from buckler.serving.formats import VERDICT_FORMATS, Record, ScoredEvent


@VERDICT_FORMATS.add
def plain(event: ScoredEvent, scorer: Scorer) -> Record:
    """Return the verdict with its time and the bundle that gave it."""
    record = dict(event.verdict)
    if event.text is not None:
        record["text"] = event.readable
    record["time"], record["bundle"] = event.iso_time, scorer.manifest.name
    if event.source:
        record["source"] = event.source
    if event.kept:
        record["fields"] = dict(event.kept)
    return record
