"""Part 2: command lines with wrong labels, naive and robust, with and without a teacher."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.study.results import Figures, Loader, Study, Table
from buckler.dataset import Dataset, read_dataset
from buckler.dataset.splits import unlike
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean
from buckler.evaluation.metrics import Ranking, auroc, tpr_at_fpr
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.noise import Noise

VERSION = 1
TASK = get_task("command-line")
LEVELS = (0.0, 0.1, 0.2, 0.4)
METHODS = tuple(m for m in Noise if m is not Noise.DOUBT)  # which ranks as `none` does
FOLDS = 3
RATES = (1e-2, 1e-3)
_ANNOTATION_WEIGHT, _ANNOTATED = 1.0, 300

Labels = npt.NDArray[np.int32]
Spoil = Callable[[Dataset, float, np.random.Generator], Labels]


def by_class(train: Dataset, level: float, rng: np.random.Generator) -> Labels:
    """Turn this share of the malicious, and as many of the benign, at random."""
    labels = train.labels.copy()
    positive, good = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    n = int(level * len(positive))
    labels[rng.choice(positive, n, replace=False)] = 0
    labels[rng.choice(good, n, replace=False)] = 1
    return labels


def by_group(train: Dataset, level: float, rng: np.random.Generator) -> Labels:
    """Turn whole groups of malicious lines, as a feed or a playbook that is wrong would."""
    labels = train.labels.copy()
    codes = train.group_codes()
    positive = labels == 1
    n_wrong = level * positive.sum()
    turned = 0
    for code in rng.permutation(np.unique(codes[positive])):
        own = (codes == code) & positive
        if turned + own.sum() > 1.05 * n_wrong:
            continue
        labels[own] = 0
        turned += int(own.sum())
    return labels


class World:
    """The data, read once."""

    def __init__(self, data: Path) -> None:
        folder = data / "command_line"
        self.train = read_dataset([folder / "labelled.parquet"], TASK)
        self.test = read_dataset([folder / "test.parquet"], TASK)
        # The first 300 annotations of an LLM on real telemetry.
        recorded = data / "teacher" / "command-line.parquet"
        annotated = read_dataset([recorded], TASK, labeled=False)
        p = np.array(pq.read_table(recorded, columns=["p_malicious"])["p_malicious"], np.float32)
        rows = unlike(annotated.take(np.arange(_ANNOTATED)), self.test)
        targets = np.stack([1 - p, p], axis=1)[rows]
        self.telemetry = annotated.take(rows).with_targets(targets)


def run(study: Study) -> list[Table]:
    """Compute what is not known yet, and return the tables."""
    loader = Loader(lambda: World(study.data))

    def figures(spoil: str, level: float, method: str, seed: int) -> Figures:
        def compute() -> Figures:
            study.on_step(f"wrong labels {spoil}: {level:.0%}, {method}, seed {seed}")
            return measure(loader.world, spoil, level, method, seed)

        return study.results.once(
            compute,
            part="noisy",
            version=VERSION,
            spoil=spoil,
            level=level,
            method=method,
            seed=seed,
        )

    tables = []
    methods = [*(m.value for m in METHODS), "drop, taught", "none, taught"]
    for spoil, what in (("by class", "at random"), ("by group", "whole groups of malicious lines")):
        rows = []
        for method in methods:
            found = [
                [figures(spoil, level, method, seed) for seed in range(study.seeds)]
                for level in LEVELS
            ]
            rows.append(
                (f"`{method}`", *(str(Mean.of([f["tpr@0.01"] for f in fs])) for fs in found))
            )
        note = (
            f"Detection at FPR 1e-2 on `command_line/test`, true labels; labels turned {what}. "
            "`taught` adds 150 annotations of the recorded LLM on real telemetry."
        )
        tables.append(
            Table(f"Wrong labels, {spoil}", note, ("", *(f"{v:.0%}" for v in LEVELS)), rows)
        )
    return tables


def measure(world: World, spoil: str, level: float, method: str, seed: int) -> Figures:
    """Return AUROC and detection of a student of labels that were made wrong."""
    turn = by_class if spoil == "by class" else by_group
    labels = turn(world.train, level, np.random.default_rng(seed)).astype(np.int32)
    noisy = world.train.with_labels(labels)
    extra: Dataset | None = None
    if method.endswith("taught"):
        order = np.random.default_rng(seed).permutation(len(world.telemetry))
        extra = world.telemetry.take(np.sort(order[::2])).with_weights(_ANNOTATION_WEIGHT)
    noise = Noise(method.partition(",")[0])
    student = fit_student(
        noisy, StudentSpec("ngram", {}, folds=FOLDS, seed=seed, noise=noise), additional=extra
    ).student
    score = probabilities_of(student.predict_logits(world.test.texts))[:, 1]
    roc = Ranking(score, world.test.labels == 1).roc()
    return {"auroc": auroc(roc)} | {f"tpr@{rate:g}": tpr_at_fpr(roc, rate) for rate in RATES}
