"""Analysts simulated by true labels: quality by number of labels, for each order of the queue.

A bundle learned from few and old labels; later events wait. Labels come in rounds; after each the
student learns again and the rest is ordered anew. A tenth of the labels go to a random sample, as
in the application. The teacher is an encoder that learned labels of other groups.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import table, use_all_cores
from buckler.dataset import Dataset, read_dataset
from buckler.evaluation.intervals import Mean
from buckler.evaluation.metrics import Ranking, auroc, tpr_at_fpr
from buckler.operating_point import OperatingPoint
from buckler.review.acquisition import rank_events
from buckler.runtime import Scorer, load
from buckler.tasks import get_task
from buckler.teachers.encoder import EncoderSettings, EncoderTeacher
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.noise import Noise
from buckler.training.packaging import write_fitted

TASK = get_task("url-threat")
BASE, POOL, TEACHER_ROWS = 500, 6000, 2500
BUDGETS = (100, 200, 400, 800, 1600)
SEEDS = 3
FPR = 0.01
RANDOM_SHARE = 0.1
TEACHER_WEIGHT = 0.3
ORDERS = (
    "random",
    "least sure first",
    "queue",
    "teacher, random",
    "teacher, least sure first",
    "teacher, queue",
)
Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Data that all orders start from."""

    base: Dataset
    pool: Dataset
    test: Dataset
    teacher: Floats


def run(data: Path) -> None:
    """Print the tables."""
    use_all_cores()
    url = data / "url"
    everything = read_dataset([url / "threat-train.parquet"], TASK)
    test = read_dataset([url / "threat-test.parquet"], TASK)
    curves: dict[str, list[dict[int, tuple[float, float]]]] = {name: [] for name in ORDERS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        worlds = _worlds(everything, test, folder)
        for seed, world in enumerate(worlds):
            for order in ORDERS:
                curves[order].append(_curve(world, order, seed, folder))
    said = worlds[0].teacher.argmax(axis=1) == worlds[0].pool.labels
    print(f"the teacher is right about {said.mean():.3f} of the pool\n")
    for which, title in enumerate((f"detection at FPR {FPR:g}", "AUROC")):
        rows = [
            (order, *(_mean(curves[order], n, which) for n in (0, *BUDGETS))) for order in ORDERS
        ]
        table((f"{title}, threat-test", *(f"{n:,} labels" for n in (0, *BUDGETS))), rows)
        print()
    _print_saving(curves)


def _worlds(everything: Dataset, test: Dataset, folder: Path) -> list[World]:
    """Return old labels and later events to label; the teacher knows other groups."""
    rng = np.random.default_rng(0)
    codes = everything.group_codes()
    times = np.nan_to_num(everything.times).astype(np.int64)
    positive = everything.labels == 1
    old = np.quantile(times[positive & (times > 0)], 0.2)
    side = rng.integers(0, 3, codes.max() + 1)[codes]  # base and its time; pool; teacher
    first = np.flatnonzero((side == 0) & (~positive | (times <= old)))
    later = np.flatnonzero((side == 1) & (~positive | (times > old)))
    others = np.flatnonzero(side == 2)
    pools = [_some(later, positive, POOL, 0.3, seed) for seed in range(SEEDS)]
    labeled = everything.take(_some(others, positive, TEACHER_ROWS, 0.5, 9))
    words = {
        "url": [t.decode("utf-8", "replace") for t in labeled.raw_texts],
        "label": pa.array(labeled.label_names, pa.string()),
        "group": labeled.table.column("group"),
    }
    pq.write_table(pa.table(words), folder / "labels.parquet")
    settings = EncoderSettings(train=[folder / "labels.parquet"], work=folder / "work", epochs=4)
    teacher = EncoderTeacher(settings, TASK)
    worlds = []
    for seed, rows in enumerate(pools):
        pool = everything.take(rows)
        annotations = list(teacher.annotate(pool))
        p = np.array([(0.5, 0.5) if o is None else o.probabilities for o in annotations])
        base = everything.take(_some(first, positive, BASE, 0.4, 100 + seed))
        worlds.append(World(base, pool, test, p))
    return worlds


def _some(rows: Rows, positive: npt.NDArray[np.bool_], n: int, share: float, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    of_positive = rng.permutation(rows[positive[rows]])[: round(n * share)]
    rest = rng.permutation(rows[~positive[rows]])[: n - len(of_positive)]
    return np.sort(np.concatenate([of_positive, rest]))


def _curve(world: World, order: str, seed: int, folder: Path) -> dict[int, tuple[float, float]]:
    rng = np.random.default_rng(seed)
    labeled = np.zeros(len(world.pool), bool)  # has a label, its own or that of a duplicate
    taught = world.teacher if "teacher" in order else None
    found = {}
    given = 0
    for budget in (0, *BUDGETS):
        if budget:
            scorer = _student(world, labeled, taught, folder)
            _label_events(world, scorer, order, budget - given, labeled, taught, rng)
            given = budget
        found[budget] = _figures(_student(world, labeled, taught, folder), world.test)
    return found


def _label_events(
    world: World,
    scorer: Scorer,
    order: str,
    n: int,
    labeled: npt.NDArray[np.bool_],
    taught: Floats | None,
    rng: np.random.Generator,
) -> None:
    """Label `n` events, and mark those that the labels serve."""
    waiting = np.flatnonzero(~labeled)
    rest = world.pool.take(waiting)
    if order.endswith("random"):
        labeled[rng.permutation(waiting)[:n]] = True
        return
    if order.endswith("least sure first"):
        p = np.sort(scorer.score(rest.raw).probabilities, axis=1)
        labeled[waiting[np.argsort(p[:, -1] - p[:, -2], kind="stable")[:n]]] = True
        return
    n_random = round(RANDOM_SHARE * n)
    sampled = rng.permutation(len(waiting))[:n_random]
    labeled[waiting[sampled]] = True
    said = None if taught is None else taught[waiting]
    ranking = rank_events(rest, scorer, teacher=said, sample_share=0)
    shown = np.flatnonzero(ranking.duplicate_of == np.arange(len(waiting)))
    shown = np.setdiff1d(shown, sampled)
    best = shown[np.argsort(-ranking.acquisition[shown], kind="stable")[: n - n_random]]
    labeled[waiting[np.isin(ranking.duplicate_of, best)]] = True


def _student(
    world: World, labeled: npt.NDArray[np.bool_], taught: Floats | None, folder: Path
) -> Scorer:
    """Learn from the old labels, the new ones, and the teacher's annotations where it has any."""
    parts = []
    rows = np.flatnonzero(labeled)
    if len(rows):
        parts.append(world.pool.take(rows))
    if taught is not None:
        others = np.flatnonzero(~labeled)
        said = taught[others].astype(np.float32)
        parts.append(world.pool.take(others).with_targets(said).with_weights(TEACHER_WEIGHT))
    extra = Dataset.concat(parts) if parts else None
    settings = {"dropout": 0.3}
    fitted = fit_student(
        world.base, StudentSpec("ngram", settings, folds=3, noise=Noise.NONE), additional=extra
    )
    path = folder / "student.buckler"
    write_fitted(path, fitted, operating_point=OperatingPoint(fpr=FPR))
    return load(path)


def _figures(scorer: Scorer, test: Dataset) -> tuple[float, float]:
    score = scorer.score(test.raw, threads=2).scores
    roc = Ranking(score.astype(np.float64), test.labels == 1).roc()
    return tpr_at_fpr(roc, FPR), auroc(roc)


def _mean(curves: list[dict[int, tuple[float, float]]], n: int, which: int) -> str:
    return str(Mean.of([curve[n][which] for curve in curves]))


def _print_saving(curves: dict[str, list[dict[int, tuple[float, float]]]]) -> None:
    """Print the labels that each order needs to reach the AUROC of the queue with a teacher."""
    points = (0, *BUDGETS)

    def means(order: str) -> Floats:
        return np.array([np.mean([c[n][1] for c in curves[order]]) for n in points])

    reached = means("teacher, queue")
    rows = []
    for order in ("queue", "least sure first", "random"):
        own = np.maximum.accumulate(means(order))
        cells = []
        for quality in reached:
            if quality > own[-1]:
                cells.append(f"more than {points[-1]:,}")
            else:
                cells.append(f"{np.interp(quality, own, points):,.0f}")
        rows.append((order, *cells))
    heads = (f"{n:,} with a teacher" for n in points)
    table(("labels without a teacher for the same AUROC", *heads), rows)
