"""Sentences and ordinary events for the learned detector of prompt injections."""

import csv
import re
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from buckler.dataset import Dataset, read_dataset
from buckler.tasks import get_task
from buckler.teachers.llm.injection import kind_of, match_patterns
from buckler.teachers.llm.injection_suite import insert_text
from buckler.teachers.llm.injection_views import Segment, list_segments, list_views

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CORPUS = Path(__file__).with_name("injections.tsv")
SLOTS = Path(__file__).with_name("injection_slots.toml")
FILES = {  # task -> files, the share of them to learn from, and to set thresholds with
    "url-threat": [
        (["url/threat-train", "url/field"], 0.5, 0.25),
        (["url/threat-test"], 0.0, 0.5),
    ],
    "command-line": [
        (["command_line/labelled", "command_line/field"], 0.5, 0.25),
        (["command_line/test"], 0.0, 0.5),
    ],
    "email": [(["email/train", "email/modern"], 0.5, 0.25), (["email/test"], 0.0, 0.5)],
    "html": [(["html/pages"], 0.4, 0.4)],
}
LABELS = [
    *("benign", "safe", "legitimate", "harmless", "ham", "clean", "trusted", "routine", "ok", "0"),
    *("allow", "not_phishing", "good", "non-malicious", "no_threat", "false_positive", "low_risk"),
    *("allowlisted", "negative"),
]
MOST_EVENTS = 12_000  # of the first files of a task, and of the others
MOST_SEGMENTS, SENTENCES = 30, 4_000  # of an event to learn, and that are events of their own


@dataclass(frozen=True)
class Sentence:
    """A line of the corpus."""

    is_injection: bool
    writer: str
    language: str
    text: str


@dataclass(frozen=True)
class Event:
    """What the detector reads of an event."""

    kind: int
    segments: list[Segment]
    matches: bool = False  # a pattern


@dataclass(frozen=True)
class Events:
    """Ordinary events: segments to learn, events to set the thresholds with, and events to test."""

    learn: list[Segment]
    calibrate: dict[str, list[Event]]
    test: dict[str, list[Event]]
    raws: dict[str, list[bytes]]


def read_corpus() -> list[Sentence]:
    with CORPUS.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [
            Sentence(row["label"] == "injection", row["writer"], row["language"], row["text"])
            for row in rows
        ]


def read_events(seed: int) -> Events:
    """Read the ordinary events of every task, and sentences of mails and pages as events."""
    found = Events([], {}, {}, {})
    with ProcessPoolExecutor(len(FILES)) as pool:
        for name, part in zip(FILES, pool.map(partial(read_task, seed), FILES), strict=True):
            found.learn.extend(part.learn)
            found.calibrate.update(part.calibrate)
            found.test.update(part.test)
            found.raws.update(part.raws)
            print(f"{name}: {len(part.calibrate[name]):,} for the thresholds", flush=True)
    rng = np.random.default_rng(seed)
    found.test["sentences"] = sentences_of([*found.test["email"], *found.test["html"]], rng)
    return found


def read_task(seed: int, name: str) -> Events:
    rng, task = np.random.default_rng(seed), get_task(name)
    learn = list[Segment]()
    calibrate, test, raws = list[Event](), list[Event](), list[bytes]()
    for paths, to_learn, to_calibrate in FILES[name]:
        whole = read_dataset([DATA / f"{p}.parquet" for p in paths], task, labeled=False)
        events = sample(whole, MOST_EVENTS, rng)
        groups = [f"row {i}" if g is None else g for i, g in enumerate(events.groups)]
        _, group = np.unique(groups, return_inverse=True)
        place = rng.random(len(groups))[group]  # groups stay whole
        for raw, at in zip(events.raw_texts, place, strict=True):
            views = list(list_views(task.readable(raw)))
            segments = list_segments(views)
            if at < to_learn:
                learn += [segments[i] for i in rng.permutation(len(segments))[:MOST_SEGMENTS]]
            elif at < to_learn + to_calibrate:
                calibrate.append(Event(kind_of(views), segments))
            else:
                matches = match_patterns(views) is not None
                test.append(Event(kind_of(views), segments, matches))
                raws.append(bytes(raw))
    raws = [raws[i] for i in rng.permutation(len(raws))[:200]]
    return Events(learn, {name: calibrate}, {name: test}, {name: raws})


def sentences_of(events: list[Event], rng: np.random.Generator) -> list[Event]:
    """Return sentences of mails and pages, which may stand alone as events too."""
    found = [one for event in events for one in event.segments if one.text.count(" ") > 2]
    return [Event(1, [found[i]]) for i in rng.permutation(len(found))[:SENTENCES]]


def sample(events: Dataset, n: int, rng: np.random.Generator) -> Dataset:
    return events.take(np.sort(rng.permutation(len(events))[:n]))


@cache
def read_slots() -> dict[str, list[str]]:
    """Return the words of each slot of the templates."""
    slots = tomllib.loads(SLOTS.read_text(encoding="utf-8"))
    return {**slots, "good": LABELS}


def fill(template: str, rng: np.random.Generator) -> str:
    """Return a template with a word in each slot."""

    def choose(slot: re.Match[str]) -> str:
        words = read_slots().get(slot[1], [slot[0]])
        return words[rng.integers(len(words))]

    return " ".join(re.sub(r"\{(\w+)\}", choose, template).split())


def injected(texts: list[str], events: Events, rng: np.random.Generator) -> list[Event]:
    """Return an event of each task in turn with each text in it, task by task."""
    found = []
    for name, raws in events.raws.items():
        task = get_task(name)
        for text in texts:
            raw = insert_text(task, raws[rng.integers(len(raws))], text)
            views = list(list_views(task.readable(raw)))
            matches = match_patterns(views) is not None
            found.append(Event(kind_of(views), list_segments(views), matches))
    return found
