"""Makes and measures the learned detector of prompt injections.

``python -m benchmarks.injections`` teaches a student on `injections.tsv` (sentences written for
this purpose, by style and language) and ordinary events of all tasks. A third of the styles and a
third of the languages are left out in turn, the injection suite always. The threshold comes from
ordinary events that the student has not seen, and holds for the worst task; false positives are of
further ones, which neither saw. ``--write`` puts the student that learned all sentences into the
package.
"""

import argparse
import csv
import json
import re
import sys
import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from benchmarks.measure import table
from buckler.dataset import Dataset, read_dataset
from buckler.evaluation.intervals import wilson
from buckler.students.ngram import NgramStudent
from buckler.tasks import get_task
from buckler.teachers.llm import injection
from buckler.teachers.llm.injection import (
    TASK,
    WEIGHTS,
    LearnedDetector,
    list_windows,
    match_patterns,
    score_windows,
)
from buckler.teachers.llm.injection_notions import (
    LEAST_NOTIONS,
    N_NOTIONS,
    NotionDetector,
    find_notions,
    list_passages,
)
from buckler.teachers.llm.injection_suite import insert_text, load_suite
from buckler.teachers.llm.injection_views import WINDOW_CHARACTERS, cut_windows, list_views

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CORPUS = Path(__file__).with_name("injections.tsv")
SLOTS = Path(__file__).with_name("injection_slots.toml")
GRAMMAR, NATIVE = "grammar", "native"
FILES = {  # task -> files of training, files of test
    "url-threat": (["url/threat-train", "url/field"], ["url/threat-test"]),
    "command-line": (["command_line/labelled", "command_line/field"], ["command_line/test"]),
    "email": (["email/train", "email/modern"], ["email/test"]),
    "html": (["html/pages"], []),
}
LABELS = [
    *("benign", "safe", "legitimate", "harmless", "ham", "clean", "trusted", "routine", "ok", "0"),
    *("allow", "not_phishing", "good", "non-malicious", "no_threat", "false_positive", "low_risk"),
    *("allowlisted", "negative"),
]
MOST_EVENTS = 12_000  # of the files of training of a task, and of those of test
SHARES = ((0.5, 0.25), (0.0, 0.5))  # of them to learn from, and to set the threshold with
TARGET_FPR = 0.001  # of ordinary events of the worst task
FOLDS, COPIES, EPOCHS = 3, 6, 5
TEMPLATE_COPIES = 60
MOST_WINDOWS, FIRST_WINDOWS, HARD_WINDOWS, SENTENCES = 30, 40_000, 4_000, 4_000
RIDGE, ORDINARY_COPIES = 10.0, 20  # of the regression on notions
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sentence:
    """A line of the corpus."""

    is_injection: bool
    writer: str
    language: str
    text: str


@dataclass(frozen=True)
class Events:
    """Views of ordinary events: to learn from, to set the threshold, and to test."""

    learn: list[str]
    learn_notions: list[list[int]]
    calibrate: dict[str, list[list[tuple[str, str]]]]
    test: dict[str, list[list[tuple[str, str]]]]
    raws: dict[str, list[bytes]]


def read_corpus() -> list[Sentence]:
    with CORPUS.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [
            Sentence(row["label"] == "injection", row["writer"], row["language"], row["text"])
            for row in rows
        ]


def read_events(rng: np.random.Generator) -> Events:
    learn, notions, raws = list[str](), list[list[int]](), defaultdict[str, list[bytes]](list)
    calibrate, test = (defaultdict[str, list[list[tuple[str, str]]]](list) for _ in range(2))
    for name, files in FILES.items():
        task = get_task(name)
        for paths, (to_learn, to_calibrate) in zip(files, SHARES, strict=True):
            if not paths:
                continue
            whole = read_dataset([DATA / f"{p}.parquet" for p in paths], task, labeled=False)
            events = sample(whole, MOST_EVENTS, rng)
            groups = [f"row {i}" if g is None else g for i, g in enumerate(events.groups)]
            _, group = np.unique(groups, return_inverse=True)
            place = rng.random(len(groups))[group]  # groups stay whole
            for raw, at in zip(events.raw_texts, place, strict=True):
                views = list(list_views(task.readable(raw)))
                if at < to_learn:
                    windows = [window for _, window in list_windows(views)]
                    learn += [windows[i] for i in rng.permutation(len(windows))[:MOST_WINDOWS]]
                    notions += [passage.notions for passage in list_passages(views)[0]]
                elif at < to_learn + to_calibrate:
                    calibrate[name].append(views)
                else:
                    test[name].append(views)
                    raws[name].append(bytes(raw))
        raws[name] = [raws[name][i] for i in rng.permutation(len(raws[name]))[:200]]
        print(f"{name}: {len(calibrate[name]):,} for the threshold", flush=True)
    for part in (calibrate, test):
        prose = [views[0][1] for name in ("email", "html") for views in part[name]]
        part["sentences"] = [list(list_views(sentence)) for sentence in sentences_of(prose, rng)]
    return Events(learn, notions, calibrate, test, raws)


def sentences_of(texts: list[str], rng: np.random.Generator) -> list[str]:
    """Return sentences of mails and pages, which may stand alone as events too."""
    found = [one for text in texts for one in re.split(r"(?<=[.!?])\s|\n", text)]
    found = [one for one in found if 20 < len(one) < 200 and one.count(" ") > 2]
    return [found[i] for i in rng.permutation(len(found))[:SENTENCES]]


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


def windows_with(text: str, around: list[str], rng: np.random.Generator) -> list[str]:
    """Return windows that hold most of a text, with ordinary text around it."""
    before, after = (around[i] for i in rng.integers(len(around), size=2))
    before, after = (("", ""), (before, ""), ("", after), (before, after))[rng.integers(4)]
    whole = " ".join(f"{before[-int(rng.integers(1, 160)) :]} {text} {after}".split())
    start = whole.index(text)
    step, most = WINDOW_CHARACTERS // 2, min(len(text), WINDOW_CHARACTERS)
    kept = []
    for place, window in enumerate(cut_windows(whole)):
        held = min(start + len(text), place * step + WINDOW_CHARACTERS) - max(start, place * step)
        if held >= 0.7 * most:
            kept.append(window)
    return kept


def examples(
    corpus: list[Sentence], events: Events, rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Return the windows and the class of each."""
    windows, labels = list[str](), list[str]()
    for one in corpus:
        for _ in range(TEMPLATE_COPIES if one.writer == GRAMMAR else COPIES):
            text = fill(one.text, rng)
            (_, plain), *views = list_views(text)
            spaced = dict(views).get("spaced", plain)
            found = windows_with((plain, spaced)[rng.integers(2)].strip(), events.learn, rng)
            windows += found
            labels += [TASK.class_names[one.is_injection]] * len(found)
    return windows, labels


def teach(
    corpus: list[Sentence], events: Events, seed: int, settings: dict[str, int]
) -> NgramStudent:
    """Return a student; a second fit sees the ordinary windows that the first took for worst."""
    rng = np.random.default_rng(seed)
    windows, labels = examples(corpus, events, rng)
    some = [events.learn[i] for i in rng.permutation(len(events.learn))[:FIRST_WINDOWS]]
    student = fit(windows + some, labels + ["ordinary"] * len(some), seed, settings)
    order = np.argsort(-score_windows(student, events.learn))
    some += [events.learn[i] for i in order[:HARD_WINDOWS] for _ in range(2)]
    return fit(windows + some, labels + ["ordinary"] * len(some), seed, settings)


def fit(windows: list[str], labels: list[str], seed: int, settings: dict[str, int]) -> NgramStudent:
    raws = [window.encode("utf-8", "replace") for window in windows]
    ids = [i.to_bytes(16, "big") for i in range(len(raws))]
    student = NgramStudent(epochs=EPOCHS, seed=seed, dropout=0.2, **settings)
    return student.fit(Dataset.from_texts(raws, TASK, labels=labels, ids=ids))


def teach_notions(
    corpus: list[Sentence], events: Events, rng: np.random.Generator
) -> NotionDetector:
    """Return a regression on pairs of notions; Newton's method, with a ridge."""
    positive, ordinary = list[list[int]](), [*events.learn_notions]
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
    return NotionDetector(pairs, float(solution[-1]), np.inf)


def teach_detector(
    corpus: list[Sentence], events: Events, seed: int, settings: dict[str, int]
) -> LearnedDetector:
    """Return a detector whose thresholds keep the false positives on each task."""
    notions = teach_notions(corpus, events, np.random.default_rng(seed))
    detector = LearnedDetector(teach(corpus, events, seed, settings), np.inf, notions)
    scores = [event_scores(detector, some) for some in events.calibrate.values()]
    wording, by_notions = (threshold_of([one[k] for one in scores], k) for k in (0, 1))
    return replace(detector, threshold=wording, notions=replace(notions, threshold=by_notions))


def threshold_of(scores: list[Floats], part: int) -> float:
    """Return a threshold that keeps the false positives on every task, not on average.

    Each part gets half of the events that a task may lose: an odd one is the first part's.
    """
    allowed = [(int(TARGET_FPR * len(some)) + 1 - part) // 2 for some in scores]
    return max(float(np.sort(some)[-1 - n]) for some, n in zip(scores, allowed, strict=True))


def event_scores(
    detector: LearnedDetector, events: list[list[tuple[str, str]]]
) -> tuple[Floats, Floats]:
    """Return what student and notions compare with their thresholds, for each event."""
    windows = [[window for _, window in list_windows(views)] for views in events]
    logits = score_windows(detector.student, [window for some in windows for window in some])
    sizes = np.array([len(some) for some in windows])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    wording = np.maximum.reduceat(logits, starts) - np.log(sizes)
    notions = []
    for views in events:
        passages, size = list_passages(views)
        best = max((detector.notions.score(one.notions) for one in passages), default=-np.inf)
        notions.append(best - np.log(max(size, 1)))
    return np.asarray(wording, np.float32), np.asarray(notions, np.float32)


def injected(
    sentences: list[str], events: Events, rng: np.random.Generator
) -> dict[str, list[list[tuple[str, str]]]]:
    """Return the views of events of each task, with a sentence in each."""
    found = {}
    for name, raws in events.raws.items():
        task = get_task(name)
        found[name] = [
            list(list_views(task.readable(insert_text(task, raws[rng.integers(len(raws))], text))))
            for text in sentences
        ]
    return found


def rate(hits: list[bool] | npt.NDArray[np.bool_]) -> str:
    share = wilson(int(np.sum(hits)), len(hits))
    return f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"


def measure(corpus: list[Sentence], events: Events, seed: int, settings: dict[str, int]) -> None:
    """Print what is found of styles and languages that the student has not seen."""
    rng = np.random.default_rng(seed)
    injections = [s for s in corpus if s.is_injection]  # ordinary sentences are always learned
    writers = rng.permutation(sorted({s.writer for s in injections if s.language == "en"}))
    languages = rng.permutation(sorted({s.language for s in injections if s.language != "en"}))
    found = defaultdict[str, list[npt.NDArray[np.bool_]]](list)
    sizes = Counter[str]()
    for fold in range(FOLDS):
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
        for part, some in parts.items():
            texts = [fill(s.text, rng) for s in some]
            found[part].append(find(detector, texts, events, rng))
            sizes[part] += len(texts)
            print(fold, part, found[part][-1].mean(1).round(3), flush=True)
    rows = [(part, sizes[part], *map(rate, np.hstack(some))) for part, some in found.items()]
    table(("Left out", "sentences", "patterns", "student", "notions", "all"), rows)


def find(
    detector: LearnedDetector, texts: list[str], events: Events, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return what patterns, student, notions and all together find of texts in events."""
    views = [v for some in injected(texts, events, rng).values() for v in some]
    wording, notions = event_scores(detector, views)
    by_patterns = np.array([match_patterns(v) is not None for v in views])
    parts = [by_patterns, wording > detector.threshold, notions > detector.notions.threshold]
    return np.array([*parts, np.any(parts, axis=0)])


def measure_false_positives(detector: LearnedDetector, events: Events, n_shown: int = 5) -> None:
    rows = []
    for name, views in events.test.items():
        by_patterns = [match_patterns(v) is not None for v in views]
        learned = [detector.find(v) for v in views]
        both = [a or b is not None for a, b in zip(by_patterns, learned, strict=True)]
        rates = (rate(by_patterns), rate([x is not None for x in learned]), rate(both))
        rows.append((name, len(views), *rates))
        for text in [x for x in learned if x][:n_shown]:
            print(f"  {name}: {text!r}")
    table(("Ordinary events", "events", "patterns", "learned", "both"), rows)


def write(detector: LearnedDetector) -> None:
    """Put a detector into the package."""
    export = detector.student.export()
    notions = detector.notions
    settings = json.dumps(
        {
            **export.settings,
            "threshold": detector.threshold,
            "notion_bias": notions.bias,
            "notion_threshold": notions.threshold,
        },
        sort_keys=True,
    )
    path = Path(injection.__file__).with_name(WEIGHTS)
    save_file({**export.tensors, "notions": notions.weights}, path, {"settings": settings})
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.injections", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bits", type=int, default=15, help="table of 2 ** bits rows")
    parser.add_argument("--order", type=int, default=6, help="longest n-gram")
    parser.add_argument("--hidden", type=int, default=16, help="width of the hidden layer")
    parser.add_argument("--write", action="store_true", help="put the student into the package")
    parser.add_argument("--only-write", action="store_true", help="measure false positives alone")
    given = parser.parse_args()
    corpus, events = read_corpus(), read_events(np.random.default_rng(given.seed))
    settings = {"table_bits": given.bits, "max_order": given.order, "hidden": given.hidden}
    if not given.only_write:
        measure(corpus, events, given.seed, settings)
    detector = teach_detector(corpus, events, given.seed, settings)
    suite = [one.render("benign") for one in load_suite()]
    print(
        "suite", find(detector, suite, events, np.random.default_rng(given.seed)).mean(1).round(3)
    )
    measure_false_positives(detector, events)
    if given.write or given.only_write:
        write(detector)
    return 0


if __name__ == "__main__":
    sys.exit(main())
