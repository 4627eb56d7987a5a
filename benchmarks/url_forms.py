"""Normalized forms of URLs side by side: speed, and quality on rows that training has not seen.

Each form trains on the same rows and scores the same ones; differences are paired, by a bootstrap
over registered domains.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.measure import in_turns, table
from benchmarks.models import FOLDER
from buckler.dataset import Dataset, read_dataset
from buckler.dataset.splits import deduplicate
from buckler.evaluation.intervals import bootstrap
from buckler.evaluation.metrics import Ranking, auroc, tpr_at_fpr
from buckler.runtime import Scorer, load
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted

FORMS = ("url-v3", "url-v1")
TESTS = ("threat-test", "threat-2021", "field")
RESAMPLES = 200


def run(data: Path) -> None:
    scorers = {form: _train(data, form) for form in FORMS}
    column = _events(data, "threat-train", "url-v3").raw.combine_chunks()
    seconds = in_turns({form: lambda s=s: s.score(column) for form, s in scorers.items()})
    one = {form: lambda s=s: [s.score_of(u) for u in urls] for form, s in scorers.items()}
    urls = column.slice(0, 20_000).to_pylist()
    single = in_turns(one)
    table(
        ("form", "URLs/s, one core", "time of url-v3", "one event through Python, us"),
        [
            (
                form,
                f"{len(column) / seconds[form]:,.0f}",
                f"{seconds[form] / seconds['url-v3']:.2f} x",
                f"{single[form] / len(urls) * 1e6:.2f}",
            )
            for form in FORMS
        ],
    )
    print()
    rows: list[tuple[object, ...]] = []
    for name in TESTS:
        test = _events(data, name, "url-v3")
        if name == "field":  # no registered domain of training
            known = _events(data, "threat-train", "url-v3").groups
            test = test.take(np.flatnonzero(~np.isin(test.groups, known)))
        rankings = {
            form: Ranking(scorer.score(test.raw).scores, test.labels == 1)
            for form, scorer in scorers.items()
        }
        rows += [(name, form, *_figures(rankings[form], test)) for form in FORMS]
        rows += [
            (name, f"url-v3 less {form}", *_figures(rankings["url-v3"], test, rankings[form]))
            for form in FORMS[1:]
        ]
    table(("rows", "form", "AUROC", "TPR at 1e-2", "TPR at 1e-3"), rows)


def _events(data: Path, name: str, form: str) -> Dataset:
    task = replace(get_task("url-threat"), normalizer=form)
    return read_dataset([data / "url" / f"{name}.parquet"], task)


def _train(data: Path, form: str) -> Scorer:
    path = FOLDER / f"form-{form}.buckler"
    train = deduplicate(_events(data, "threat-train", form), near=False).events
    write_fitted(path, fit_student(train, StudentSpec("ngram", {})))
    return load(path)


def _figures(ranking: Ranking, test: Dataset, other: Ranking | None = None) -> tuple[str, ...]:
    def measure(weights: np.ndarray | None) -> dict[str, float]:
        found = _measure(ranking, weights)
        if other is None:
            return found
        return {name: found[name] - value for name, value in _measure(other, weights).items()}

    return tuple(map(str, bootstrap(measure, test.group_codes(), RESAMPLES).values()))


def _measure(ranking: Ranking, weights: np.ndarray | None) -> dict[str, float]:
    roc = ranking.roc(weights)
    return {"auroc": auroc(roc), "1e-2": tpr_at_fpr(roc, 0.01), "1e-3": tpr_at_fpr(roc, 0.001)}
