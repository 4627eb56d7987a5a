"""One vocabulary: words that the glossary replaced do not come back."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "tests", "benchmarks", "docs", "examples")
SUFFIXES = {".py", ".pyi", ".c", ".h", ".md", ".toml", ".j2", ".js", ".css"}
REPLACED = {
    "badness": "score",
    "alarms?": "detection, false positive, drift alert",
    "opinions?": "annotation",
    "labelers?": "annotator",
    "specimens?": "synthetic example",
    "canonical forms?": "normalized text",
    "normaliser": "normalizer",
    "committees?": "ensemble",
    "polygons?": "calibration curve",
    "knots?": "calibration curve",
    "cross-fitted": "out-of-fold",
    "told[ -]apart": "real-vs-synthetic AUROC",
    "gates?": "filter",
    "lots?": "random sample",
    "lanes?": "stratum",
    "stands? behind": "grouped under, follows",
}
PATTERN = re.compile("|".join(rf"\b(?:{word})\b" for word in REPLACED), re.IGNORECASE)
# Words of another meaning: vector lanes of the processor, and texts of templates.
ALLOWED = {
    "src/buckler/kernel/ngram_path.h": "lane",
    "src/buckler/kernel/paths.c": "lane",
    "src/buckler/kernel/url_path.h": "lane",
    "src/buckler/synthesis/templates/html.toml": "alarm|committee|gate",
    "src/buckler/synthesis/templates/url-category.toml": "gate",
    "tests/test_docs.py": ".",
    "tests/test_vocabulary.py": ".",
}


def texts():
    for folder in FOLDERS:
        for path in sorted((PROJECT / folder).rglob("*")):
            if path.suffix in SUFFIXES and ".min." not in path.name:
                yield path.relative_to(PROJECT).as_posix(), path.read_text(encoding="utf-8")
    yield "README.md", (PROJECT / "README.md").read_text(encoding="utf-8")


def test_replaced_words_do_not_come_back():
    found = [
        f"{name}:{number} {match[0]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        for match in PATTERN.finditer(line)
        if not re.match(ALLOWED.get(name, "$"), match[0], re.IGNORECASE)
    ]
    assert found == []


@pytest.mark.parametrize("word", ["alarm", "Stands behind", "told-apart", "LOT"])
def test_the_pattern_finds_replaced_words(word):
    assert PATTERN.search(f"a {word}.")
    assert not PATTERN.search("a slot, a plot, an ablation, navigates")
