"""The study: does each technique help, and by how much? Several seeds, held-out data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measure import table, use_all_cores
from benchmarks.models import events
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.metrics import Ranking, auroc, tpr_at_fpr
from buckler.events import Events, collect_events
from buckler.learning.fit import fit_student
from buckler.learning.noise import Noise
from buckler.learning.select import Choose, choose_events
from buckler.students import Examples, get_student
from buckler.tasks import get_task

SEEDS = (0, 1, 2)
START, BUDGETS = 300, (600, 1200, 2400)
NOISE_LEVELS = (0.0, 0.1, 0.2, 0.4)
_EPOCHS = 8


def mean_and_spread(values: list[float]) -> str:
    """Mean, and half the range over the seeds."""
    return f"{np.mean(values):.3f} ± {(max(values) - min(values)) / 2:.3f}"


# --- what to ask the teacher ------------------------------------------------------------------


def run_selection(data: Path) -> None:
    """Labels of category-labelled are hidden; whoever is chosen is told its label."""
    use_all_cores()
    everything = events(data, "url-category", "category-labelled")
    test = events(data, "url-category", "category-test")
    rows = []
    for method in Choose:
        accuracies: dict[int, list[float]] = {n: [] for n in (START, *BUDGETS)}
        for seed in SEEDS:
            for n, accuracy in _curve(everything, test, method, seed):
                accuracies[n].append(accuracy)
        rows.append((method.value, *(mean_and_spread(accuracies[n]) for n in (START, *BUDGETS))))
    table(("accuracy on category-test with so many labels", *map(str, (START, *BUDGETS))), rows)


def _curve(everything: Events, test: Events, method: Choose, seed: int) -> list[tuple[int, float]]:
    rng = np.random.default_rng(seed)
    known = np.sort(rng.permutation(len(everything))[:START])
    found = []
    for n in (START, *BUDGETS):
        if n > len(known):
            pool = np.setdiff1d(np.arange(len(everything)), known)
            judges = [_student(everything, known, seed + 10 * k) for k in range(3)]
            chosen = choose_events(
                everything.take(pool),
                n - len(known),
                method,
                probabilities=[_judge(judge, everything.take(pool)) for judge in judges],
                labelled=everything.take(known),
                seed=seed,
            )
            known = np.sort(np.concatenate([known, pool[chosen.rows]]))
        verdicts = _judge(_student(everything, known, seed), test).argmax(axis=1)
        found.append((n, float((verdicts == test.labels).mean())))
    return found


def _student(everything: Events, known: np.ndarray, seed: int) -> object:
    """Train on the known labels; members of a committee each see another sample of them."""
    rows = known
    if seed >= 10:
        rows = np.random.default_rng(seed).choice(known, len(known))
    few = everything.take(rows)
    targets = few.targets(len(get_task("url-category").classes))
    student = get_student("ngram", {"epochs": _EPOCHS, "seed": seed})
    return student.fit(Examples(few.texts, targets, np.ones(len(few), np.float32)))


def _judge(student: object, some: Events) -> np.ndarray:
    return probabilities_of(student.predict_logits(some.texts))


# --- wrong labels -----------------------------------------------------------------------------


def run_noise(data: Path) -> None:
    """Command lines with wrong labels, put in by class or by group; the test labels are true."""
    use_all_cores()
    task = get_task("command-line")
    train = collect_events([data / "command_line" / "labelled.parquet"], task)
    test = collect_events([data / "command_line" / "test.parquet"], task)
    for title, spoil in (("by class", _by_class), ("by group", _by_group)):
        rows = []
        for method in Noise:
            row: list[str] = [method.value]
            for level in NOISE_LEVELS:
                figures = [_fitted(train, test, method, spoil, level, seed) for seed in SEEDS]
                row.append(mean_and_spread([auc for auc, _ in figures]))
                row.append(mean_and_spread([rate for _, rate in figures]))
            rows.append(tuple(row))
            print(*row, flush=True)
        heads = [f"{what} at {level:.0%}" for level in NOISE_LEVELS for what in ("AUROC", "TPR")]
        table((f"wrong labels {title}: TPR at FPR 1e-2", *heads), rows)


def _fitted(
    train: Events,
    test: Events,
    method: Noise,
    spoil: Callable[[Events, float, np.random.Generator], np.ndarray],
    level: float,
    seed: int,
) -> tuple[float, float]:
    labels = spoil(train, level, np.random.default_rng(seed))
    noisy = Events(train.table, train.texts, labels.astype(np.int32))
    fitted = fit_student(
        noisy, get_task("command-line"), "ngram", {}, noise=method, folds=3, seed=seed
    )
    scores = fitted.student.predict_logits(test.texts)[:, 0]
    roc = Ranking(scores, test.labels == 1).roc()
    return auroc(roc), tpr_at_fpr(roc, 0.01)


def _by_class(train: Events, level: float, rng: np.random.Generator) -> np.ndarray:
    """Turn this share of the malicious, and as many of the benign."""
    labels = train.labels.copy()
    bad, good = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    n = int(level * len(bad))
    labels[rng.choice(bad, n, replace=False)] = 0
    labels[rng.choice(good, n, replace=False)] = 1
    return labels


def _by_group(train: Events, level: float, rng: np.random.Generator) -> np.ndarray:
    """Turn whole groups of malicious lines, as a feed or a playbook that is wrong would."""
    labels = train.labels.copy()
    codes = train.group_codes()
    bad = labels == 1
    wanted = level * bad.sum()
    turned = 0
    for code in rng.permutation(np.unique(codes[bad])):
        own = (codes == code) & bad
        if turned + own.sum() > 1.05 * wanted:
            continue
        labels[own] = 0
        turned += int(own.sum())
    return labels
