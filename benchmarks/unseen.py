"""Judges the student of a recipe by unseen sources, at both thresholds, in minutes.

`python -m benchmarks.unseen examples/TASK/buckler.toml` reads, asks, merges and splits as the
recipe does. It leaves out each family of sources in turn, for a fixed number of epochs. A last
student learns from all of them and is measured on the test rows, source by source.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measure import table
from buckler.dataset import Dataset
from buckler.dataset.sources import balance_sources, sample_sources
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean
from buckler.evaluation.metrics import Ranking, auroc
from buckler.evaluation.report import rate_text
from buckler.evaluation.unseen_sources import (
    SourceRecord,
    SourceScores,
    ThresholdOption,
    ThresholdRule,
    mean_pair_auroc,
    operating_curves,
    source_figures,
    threshold_options,
)
from buckler.operating_point import OperatingPoint
from buckler.pipeline.distill import prepare_examples
from buckler.pipeline.fit_stages import worst_false_positives
from buckler.pipeline.recipe import Recipe, read_recipe
from buckler.pipeline.stages import StageRunner
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import SourceEvidence
from buckler.training.unseen_sources import score_unseen_sources

Floats = npt.NDArray[np.float32]
POINT = OperatingPoint(fpr=0.01)
_MIN_ROWS = 30


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unseen", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--most", type=int, default=20_000, help="negatives of a source, at most")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1, choices=range(1, 11), metavar="N")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--plain", action="store_true", help="without annotations")
    parser.add_argument("--output", "-o", type=Path, help="folder for the worst false positives")
    given = parser.parse_args()
    recipe = read_recipe(given.recipe)
    settings = {name: json.loads(value) for name, _, value in (s.partition("=") for s in given.set)}
    training, additional, test = _prepare(recipe, given.most, plain=given.plain)
    print(f"{len(training):,} training rows, {len(test):,} test rows")
    means: list[tuple[float, float]] = []
    for seed in range(given.seeds):
        spec = replace(recipe.spec.with_settings(settings), seed=seed)
        evidence = _judge(training, additional, spec, given.epochs)
        if evidence is None:
            parser.error("no class comes from several families of sources")
        record = evidence.record
        options = record.options
        at = {one.rule: one for one in options}
        means.append((record.pair_auroc or 0.0, at[ThresholdRule.UNSEEN].detection.value))
        if seed:
            continue
        _print_sources(evidence.scores, record, options)
        if given.output is not None:
            given.output.mkdir(parents=True, exist_ok=True)
            lines = worst_false_positives(evidence, at[ThresholdRule.UNSEEN].value)
            (given.output / "false-positives.jsonl").write_bytes(lines)
        _print_test(training, additional, test, spec, given.epochs, options)
    area, detection = (Mean.of(list(column)) for column in zip(*means, strict=True))
    print(f"{given.seeds} seeds: AUROC of pairs {area}, detection at unseen-sources {detection}")
    return 0


def _prepare(recipe: Recipe, most: int, *, plain: bool) -> tuple[Dataset, Dataset | None, Dataset]:
    """Run the recipe's stages up to the training, and draw from the large sources."""
    task = recipe.load_task()
    if plain:
        recipe.teacher = recipe.labels = recipe.pool = None
    runner = StageRunner(recipe.output / "stages", task, lambda name: print(name, file=sys.stderr))
    split, pool = prepare_examples(recipe, runner)
    rng = np.random.default_rng(recipe.student.seed)
    training = sample_sources(split.training, most, 10 * most, rng)
    return training, None if pool is None else pool.examples, split.test


def _sides(events: Dataset) -> Sequence[npt.NDArray[np.bool_]]:
    return events.is_positive, ~events.is_positive


def _judge(
    training: Dataset, additional: Dataset | None, spec: StudentSpec, epochs: int
) -> SourceEvidence | None:
    balanced = balance_sources(training, spec.source_balance)
    unseen = score_unseen_sources(balanced, spec, epochs, additional)
    if unseen is None:
        return None
    scores = SourceScores(
        _score(unseen.logits, training),
        training.is_positive,
        training.sources,
        training.group_codes(),
        unseen.is_unseen,
    )
    pairs = mean_pair_auroc(scores, np.random.default_rng(spec.seed))
    curves = operating_curves(scores, scores, None)
    curves.pop(ThresholdRule.KNOWN, None)
    options = threshold_options(scores, curves, POINT)
    return SourceEvidence(
        training, scores, SourceRecord(spec.threshold_rule, None, (), options, *pairs, ())
    )


def _score(logits: Floats, events: Dataset) -> Floats:
    p = probabilities_of(logits).astype(np.float32)
    return np.asarray(p[:, events.task.positive_indices].sum(axis=1))


def _print_sources(
    scores: SourceScores, record: SourceRecord, options: Sequence[ThresholdOption]
) -> None:
    print(f"\nAUROC of pairs of unseen sources: {record.pair_auroc:.3f} ({record.n_pairs} pairs)")
    for one in options:
        print(
            f"{one.rule}: detection {rate_text(one.detection, 3)}, false positives "
            f"{rate_text(one.false_positives, 4)}, worst {rate_text(one.worst_false_positives, 3)} "
            f"({one.worst_source})"
        )
    rows = []
    by_rule = [{f.source: f for f in source_figures(scores, one.value)} for one in options]
    for source, first in by_rule[0].items():
        cells = [source[:48], "-" if first.auroc is None else f"{first.auroc:.3f}"]
        n = 0
        for figures in (found[source] for found in by_rule):
            for share in (figures.detection, figures.false_positives):
                enough = share is not None and share.n_rows >= _MIN_ROWS
                cells.append(rate_text(share, 3) if share is not None and enough else "-")
                n = max(n, 0 if share is None else share.n_rows)
        rows.append((cells[0], f"{n:,}", *cells[1:]))
    heads = [f"{kind}, {one.rule}" for one in options for kind in ("detection", "false positives")]
    table(("source", "rows", "AUROC", *heads), rows)


def _print_test(
    training: Dataset,
    additional: Dataset | None,
    test: Dataset,
    spec: StudentSpec,
    epochs: int,
    options: Sequence[ThresholdOption],
) -> None:
    """Print figures of a student of all sources on the test rows, by file and source."""
    examples = balance_sources(training, spec.source_balance)
    if additional is not None:
        examples = Dataset.concat([examples, additional])
    student = spec.new_student(epochs)
    student.fit(examples)
    score, positive = _score(student.predict_logits(test.texts), test), test.is_positive
    scores = SourceScores(score, positive, test.sources, test.group_codes(), positive | ~positive)
    print(f"\ntest rows: AUROC {auroc(Ranking(score, positive).roc()):.4f}")
    rows = []
    names = test.sources.astype(str)
    for name in np.unique(names):
        cells = [name[:48]]
        for side in _sides(test):
            own = (names == name) & side
            shares = [scores.share_detected(own, one.value) for one in options]
            cells += [rate_text(s, 3) if s.n_rows >= _MIN_ROWS else "-" for s in shares]
        rows.append(tuple(cells))
    heads = [f"{kind}, {one.rule}" for kind in ("detection", "false positives") for one in options]
    table(("test source", *heads), rows)


if __name__ == "__main__":
    sys.exit(main())
