"""Judges the student of a recipe by unseen sources, at both thresholds, in minutes.

`python -m benchmarks.unseen examples/TASK/buckler.toml` reads, asks, merges and splits as the
recipe does. It leaves out each family of sources in turn, for a fixed number of epochs. A last
student learns from all of them and is measured on the test rows, source by source, and under each
attack. With `--by-time`, further students learn what is older than the latest events of a family.
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
from buckler.attacks import Attacker, attacks_on
from buckler.dataset import Dataset
from buckler.dataset.sources import balance_sources, sample_sources
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean, bootstrap, rate
from buckler.evaluation.metrics import (
    Ranking,
    auroc,
    enough_negatives,
    tpr_at_fpr,
)
from buckler.evaluation.report import rate_text
from buckler.evaluation.source_tables import source_tables
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
from buckler.operating_point import USUAL_FPRS, OperatingPoint
from buckler.pipeline.distill import extra_examples, prepare_examples
from buckler.pipeline.fit_stages import worst_false_positives
from buckler.pipeline.recipe import Recipe, read_recipe
from buckler.pipeline.stages import StageRunner
from buckler.students import Student
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import SourceEvidence, positive_scores
from buckler.training.unseen_sources import score_later_events, score_unseen_sources

Floats = npt.NDArray[np.float32]
POINT = OperatingPoint(fpr=0.01)
_MIN_ROWS = 30
_MAX_ATTACKED, _MAX_BENIGN = 500, 2_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unseen", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--most", type=int, default=20_000, help="negatives of a source, at most")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1, choices=range(1, 11), metavar="N")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--plain", action="store_true", help="without annotations")
    parser.add_argument("--by-time", action="store_true", help="latest events of each family too")
    parser.add_argument("--by", default=[], action="append", help="column of a further table")
    parser.add_argument("--output", "-o", type=Path, help="folder for the worst false positives")
    given = parser.parse_args()
    recipe = read_recipe(given.recipe)
    settings = {name: json.loads(value) for name, _, value in (s.partition("=") for s in given.set)}
    training, additional, test = _prepare(recipe, given.most, plain=given.plain)
    print(f"{len(training):,} training rows, {len(test):,} test rows")
    means: list[tuple[float, float]] = []
    for seed in range(given.seeds):
        spec = replace(recipe.spec.with_settings(settings), seed=seed, by_time=given.by_time)
        evidence = _judge(training, additional, spec, given.epochs)
        if evidence is None:
            parser.error("no class comes from several families of sources")
        record = evidence.record
        options = record.options
        at = {one.rule: one for one in options}
        means.append((record.pair_auroc or 0.0, at[ThresholdRule.UNSEEN].detection.value))
        if seed:
            continue
        _print_record(record)
        _print_slices("source", evidence.scores, options)
        _print_later(evidence, at[ThresholdRule.UNSEEN].value)
        for name in given.by:
            values = training.column(name)
            _print_slices(name, replace(evidence.scores, sources=values), options)
        if given.output is not None:
            given.output.mkdir(parents=True, exist_ok=True)
            lines = worst_false_positives(evidence, at[ThresholdRule.UNSEEN].value)
            (given.output / "false-positives.jsonl").write_bytes(lines)
        student = _new_student(training, additional, spec, given.epochs)
        _print_test(student, test, options)
        _print_attacks(student, test, at[ThresholdRule.UNSEEN].value)
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
    return training, extra_examples(recipe, pool, training), split.test


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
    record = SourceRecord(spec.threshold_rule, None, (), options, *pairs, ())
    late = score_later_events(balanced, spec, epochs, additional, None) if spec.by_time else None
    later = (
        None if late is None else scores.by_family(_score(late.logits, training), late.is_unseen)
    )
    return SourceEvidence(training, scores, record, spec.seed, later)


def _score(logits: Floats, events: Dataset) -> Floats:
    p = probabilities_of(logits).astype(np.float32)
    return positive_scores(p, events.task)


def _print_record(record: SourceRecord) -> None:
    print(f"\nAUROC of pairs of unseen sources: {record.pair_auroc:.3f} ({record.n_pairs} pairs)")
    for one in record.options:
        print(
            f"{one.rule}: detection {rate_text(one.detection, 3)}, false positives "
            f"{rate_text(one.false_positives, 4)}, worst {rate_text(one.worst_false_positives, 3)} "
            f"({one.worst_source})"
        )


def _print_later(evidence: SourceEvidence, threshold: float) -> None:
    """Print the figures of the latest events of each family, if they were asked for."""
    if evidence.later is None:
        return
    found = source_tables(replace(evidence.record, later=evidence.later_at(threshold)))
    if "later" in found:
        table(found["later"].heading, found["later"].rows)
    both = evidence.later.unseen & evidence.scores.unseen
    apart = evidence.scores.by_family(evidence.scores.score, both)
    for name, scores in (("learned until then", evidence.later), ("unseen", apart)):
        area, n_pairs = mean_pair_auroc(scores, np.random.default_rng(0))
        print(f"AUROC of pairs of latest events, {name}: {area or 0:.3f} ({n_pairs} pairs)")


def _print_slices(name: str, scores: SourceScores, options: Sequence[ThresholdOption]) -> None:
    """Print the figures of unseen sources by source, or by another property of the events."""
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
    table((name, "rows", "AUROC", *heads), rows)


def _new_student(
    training: Dataset, additional: Dataset | None, spec: StudentSpec, epochs: int
) -> Student:
    """Return a student that learned from all sources."""
    examples = balance_sources(training, spec.source_balance)
    if additional is not None:
        examples = Dataset.concat([examples, additional])
    return spec.new_student(epochs).fit(examples)


def _print_test(student: Student, test: Dataset, options: Sequence[ThresholdOption]) -> None:
    """Print figures of a student on the test rows, by source."""
    score, positive = _score(student.predict_logits(test.texts), test), test.is_positive
    scores = SourceScores(score, positive, test.sources, test.group_codes(), positive | ~positive)
    ranking = Ranking(score, positive)
    targets = [t for t in USUAL_FPRS if enough_negatives(ranking.n_negative, t)]

    def measure(weights: npt.NDArray[np.float64] | None) -> dict[str, float]:
        roc = ranking.roc(weights)
        return {"AUROC": auroc(roc)} | {f"at FPR {t:g}": tpr_at_fpr(roc, t) for t in targets}

    found = bootstrap(measure, test.group_codes(), n_resamples=200)
    print("\ntest rows: " + "; ".join(f"{name} {figure}" for name, figure in found.items()))
    rows = []
    names = test.sources.astype(str)
    for name in ("all", *np.unique(names)):
        cells = [name[:48]]
        for side in _sides(test):
            own = side if name == "all" else (names == name) & side
            shares = [scores.share_detected(own, one.value) for one in options]
            cells += [rate_text(s, 3) if s.n_rows >= _MIN_ROWS else "-" for s in shares]
        rows.append(tuple(cells))
    heads = [f"{kind}, {one.rule}" for kind in ("detection", "false positives") for one in options]
    table(("test source", *heads), rows)


def _print_attacks(student: Student, test: Dataset, threshold: float) -> None:
    """Print the share detected of positive test rows, before and after each attack on them."""
    rng = np.random.default_rng(0)
    positives = test.take(rng.permutation(np.flatnonzero(test.is_positive))[:_MAX_ATTACKED])
    negatives = test.take(rng.permutation(np.flatnonzero(~test.is_positive))[:_MAX_BENIGN])
    benign, texts = (
        [text.decode("utf-8", "surrogateescape") for text in events.raw_texts]
        for events in (negatives, positives)
    )
    before = _score(student.predict_logits(positives.texts), test) >= np.float32(threshold)
    groups, rows = positives.group_codes(), []
    for number, attack in enumerate(attacks_on(test.task.medium)):
        attacker = Attacker(np.random.default_rng([0, number]), benign, test.task.features or None)
        changed = [attack(text, attacker) for text in texts]
        own = np.flatnonzero([a != b for a, b in zip(texts, changed, strict=True)])
        if len(own) < _MIN_ROWS:
            continue
        events = positives.take(own).with_raw_texts(
            [changed[row].encode("utf-8", "surrogateescape") for row in own]
        )
        after = _score(student.predict_logits(events.texts), test) >= np.float32(threshold)
        found = [rate_text(rate(hits, groups[own]), 3) for hits in (before[own], after)]
        rows.append((attack.name, f"{len(own):,}", *found))
    table(("attack", "rows", "detection before", "after"), rows)


if __name__ == "__main__":
    sys.exit(main())
