"""Speed of normalizing mails and pages: megabytes and events a second of CPU time, on one core."""

from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.measure import cpu_s, in_turns, table
from buckler.normalize import get_normalizer
from buckler.normalize.html_scan import scan_html
from buckler.normalize.mime import parse_message

ROUNDS, MAX_BYTES = 3, 1 << 16
SAMPLES = {"email/train": ("raw", 24), "email/modern": ("raw", 24), "html/pages": ("html", 80)}


def sample(data: Path, name: str) -> list[bytes]:
    """Return every n-th event of a public data set."""
    column, step = SAMPLES[name]
    found = pq.read_table(data / f"{name}.parquet", columns=[column])[column].to_pylist()[::step]
    return [str(event).encode("utf-8", "surrogateescape") for event in found if event]


def run(data: Path) -> None:
    rows = []
    for name, (column, _) in SAMPLES.items():
        events = sample(data, name)
        pages = [event.decode("utf-8", "replace") for event in events]
        normalizer = get_normalizer("html-v1" if column == "html" else "email-v2")
        work = {
            "normalized text": lambda e=events, n=normalizer: [n.normalize(x, MAX_BYTES) for x in e]
        }
        if column == "html":
            work["scan of the page"] = lambda p=pages: [scan_html(x) for x in p]
        else:
            work["parts of the mail"] = lambda e=events: [parse_message(x) for x in e]
        size = sum(map(len, events))
        for what, seconds in in_turns(work, ROUNDS, cpu_s).items():
            rows.append(
                (
                    name,
                    what,
                    f"{len(events):,}",
                    f"{size / seconds / 1e6:,.1f}",
                    f"{len(events) / seconds:,.0f}",
                )
            )
    table(("rows", "work", "events", "MB/s", "events/s"), rows)
