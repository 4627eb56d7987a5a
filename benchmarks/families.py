"""Every student family on the same test rows: quality, size, speed; with a Pareto plot."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.baselines import FastText, ScikitLearn, plain_texts
from benchmarks.measure import in_turns, pin_to_one_core, table, use_all_cores
from benchmarks.models import FOLDER, events
from benchmarks.offline_checkers import fraudurl_scores, magika_once
from benchmarks.quality import _figures
from buckler.dataset import Dataset
from buckler.dataset.splits import deduplicate, split_by_group
from buckler.runtime import load
from buckler.tasks import get_task
from buckler.training.cascade import CascadeOptions, build_cascade
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import FittedStudent, fit_student
from buckler.training.packaging import write_fitted

TASK = get_task("url-threat")
_FEW = 2000
FAMILIES: dict[str, tuple[str, dict[str, object], int]] = {
    "ngram": ("ngram", {}, 5),
    "ngram, 2^20 rows": ("ngram", {"table_bits": 20}, 5),
    "bytecnn": ("bytecnn", {"filters": 192, "epochs": 5}, 2),
    "bytecnn, small": ("bytecnn", {"filters": 32, "epochs": 4, "embedding": 16, "hidden": 64}, 2),
}
MEMORY = """
import re, buckler.runtime
from pathlib import Path
scorer = buckler.runtime.load({path!r})
scorer.score([b"http://a.example/"] * 1024)
status = Path("/proc/self/status").read_text()
print(int(re.search(r"VmRSS:\\s+(\\d+)", status)[1]) // 1024)
"""


@dataclass
class Contender:
    name: str
    scores: Callable[[Dataset], np.ndarray]
    batch: Callable[[], object]
    one: Callable[[int], object]
    size_bytes: int
    training_s: float
    memory_mb: str = ""
    batch_rows: int = 0


def train(data: Path) -> dict[str, tuple[Path, float]]:
    """Train each family once; the folder keeps what is done."""
    rows = deduplicate(events(data, "url-threat", "threat-train"), near=False).events
    found = {}
    use_all_cores()
    for name, (family, settings, folds) in FAMILIES.items():
        stem = name.replace(", ", "-").replace("^", "").replace(" ", "-")
        path, note = FOLDER / f"{stem}.buckler", FOLDER / f"{stem}.json"
        if not note.exists():
            started = time.perf_counter()
            fitted = fit_student(rows, StudentSpec(family, dict(settings), folds=folds))
            seconds = time.perf_counter() - started
            write_fitted(path, fitted)
            if family != "ngram":
                _other_precision(fitted, FOLDER / f"{stem}-float32.buckler")
            note.write_text(json.dumps(seconds))
        found[name] = (path, json.loads(note.read_text()))
        if family != "ngram":
            found[f"{name}, float32"] = (FOLDER / f"{stem}-float32.buckler", found[name][1])
    pin_to_one_core()
    return found


def _other_precision(fitted: FittedStudent, path: Path) -> None:
    student = fitted.student.with_precision("float32")
    write_fitted(path, replace(fitted, student=student))


def run(data: Path) -> None:
    test, other = (
        events(data, "url-threat", "threat-test"),
        events(data, "url-threat", "threat-2021"),
    )
    texts = [t.decode("utf-8", "replace") for t in test.raw_texts]
    trained = train(data)
    contenders = [_bundle(name, *made, test, texts) for name, made in trained.items()]
    contenders += _others(data, test, texts)
    seconds = in_turns({c.name: c.batch for c in contenders}, rounds=3)
    rows = []
    points = []
    for c in contenders:
        scores = c.scores(test)
        auroc, detection, strict = _figures(scores, test)
        across, *_ = _figures(c.scores(other), other)
        p50, p99 = _latency(c.one, len(texts))
        speed = (c.batch_rows or len(texts)) / seconds[c.name]
        points.append((c.name, speed, float(detection.split()[0])))
        rows.append(
            (
                c.name,
                auroc,
                detection,
                strict,
                across.split()[0],
                f"{c.size_bytes:,}",
                c.memory_mb,
                f"{speed:,.0f}",
                f"{p50:,.1f}",
                f"{p99:,.1f}",
                f"{c.training_s:,.0f}",
            )
        )
    table(
        (
            "student",
            "AUROC",
            "TPR at 1e-2",
            "TPR at 1e-3",
            "AUROC on threat-2021",
            "bytes",
            "MB",
            "events/s",
            "p50, us",
            "p99, us",
            "training, s",
        ),
        rows,
    )
    _cascade(data, trained)
    magika = _latency(lambda i: magika_once(texts[i].encode() * 40), 300)
    print(f"\nfor scale, magika on 1 to 4 kB: p50 {magika[0]:,.0f} us, p99 {magika[1]:,.0f} us")
    plot(points, Path(os.environ.get("BUCKLER_PLOT", "pareto.svg")))


def _bundle(name: str, path: Path, training_s: float, test: Dataset, texts: list[str]) -> Contender:
    scorer = load(path)
    column = test.raw
    memory = subprocess.check_output([sys.executable, "-c", MEMORY.format(path=str(path))])
    precision = scorer.manifest.settings.get("precision", "int8 table")
    return Contender(
        name if "float32" in name else f"{name} ({precision})",
        lambda rows: scorer.score(rows.raw).scores,
        lambda: scorer.score(column),
        lambda i: scorer.score_of(texts[i]),
        path.stat().st_size,
        training_s,
        memory.decode().strip(),
    )


def _others(data: Path, test: Dataset, texts: list[str]) -> list[Contender]:
    rows = deduplicate(events(data, "url-threat", "threat-train"), near=False).events
    training, testing = plain_texts(rows), plain_texts(test)
    found = []
    for model in (FastText(), ScikitLearn()):
        started = time.perf_counter()
        model.fit(training, rows.labels)
        seconds = time.perf_counter() - started
        found.append(
            Contender(
                model.name,
                lambda e, m=model: m.probabilities(plain_texts(e), 2)[:, 1],
                lambda m=model: m.probabilities(testing, 2),
                lambda i, m=model: m.probabilities([testing[i]], 2),
                model.size_bytes(),
                seconds,
            )
        )
    found += _fraudurl(texts)
    return found


def _fraudurl(texts: list[str]) -> list[Contender]:
    def scores(rows: Dataset) -> np.ndarray:
        column = rows.raw_texts
        return fraudurl_scores([t.decode("utf-8", "replace") for t in column])

    return [
        Contender(
            "fraudurl (as it comes, not trained here)",
            scores,
            lambda: fraudurl_scores(texts[:_FEW]),
            lambda i: fraudurl_scores([texts[i]]),
            0,
            0.0,
            batch_rows=_FEW,
        )
    ]


def _cascade(data: Path, made: dict[str, tuple[Path, float]]) -> None:
    """Choose cascades on half of the groups of threat-test, and measure them on the other half."""
    test = events(data, "url-threat", "threat-test")
    halves = split_by_group(test, 0.5, seed=0)
    chosen_on, measured_on = test.take(halves.left), test.take(halves.right)
    stages = [made["ngram"][0], made["bytecnn"][0]]
    rows = []
    for budget in (0.01, 0.05, 0.2):
        path = FOLDER / f"cascade-{budget}.buckler"
        build_cascade(stages, chosen_on, path, CascadeOptions(budgets=[budget]))
        rows.append((f"cascade, {budget:.0%} to stage 2", path))
    rows = [("ngram alone", stages[0]), *rows, ("bytecnn alone", stages[1])]
    column = measured_on.raw
    scorers = {name: load(path) for name, path in rows}
    seconds = in_turns({n: lambda s=s: s.score(column) for n, s in scorers.items()}, rounds=3)
    found = []
    for name, scorer in scorers.items():
        verdicts = scorer.score(column)
        stage = verdicts.stage
        reached = "" if stage is None else f"{(stage > 1).mean():.3f}"
        speed = f"{len(column) / seconds[name]:,.0f}"
        found.append((name, *_figures(verdicts.scores, measured_on), reached, speed))
    print()
    heads = ("half of threat-test", "AUROC", "TPR at 1e-2", "TPR at 1e-3", "reach stage 2")
    table((*heads, "events/s"), found)


def _latency(one: Callable[[int], object], n: int) -> tuple[float, float]:
    times = []
    for i in range(0, n, max(1, n // 1000)):
        started = time.perf_counter_ns()
        one(i)
        times.append((time.perf_counter_ns() - started) / 1000)
    return float(np.median(times)), float(np.percentile(times, 99))


def plot(points: list[tuple[str, float, float]], path: Path) -> None:
    """Draw detection against speed; the best at each speed are joined."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    best = 0.0
    front = []
    for index, (name, speed, detection) in enumerate(sorted(points, key=lambda p: -p[1])):
        axes.plot(speed, detection, "o", color="#1f5aa6" if detection > best else "#999999")
        to_the_left = speed > 1e6 or ("float32" in name and speed > 6e3)
        above = index % 2 == 0  # neighbors' names would stand on each other
        axes.annotate(
            name,
            (speed, detection),
            textcoords="offset points",
            xytext=(-6 if to_the_left else 6, 6 if above else -12),
            ha="right" if to_the_left else "left",
            fontsize=8,
        )
        if detection > best:
            best = detection
            front.append((speed, detection))
    axes.plot(*zip(*front, strict=True), "-", color="#1f5aa6", linewidth=1, alpha=0.6)
    axes.set_xscale("log")
    axes.set_xlabel("events a second, one core (batch)")
    axes.set_ylabel("detection at a false-positive rate of 1e-2")
    axes.set_title("threat-test: speed and detection of each student")
    figure.savefig(path)
    print(f"\nplot: {path}")
