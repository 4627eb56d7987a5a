"""Classifier two-sample test: can a classifier tell synthetic examples from real events?

After Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests". An AUROC of 0.5 means that
it cannot; 1 means that synthetic examples are of a kind of their own.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import UNKNOWN, Estimate, bootstrap
from buckler.evaluation.metrics import Ranking, auroc
from buckler.students import Student, get_student
from buckler.tasks import Task

FOLDS = 5
MIN_ROWS = 50
_EPOCHS = 4
_TREE_EPOCHS = 8
_TABLE_BITS = 16
_MAX_ROWS = 20_000
_RESAMPLES = 200


@dataclass(frozen=True)
class TwoSampleTest:
    """Outcome of a two-sample test.

    Attributes
    ----------
    auroc
        Real-vs-synthetic AUROC, with an interval that is resampled by group.
    synthetic
        float64 [synthetic examples]: probability that each is synthetic, from a classifier that did
        not see it; NaN where there are too few rows to tell.
    """

    auroc: Estimate
    synthetic: npt.NDArray[np.float64]


def two_sample_test(
    synthetic_examples: Dataset,
    real: Dataset,
    seed: int = 0,
    *,
    blocks: npt.NDArray[np.int64] | None = None,
) -> TwoSampleTest:
    """Classify synthetic examples of a class against real events of it, out of fold.

    Parameters
    ----------
    synthetic_examples
        Synthetic examples, or any events to compare.
    real
        Real events; one group stays in one fold.
    seed
        Random seed.
    blocks
        Block of each synthetic example, such as its combination: one block stays in one fold, if
        there are enough blocks. By default its group.
    """
    if len(synthetic_examples) < MIN_ROWS or len(real) < MIN_ROWS:
        return TwoSampleTest(UNKNOWN, np.full(len(synthetic_examples), np.nan))
    blocks = synthetic_examples.group_codes() if blocks is None else blocks
    if len(np.unique(blocks)) < FOLDS:
        blocks = np.arange(len(synthetic_examples))
    rng = np.random.default_rng(seed)
    if len(real) > _MAX_ROWS:
        real = real.take(np.sort(rng.permutation(len(real))[:_MAX_ROWS]))
    both = Dataset.concat([synthetic_examples, real])
    synthetic = np.arange(len(both)) < len(synthetic_examples)
    _, groups = np.unique(real.group_codes(), return_inverse=True)
    groups = np.concatenate([blocks, groups + blocks.max() + 1])
    fold_of = rng.integers(0, FOLDS, groups.max() + 1)[groups]
    # Equal weight for both sides: the probability must not depend on their numbers.
    weights = np.where(synthetic, 0.5 / synthetic.mean(), 0.5 / (~synthetic).mean())
    question = replace(
        real.task, classes={"real": "", "synthetic": ""}, positive=("synthetic",), aliases={}
    )
    both = replace(both, task=question, labels=synthetic.astype(np.int32), soft_targets=None)
    both = both.with_weights(weights.astype(np.float32))
    logits = np.zeros(len(both), np.float32)
    for fold in range(FOLDS):
        held, rest = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        if not len(held) or not synthetic[rest].any() or synthetic[rest].all():
            continue
        student = new_classifier(synthetic_examples.task, _EPOCHS, seed, _TABLE_BITS)
        student.fit(both.take(rest))
        logits[held] = student.predict_logits(both.texts.take(held))[:, 0]
    measured = bootstrap(
        lambda w: {"auroc": auroc(Ranking(logits, synthetic).roc(w))},
        groups.astype(np.int64),
        _RESAMPLES,
        seed,
    )
    probabilities = probabilities_of(logits[: len(synthetic_examples), None])[:, 1]
    return TwoSampleTest(measured["auroc"], probabilities)


def new_classifier(task: Task, epochs: int, seed: int, table_bits: int = 18) -> Student:
    """Return an untrained small student: n-grams for texts, trees for rows of features."""
    if not task.features:
        return get_student("ngram", {"epochs": epochs, "seed": seed, "table_bits": table_bits})
    return get_student("trees", {"epochs": _TREE_EPOCHS, "seed": seed})
