"""Reading to the first result: words from the top of the README to what a new user came for.

Words are those of prose, tables and commands: what stands between spaces and holds a letter or a
digit. 200 a minute are slow reading, as of a text that one types along with.
"""

import re
from pathlib import Path

from benchmarks.measure import table

ROOT = Path(__file__).resolve().parents[1]
WORDS_A_MINUTE = 200
# Who -> (page, text that ends the reading) one after the other.
DOORS = ("README.md", "## Try all of it")
PATHS = {
    "a verdict": [("README.md", "buckler scan")],
    "a bundle from labels, records for the SIEM": [
        DOORS,
        ("docs/tutorials/csv-to-siem.md", "cat detections.jsonl"),
    ],
    "a task of one's own with a language model": [
        DOORS,
        ("docs/tutorials/own-task-with-llm.md", "That is the first result."),
    ],
    "a verdict in one's own program": [DOORS, ("docs/tutorials/embed.md", "## C\n")],
}


def run(data: Path) -> None:  # noqa: ARG001 - every section takes the folder of the data
    rows = []
    for name, stages in PATHS.items():
        words = sum(count_words(page, end) for page, end in stages)
        rows.append((name, f"{words:,}", f"{words / WORDS_A_MINUTE:.1f}"))
    table(("first result", "words to read", "minutes"), rows)


def count_words(page: str, end: str) -> int:
    """Count the words of a page before a text."""
    before, found, _ = (ROOT / page).read_text().partition(end)
    if not found:
        raise ValueError(f"{page} has no {end!r}")
    shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", before)  # of a link or picture, its text
    return len([word for word in shown.split() if re.search(r"\w", word)])
