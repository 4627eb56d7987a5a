"""Adapting to streams that the start has not seen: figures on held-out events of the stream.

Each stream is a collection that is left out of the start's training. A part of it, cut by group or
by time, is held out; the rest is asked about. A language model's recorded answers stand for the
teacher, the collection's labels for the truth on held-out events (recorded answers where it has
none).

``BUCKLER_BENCH=folder`` keeps the starts and each result, so that a stopped run resumes.
``BUCKLER_SEEDS``, ``BUCKLER_ASKS`` and ``BUCKLER_STREAMS`` choose a part.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.adapt_streams import STREAMS, Collections, Stream, begins_with
from benchmarks.measure import table
from benchmarks.models import FOLDER
from buckler.dataset import Dataset
from buckler.dataset.sources import sample_sources
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean
from buckler.evaluation.plots import plot_style, svg_of
from buckler.labels import Annotation, Annotator
from buckler.operating_point import OperatingPoint
from buckler.pipeline.adapt import gather_answers, own_events, start_student
from buckler.pipeline.own_events import AdaptOptions
from buckler.runtime import Scorer
from buckler.runtime.scorer import load_with_content
from buckler.students.ngram import NgramStudent
from buckler.teachers.recorded import RecordedTeacher
from buckler.training.adaptation import adapt_student, own_figures
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student, positive_scores
from buckler.training.packaging import write_fitted

SEEDS = range(int(os.environ.get("BUCKLER_SEEDS", "10")))
ASKS = tuple(int(n) for n in os.environ.get("BUCKLER_ASKS", "30,100,300,1000").split(","))
CHOICES = {"random": 0.999, "chosen": 1 / 3}  # -> share of the asked events that is random
MAX_STREAM, MAX_HELD_OUT, MAX_ORDINARY = 2_500, 1_200, 3_000
TARGET_FPR = 0.01
PRICE_USD = 0.003  # of an answer: 700 tokens read at 3 USD a million, 60 written at 15
RESULTS = FOLDER / "adapt.jsonl"
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "adapt.svg"
_NONE = 10  # place of the start on the logarithmic axis
FIGURES = ("auroc", "detection_at_target", "detection", "false_positives")
Result = dict[str, float | str]


def run(data: Path) -> None:
    """Print a table for each stream that ``BUCKLER_STREAMS`` names, by default for all."""
    wanted = os.environ.get("BUCKLER_STREAMS", "")
    for stream in STREAMS:
        if not wanted or any(word in stream.name for word in wanted.split(",")):
            measure(stream, data)
            print(f"\n### {stream.name}\n", flush=True)
            table(("asked", "USD", "AUROC", f"detection at FPR {TARGET_FPR}", "detection", "FPR"),
                  rows_of(stream.name))  # fmt: skip
    draw(PICTURE if "BUCKLER_PICTURE" in os.environ else FOLDER / "adapt.svg")


def results() -> list[Result]:
    """Return the results so far."""
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text().splitlines()]


def rows_of(stream: str) -> list[tuple[object, ...]]:
    """Return a row for each number of events asked and way to choose: means over the seeds."""
    found: dict[tuple[float, str], list[Result]] = {}
    for result in results():
        if result["stream"] == stream:
            found.setdefault((float(result["asks"]), str(result["choice"])), []).append(result)
    rows: list[tuple[object, ...]] = []
    for (_, choice), ones in sorted(found.items()):
        asked = Mean.of([float(one["asked"]) for one in ones]).value
        means = (str(Mean.of([float(one[name]) for one in ones])) for name in FIGURES)
        rows.append((f"{asked:,.0f} {choice}", f"{asked * PRICE_USD:.2f}", *means))
    return rows


def measure(stream: Stream, data: Path) -> None:
    """Append the results that are missing, seed by seed."""
    done = {(r["stream"], r["seed"], r["asks"], r["choice"]) for r in results()}
    planned = [(a, c) for a in ASKS for c in CHOICES]
    seeds = [s for s in SEEDS if any((stream.name, s, *one) not in done for one in planned)]
    if not seeds:
        return
    found = stream.collections(data)
    scorer, content = None, None
    if not stream.from_nothing:
        scorer, content = load_with_content(train_start(stream, found))
    start = scorer, start_student(found.events.task, content)
    own = found.events.take(np.flatnonzero(begins_with(found.events, stream.own)))
    for seed in seeds:
        test, pool = cut(own, stream, np.random.default_rng(seed))
        if (stream.name, seed, 0, "start") not in done and scorer is not None:
            probabilities = scorer.score(test.raw).probabilities.astype(np.float32)
            keep(stream, seed, 0, 0, "start", figures_of(test, probabilities, scorer.threshold))
        n_answers = sum(event_id in found.answers for event_id in pool.ids)
        enough = min((a for a in ASKS if a >= n_answers), default=max(ASKS))
        for asks in (a for a in ASKS if a <= enough):
            for choice in CHOICES:
                if (stream.name, seed, asks, choice) not in done:
                    asked = min(asks, n_answers)
                    figures = measure_one(start, found, (pool, test), asked, choice, seed)
                    keep(stream, seed, asks, asked, choice, figures)


def keep(
    stream: Stream, seed: int, asks: int, asked: int, choice: str, figures: tuple[float, ...]
) -> None:
    """Append a result to the file."""
    names = dict(zip(FIGURES, figures, strict=True))
    result = {"stream": stream.name, "seed": seed, "asks": asks, "asked": asked, "choice": choice}
    with RESULTS.open("a") as file:
        file.write(json.dumps(result | names) + "\n")


def measure_one(
    start: tuple[Scorer | None, NgramStudent],
    found: Collections,
    pool_and_test: tuple[Dataset, Dataset],
    asks: int,
    choice: str,
    seed: int,
) -> tuple[float, ...]:
    """Ask, adapt, and return the figures of what is kept on the held-out events."""
    (scorer, student), (pool, test) = start, pool_and_test
    with tempfile.TemporaryDirectory() as folder:
        options = AdaptOptions(
            asks=asks,
            random_share=CHOICES[choice],
            store=str(Path(folder) / "labels.db"),
            target_fpr=TARGET_FPR,
            seed=seed,
        )
        teacher = recorded(found, pool)
        answers = gather_answers(student, pool.without_labels(), teacher, options)
    mine = own_events(answers, options)
    logits = student.predict_logits(mine.measured.texts)
    p, nothing = probabilities_of(logits).astype(np.float32), np.zeros(len(logits), bool)
    before = own_figures(mine.measured, p, nothing)
    adapted = adapt_student(student, mine, before, target_fpr=TARGET_FPR, seed=seed)
    if scorer is not None and not adapted.is_better:
        kept = scorer.score(test.raw).probabilities.astype(np.float32)
        return figures_of(test, kept, scorer.threshold)
    deployed = adapted.fitted.operating_curve.threshold(OperatingPoint(fpr=TARGET_FPR))
    after = probabilities_of(adapted.fitted.student.predict_logits(test.texts))
    return figures_of(test, after.astype(np.float32), deployed)


def figures_of(
    events: Dataset, probabilities: npt.NDArray[np.float32], threshold: float | None
) -> tuple[float, ...]:
    """Return AUROC, detection at the target rate on the test itself, and both rates deployed."""
    scores = positive_scores(probabilities, events.task)
    detected = scores >= np.float32(np.inf if threshold is None else threshold)
    found = own_figures(events, probabilities, detected)
    others = np.sort(scores[~events.is_positive])[::-1]
    at = others[int(TARGET_FPR * len(others))] if len(others) else np.inf
    best = float((scores[events.is_positive] > at).mean()) if events.is_positive.any() else np.nan
    return found.auroc.value, best, found.detection.value, found.false_positives.value


def train_start(stream: Stream, found: Collections) -> Path:
    """Return the bundle of everything but the stream and what is left out with it."""
    out = (*stream.own, *stream.left_out)
    name = "-".join([found.events.task.name, *(part.replace("/", "_")[:12] for part in out)])
    path = FOLDER / f"{name}.buckler"
    if not path.exists():
        rest = found.events.take(np.flatnonzero(~begins_with(found.events, out)))
        rest = sample_sources(rest, MAX_ORDINARY, 4 * MAX_ORDINARY, np.random.default_rng(0))
        spec = StudentSpec("ngram", found.settings, folds=3, source_balance=0.5)
        write_fitted(path, fit_student(rest, spec), operating_point=OperatingPoint(fpr=TARGET_FPR))
    return path


def cut(own: Dataset, stream: Stream, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
    """Return the events that are held out, and the others, in random order."""
    order, held_out = rng.permutation(len(own)), np.zeros(len(own), bool)
    if stream.by_time:
        for label in np.unique(own.labels):  # the classes' times may differ
            times = own.times[own.labels == label]
            held_out |= (own.labels == label) & (
                own.times > np.nanquantile(times, 1 - stream.held_out)
            )
    else:
        codes = own.group_codes()
        counts = np.bincount(codes)
        size = 0
        for code in rng.permutation(np.unique(codes)):
            if size < stream.held_out * len(own) and counts[code] < len(own) / 4:
                held_out |= codes == code
                size += counts[code]
    test, pool = order[held_out[order]], order[~held_out[order]]
    return own.take(test[:MAX_HELD_OUT]), own.take(pool[:MAX_STREAM])


def recorded(found: Collections, pool: Dataset) -> RecordedTeacher:
    """Return a teacher that repeats the recorded answers."""
    annotations = {}
    positive, n = found.events.task.positive_indices, len(found.events.task.classes)
    for event_id in pool.ids:
        if event_id in found.answers:
            p = np.full(n, (1 - found.answers[event_id]) / (n - len(positive)))
            p[positive] = found.answers[event_id] / len(positive)
            annotations[event_id] = Annotation(event_id, tuple(p), 1.0, None, 0.0, 0)
    return RecordedTeacher(Annotator("frontier-llm", "1", "model"), annotations)


def draw(path: Path) -> None:
    """Draw AUROC and detection against events asked, and what they cost, one line a stream."""
    from matplotlib.figure import Figure

    found = results()
    streams = [s.name for s in STREAMS if any(r["stream"] == s.name for r in found)]
    names = {"auroc": "AUROC", "detection_at_target": f"detection at FPR {TARGET_FPR}"}
    with plot_style():
        figure = Figure(figsize=(9.6, 5.6), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, (name, title) in zip(panels, names.items(), strict=True):
            for position, stream in enumerate(streams):
                chosen = [r for r in found if r["stream"] == stream and r["choice"] != "random"]
                points = [
                    [Mean.of([float(r[key]) for r in chosen if r["asks"] == n]).value
                     for key in ("asked", name)]
                    for n in sorted({r["asks"] for r in chosen})
                ]  # fmt: skip
                axes.plot(
                    [max(n, _NONE) for n, _ in points], [value for _, value in points],
                    label=stream, marker="o", markersize=3.5, color=f"C{position}",
                )  # fmt: skip
            axes.set(xscale="log", ylim=(None, 1), title=title, xlabel="own events asked about")
            ticks = [_NONE, *ASKS]
            axes.set_xticks(ticks, ["none", *(f"{n:,}" for n in ASKS)])
            axes.minorticks_off()
            dollars = axes.secondary_xaxis(-0.2)
            dollars.set_xticks(ticks, [f"{n * PRICE_USD:.2f}" for n in (0, *ASKS)])
            dollars.minorticks_off()
            dollars.set_xlabel(f"USD, at {PRICE_USD} an answer")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        path.write_text(svg_of(figure))
