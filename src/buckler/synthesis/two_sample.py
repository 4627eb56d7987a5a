"""Can synthetic examples be told from real events of their class? A classifier says how well.

After Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests": an AUROC of 0.5 means that
it cannot tell them apart, 1 that synthetic examples are of a kind of their own.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Estimate, bootstrap
from buckler.evaluation.metrics import Ranking, auroc
from buckler.synthesis.classifiers import new_classifier

FOLDS = 5
MIN_ROWS = 50
_EPOCHS = 4
_MAX_ROWS = 20_000
_RESAMPLES = 200


@dataclass(frozen=True)
class TwoSample:
    """The outcome.

    Attributes
    ----------
    auroc
        With its interval, resampled by group and cell.
    synthetic
        float64 [synthetic examples]: probability that each is one, from a classifier that did not see it;
        NaN where there were too few to tell.
    """

    auroc: Estimate
    synthetic: npt.NDArray[np.float64]


def two_sample_test(
    synthetic_examples: Dataset,
    cells: npt.NDArray[np.intp],
    real: Dataset,
    seed: int = 0,
) -> TwoSample:
    """Tell synthetic examples of a class from real events of it, in folds by cell and by group.

    Parameters
    ----------
    cells
        The cell of each synthetic example: those of one cell stand in one fold, if there are enough cells.
    """
    nan = float("nan")
    if len(synthetic_examples) < MIN_ROWS or len(real) < MIN_ROWS:
        return TwoSample(Estimate(nan, nan, nan), np.full(len(synthetic_examples), nan))
    if len(np.unique(cells)) < FOLDS:
        cells = np.arange(len(synthetic_examples))
    rng = np.random.default_rng(seed)
    if len(real) > _MAX_ROWS:
        real = real.take(np.sort(rng.permutation(len(real))[:_MAX_ROWS]))
    both = Dataset.concat([synthetic_examples, real])
    synthetic = np.arange(len(both)) < len(synthetic_examples)
    _, groups = np.unique(real.group_codes(), return_inverse=True)
    groups = np.concatenate([cells, groups + cells.max() + 1])
    fold_of = rng.integers(0, FOLDS, groups.max() + 1)[groups]
    # Both sides weigh the same, so that the probability does not depend on how many were written.
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
        student = new_classifier(synthetic_examples.task, epochs=_EPOCHS, seed=seed, table_bits=16)
        student.fit(both.take(rest))
        logits[held] = student.predict_logits(both.texts.take(held))[:, 0]
    measured = bootstrap(
        lambda w: {"auroc": auroc(Ranking(logits, synthetic).roc(w))},
        groups.astype(np.int64),
        _RESAMPLES,
        seed,
    )
    probabilities = probabilities_of(logits[: len(synthetic_examples), None])[:, 1]
    return TwoSample(measured["auroc"], probabilities)
