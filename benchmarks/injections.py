"""Makes and measures the learned detector of prompt injections.

``python -m benchmarks.injections`` teaches a student and a regression on notions from
`injections.tsv` (sentences written for this purpose, by style and language) and ordinary events of
all tasks. A third of the styles and a third of the languages are left out in turn, the injection
suite always. Thresholds come from ordinary events that neither has seen, and hold for every task;
false positives are of further ones. ``--write`` puts the detector that learned all sentences into
the package.
"""

import argparse
import json
import re
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from benchmarks.injection_data import (
    FILES,
    Event,
    Events,
    Sentence,
    fill,
    injected,
    read_corpus,
    read_events,
)
from benchmarks.measure import table
from buckler.dataset import Dataset
from buckler.evaluation.intervals import wilson
from buckler.students.ngram import NgramStudent
from buckler.teachers.llm import injection
from buckler.teachers.llm.injection import (
    TASK,
    WEIGHTS,
    LearnedDetector,
    event_score,
    score_texts,
)
from buckler.teachers.llm.injection_notions import (
    LEAST_NOTIONS,
    N_NOTIONS,
    NotionRegression,
    find_notions,
)
from buckler.teachers.llm.injection_suite import load_suite
from buckler.teachers.llm.injection_views import (
    WINDOW_CHARACTERS,
    Segment,
    list_segments,
    list_views,
)

GRAMMAR, NATIVE = "grammar", "native"  # writers
TARGET_FPR = 0.001  # of ordinary events of every task
KINDS, LOOSE_FPR = 3, 0.004  # of events, each with a threshold that begins at this rate
FOLDS, COPIES, TEMPLATE_COPIES, EPOCHS = 3, 12, 60, 5
FIRST_SEGMENTS, HARD_SEGMENTS, HARD_ROUNDS = 40_000, 8_000, 2
RIDGE, ORDINARY_COPIES = 10.0, 20  # of the regression on notions
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


def segments_with(text: str, around: list[Segment], rng: np.random.Generator) -> list[Segment]:
    """Return segments that are mostly of a text, which has ordinary text around it or none."""
    before, after = (around[i].text for i in rng.integers(len(around), size=2))
    before, after = (("", ""), (before, ""), ("", after), (before, after))[rng.integers(4)]
    joint = (" ", "\n", ". ")[rng.integers(3)]
    whole = f"{before[-int(rng.integers(1, 160)) :]}{joint}{text}{joint[-1]}{after}"
    words = set(re.findall(r"\w+", text.lower()))
    found = []
    for segment in list_segments(list(list_views(whole))):
        own = re.findall(r"\w+", segment.text.lower())
        is_long = 2 * len(segment.text) >= min(len(text), WINDOW_CHARACTERS)
        if own and is_long and sum(word in words for word in own) >= 0.6 * len(own):
            found.append(segment)
    return found


def examples(
    corpus: list[Sentence], events: Events, rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Return texts and the class of each."""
    texts, labels = list[str](), list[str]()
    for one in corpus:
        for _ in range(TEMPLATE_COPIES if one.writer == GRAMMAR else COPIES):
            found = segments_with(fill(one.text, rng), events.learn, rng)
            texts += [reading_of(segment, rng) for segment in found]
            labels += [TASK.class_names[one.is_injection]] * len(found)
    return texts, labels


def reading_of(segment: Segment, rng: np.random.Generator) -> str:
    return segment.readings[rng.integers(len(segment.readings))]


def teach(
    corpus: list[Sentence], events: Events, seed: int, settings: dict[str, int]
) -> NgramStudent:
    """Return a student; later fits see the ordinary segments that earlier ones took for worst."""
    rng = np.random.default_rng(seed)
    texts, labels = examples(corpus, events, rng)
    ordinary = [reading_of(segment, rng) for segment in events.learn]
    some = [ordinary[i] for i in rng.permutation(len(ordinary))[:FIRST_SEGMENTS]]
    student = fit(texts + some, labels + ["ordinary"] * len(some), seed, settings)
    for _ in range(HARD_ROUNDS):
        order = np.argsort(-score_texts(student, ordinary))
        some += [ordinary[i] for i in order[:HARD_SEGMENTS] for _ in range(2)]
        student = fit(texts + some, labels + ["ordinary"] * len(some), seed, settings)
    return student


def fit(texts: list[str], labels: list[str], seed: int, settings: dict[str, int]) -> NgramStudent:
    raws = [text.encode("utf-8", "replace") for text in texts]
    ids = [i.to_bytes(16, "big") for i in range(len(raws))]
    student = NgramStudent(epochs=EPOCHS, seed=seed, dropout=0.2, **settings)
    return student.fit(Dataset.from_texts(raws, TASK, labels=labels, ids=ids))


def teach_notions(
    corpus: list[Sentence], events: Events, rng: np.random.Generator
) -> NotionRegression:
    """Return a regression on pairs of notions; Newton's method, with a ridge."""
    positive, ordinary = list[list[int]](), list[list[int]]()
    for segment in events.learn:
        if len(segment.notions) >= LEAST_NOTIONS:
            ordinary.append(list(segment.notions))
    for one in corpus:
        if one.is_injection:
            copies, rows = TEMPLATE_COPIES if one.writer == GRAMMAR else COPIES, positive
        else:
            copies, rows = ORDINARY_COPIES, ordinary
        found = (find_notions(fill(one.text, rng)) for _ in range(copies))
        rows += [notions for notions in found if len(notions) >= LEAST_NOTIONS]
    present = np.zeros((len(positive) + len(ordinary), N_NOTIONS))
    for row, notions in zip(present, positive + ordinary, strict=True):
        row[notions] = 1
    first, second = np.triu_indices(N_NOTIONS)
    features = np.column_stack([present[:, first] * present[:, second], np.ones(len(present))])
    targets = np.arange(len(features)) < len(positive)
    weights = np.where(targets, len(ordinary) / len(positive), 1.0)
    ridge = np.append(np.full(len(first), RIDGE), 0.001)
    solution = np.zeros(len(ridge))
    for _ in range(12):
        found = 1 / (1 + np.exp(-(features @ solution)))
        curvature = (features.T * (weights * found * (1 - found))) @ features + np.diag(ridge)
        slope = features.T @ (weights * (targets - found)) - ridge * solution
        solution += np.linalg.solve(curvature, slope)
    pairs = np.zeros((N_NOTIONS, N_NOTIONS), np.float32)
    pairs[first, second] = solution[:-1]
    return NotionRegression(pairs, float(solution[-1]))


def teach_detector(
    corpus: list[Sentence], events: Events, seed: int, settings: dict[str, int]
) -> LearnedDetector:
    """Return a detector whose thresholds keep the false positives of every task."""
    notions = teach_notions(corpus, events, np.random.default_rng(seed))
    detector = LearnedDetector(teach(corpus, events, seed, settings), notions, ())
    scores = [score_events(detector, some) for some in events.calibrate.values()]
    kinds = [np.array([one.kind for one in some]) for some in events.calibrate.values()]
    return replace(detector, thresholds=set_thresholds(scores, kinds))


def set_thresholds(scores: list[Floats], kinds: list[npt.NDArray[np.intp]]) -> tuple[float, ...]:
    """Return a threshold for each kind, low enough for every task's rate to be the target.

    It is raised where a task loses too many events. With n events at or above it, the next event is
    one of them in n + 1 of so many cases: a task loses one event less than its share.
    """
    all_scores, all_kinds = np.concatenate(scores), np.concatenate(kinds)
    found = np.array(
        [np.quantile(all_scores[all_kinds == kind], 1 - LOOSE_FPR) for kind in range(KINDS)]
    )
    allowed = [max(int(TARGET_FPR * (len(some) + 1)) - 1, 0) for some in scores]
    while True:
        over = [some > found[kind] for some, kind in zip(scores, kinds, strict=True)]
        excess = [int(hits.sum()) - most for hits, most in zip(over, allowed, strict=True)]
        worst = int(np.argmax(excess))
        if excess[worst] <= 0:
            return tuple(found.tolist())
        kind = int(np.argmax(np.bincount(kinds[worst][over[worst]])))
        found[kind] = scores[worst][over[worst] & (kinds[worst] == kind)].min()


def score_events(detector: LearnedDetector, events: list[Event]) -> Floats:
    """Return what is compared with a threshold, for each event."""
    scores = detector.score([segment for one in events for segment in one.segments])
    parts = np.split(scores, np.cumsum([len(one.segments) for one in events])[:-1])
    return np.array([event_score(part) if len(part) else -np.inf for part in parts], np.float32)


def find(detector: LearnedDetector, events: list[Event]) -> Bools:
    """Return what patterns, learned parts and both find, bool [3, n]."""
    matches = np.array([one.matches for one in events])
    thresholds = np.array(detector.thresholds)[[one.kind for one in events]]
    learned = score_events(detector, events) > thresholds
    return np.array([matches, learned, matches | learned])


def rate(hits: Bools) -> str:
    share = wilson(int(np.sum(hits)), hits.size)
    return f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"


def measure(corpus: list[Sentence], events: Events, seed: int, settings: dict[str, int]) -> None:
    """Print what is found of styles and languages that the detector has not seen."""
    found = defaultdict[str, list[Bools]](list)
    for fold in range(FOLDS):
        for part, hits in measure_fold(corpus, events, seed, settings, fold).items():
            found[part].append(hits)
            print(fold, part, hits.mean(axis=2).round(3).tolist(), flush=True)
    rows = [row_of(part, np.concatenate(hits, axis=2)) for part, hits in found.items()]
    table(("Left out", "sentences", "patterns", "learned", "both", *FILES), rows)


def row_of(part: str, hits: Bools) -> tuple[object, ...]:
    """Return a row of a table: shares by part of the detector, and of both by task."""
    return part, hits.shape[2], *map(rate, hits), *(f"{one.mean():.2f}" for one in hits[2])


def measure_fold(
    corpus: list[Sentence], events: Events, seed: int, settings: dict[str, int], fold: int
) -> dict[str, Bools]:
    """Return what is found of the sentences that a fold leaves out, bool [3, tasks, n]."""
    rng = np.random.default_rng(seed)
    injections = [s for s in corpus if s.is_injection]  # ordinary sentences are always learned
    writers = rng.permutation(sorted({s.writer for s in injections if s.language == "en"}))
    languages = rng.permutation(sorted({s.language for s in injections if s.language != "en"}))
    styles, foreign = set(writers[fold::FOLDS]), set(languages[fold::FOLDS])
    parts = {
        "styles": [s for s in injections if s.writer in styles],
        "languages": [s for s in injections if s.language in foreign and s.writer != NATIVE],
        "languages, free wordings": [
            s for s in injections if s.language in foreign and s.writer == NATIVE
        ],
    }
    out = {s for some in parts.values() for s in some}
    kept = [s for s in corpus if s not in out and s.writer != NATIVE]
    detector = teach_detector(kept, events, seed, settings)
    hits = {}
    for part, some in parts.items():
        texts = [fill(s.text, rng) for s in some]
        hits[part] = find(detector, injected(texts, events, rng)).reshape(3, -1, len(texts))
    return hits


def measure_false_positives(detector: LearnedDetector, events: Events, n_shown: int = 5) -> None:
    rows = []
    for name, some in events.test.items():
        hits = find(detector, some)
        rows.append((name, len(some), *map(rate, hits)))
        for i in np.flatnonzero(hits[1])[:n_shown]:
            worst = int(np.argmax(detector.score(some[i].segments)))
            print(f"  {name}: {some[i].segments[worst].text!r}")
    table(("Ordinary events", "events", "patterns", "learned", "both"), rows)


def write(detector: LearnedDetector) -> None:
    """Put a detector into the package."""
    export, notions = detector.student.export(), detector.notions
    settings = {
        **export.settings,
        "thresholds": detector.thresholds,
        "notion_bias": notions.bias,
    }
    path = Path(injection.__file__).with_name(WEIGHTS)
    tensors = {**export.tensors, "notions": notions.weights}
    save_file(tensors, path, {"settings": json.dumps(settings, sort_keys=True)})
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.injections", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bits", type=int, default=15, help="table of 2 ** bits rows")
    parser.add_argument("--order", type=int, default=6, help="longest n-gram")
    parser.add_argument("--hidden", type=int, default=16, help="width of the hidden layer")
    parser.add_argument("--write", action="store_true", help="put the detector into the package")
    parser.add_argument("--only-write", action="store_true", help="measure false positives alone")
    given = parser.parse_args()
    corpus, events = read_corpus(), read_events(given.seed)
    settings = {"table_bits": given.bits, "max_order": given.order, "hidden": given.hidden}
    if not given.only_write:
        measure(corpus, events, given.seed, settings)
    detector = teach_detector(corpus, events, given.seed, settings)
    texts = [one.render("benign") for one in load_suite()]
    hits = find(detector, injected(texts, events, np.random.default_rng(given.seed)))
    row = row_of("suite", hits.reshape(3, -1, len(texts)))
    table(("Learned", "sentences", "patterns", "learned", "both", *FILES), [row])
    measure_false_positives(detector, events)
    if given.write or given.only_write:
        write(detector)
    return 0


if __name__ == "__main__":
    sys.exit(main())
