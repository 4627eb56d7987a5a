"""Students with and without segments, under attack, on sources or groups that they did not see.

Thresholds are for 1 % false positives of the same rows, so a line compares students, not promises.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.measure import table
from buckler.attacks import Attacker, get_attacks
from buckler.dataset import Dataset
from buckler.dataset.sources import balance_sources
from buckler.dataset.splits import apart_from
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.metrics import Ranking, auroc
from buckler.evaluation.unseen_sources import SourceScores, mean_pair_auroc
from buckler.normalize import NormalizedTexts
from buckler.pipeline.prepare import ReadSources
from buckler.pipeline.recipe import read_recipe
from buckler.students.ngram import NgramStudent
from buckler.tasks import get_task
from buckler.training.cross_validation import assign_folds
from buckler.training.fit import positive_scores
from buckler.training.unseen_sources import source_folds

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ROWS = {"command-line": 12_000, "url-threat": 16_000, "email": 4_000}
FOLDS, EPOCHS, FPR = 4, 5, 0.01
ATTACKED, BENIGN = 400, 1_000  # events
COMBINATIONS = ("none", "mean", "max", "soft")

Scores = dict[str, np.ndarray]


@dataclass(frozen=True)
class Attacked:
    name: str
    rows: np.ndarray
    texts: NormalizedTexts


def run(_: Path) -> None:
    """Print a table for each task: known sources and new groups, then unseen sources."""
    for name, n_rows in ROWS.items():
        recipe = read_recipe(EXAMPLES / name / "buckler.toml")
        events = _read(name, n_rows)
        own = {k: v for k, v in recipe.student.spec.settings.items() if k != "segments"}
        events = balance_sources(events, recipe.student.source_balance)
        attacked = _attack(events)
        rows: list[tuple[object, ...]] = []
        for judged in ("unseen groups", "unseen sources"):
            rows += _compare(events, own, judged, attacked)
        print(f"\n{name}: {len(events):,} events, {int(events.is_positive.sum()):,} positive\n")
        table(("judged on", "segments", "AUROC", "detection", "attacks that take most"), rows)


def _read(name: str, n_rows: int) -> Dataset:
    """Return distinct labeled events of the recipe's training files, at most so many."""
    recipe = read_recipe(EXAMPLES / name / "buckler.toml")
    with TemporaryDirectory() as folder:
        sources, _ = ReadSources.of(recipe, get_task(recipe.task), None).work(Path(folder))
    events = sources.require("train").only_labeled()
    first = {text: row for row, text in reversed(list(enumerate(events.texts)))}
    rows = np.random.default_rng(0).permutation(sorted(first.values()))
    return events.take(np.sort(rows[:n_rows]))


def _compare(
    events: Dataset, settings: Mapping[str, object], judged: str, attacked: list[Attacked]
) -> list[tuple[object, ...]]:
    by_source = judged == "unseen sources"
    fold_of, unseen = source_folds(events, FOLDS, 0)
    if not by_source:
        fold_of = assign_folds(events, FOLDS, 0)
    scores: Scores = {c: np.zeros(len(events), np.float32) for c in COMBINATIONS}
    after = {(c, a.name): np.zeros(len(a.rows), np.float32) for c in COMBINATIONS for a in attacked}
    for fold in range(FOLDS):
        held_out = np.flatnonzero(fold_of == fold)
        watched = events.take(held_out)
        training = events.take(np.flatnonzero(fold_of != fold))
        training = training.take(apart_from(training, watched))
        for trained in ("none", "max"):
            student = NgramStudent(**{**settings, "epochs": EPOCHS, "segments": trained})  # type: ignore[arg-type]
            student.fit(training)
            for combination in ("none",) if trained == "none" else ("mean", "max", "soft"):
                student.rule_ = replace(student.rule_, combination=combination)
                scores[combination][held_out] = _scores(student, watched.texts, events)
                for attack in attacked:
                    own = np.flatnonzero(fold_of[attack.rows] == fold)
                    after[combination, attack.name][own] = _scores(
                        student, attack.texts.take(own), events
                    )
    found: list[tuple[object, ...]] = []
    for combination, own in scores.items():
        threshold = float(np.quantile(own[~events.is_positive], 1 - FPR))
        area = auroc(Ranking(own, events.is_positive).roc())
        if by_source:
            codes = events.group_codes()
            known = SourceScores(own, events.is_positive, events.sources, codes, unseen)
            area = mean_pair_auroc(known, np.random.default_rng(0))[0] or float("nan")
        drops = []
        for attack in attacked:
            before = float((own[attack.rows] >= threshold).mean())
            left = float((after[combination, attack.name] >= threshold).mean())
            drops.append((before, left, attack.name))
        drops.sort(key=lambda drop: drop[1] - drop[0])
        worst = ", ".join(f"{name} {before:.2f} > {left:.2f}" for before, left, name in drops[:3])
        share = float((own[events.is_positive] >= threshold).mean())
        found.append((judged, combination, f"{area:.3f}", f"{share:.3f}", worst))
    return found


def _scores(student: NgramStudent, texts: NormalizedTexts, events: Dataset) -> np.ndarray:
    probabilities = probabilities_of(student.predict_logits(texts))
    return positive_scores(probabilities, events.task)


def _attack(events: Dataset) -> list[Attacked]:
    """Attack some positive events."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.flatnonzero(~events.is_positive))[:BENIGN]
    benign = _texts(events.take(np.sort(rows)))
    chosen = np.sort(rng.permutation(np.flatnonzero(events.is_positive))[:ATTACKED])
    before, found = _texts(events.take(chosen)), []
    for attack in get_attacks(["all"], events.task.medium):
        attacker = Attacker(rng, benign)
        after = [attack(text, attacker) for text in before]
        changed = np.flatnonzero([a != b for a, b in zip(before, after, strict=True)])
        if len(changed):
            raw = [after[i].encode("utf-8", "surrogateescape") for i in changed]
            found.append(Attacked(attack.name, chosen[changed], events.task.normalize(raw)))
    return found


def _texts(events: Dataset) -> list[str]:
    return [text.decode("utf-8", "surrogateescape") for text in events.raw_texts]
