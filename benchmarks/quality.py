"""Quality on held-out data, against fastText and scikit-learn, within and across sources."""

from pathlib import Path

import numpy as np

from benchmarks.baselines import FastText, ScikitLearn, plain_texts
from benchmarks.measure import in_turns, table
from benchmarks.models import bundle, events, scorer
from buckler.dataset import Dataset
from buckler.dataset.splits import deduplicate, split_by_group, unlike
from buckler.evaluation.intervals import bootstrap
from buckler.evaluation.metrics import Ranking, auroc, tpr_at_fpr
from buckler.runtime import load

RESAMPLES = 300


def _figures(scores: np.ndarray, test: Dataset) -> tuple[str, ...]:
    ranking = Ranking(scores, test.labels == 1)

    def measure(weights: np.ndarray | None) -> dict[str, float]:
        roc = ranking.roc(weights)
        return {
            "auroc": auroc(roc),
            "1e-2": tpr_at_fpr(roc, 0.01),
            "1e-3": tpr_at_fpr(roc, 0.001),
        }

    found = bootstrap(measure, test.group_codes(), RESAMPLES)
    return tuple(str(found[name]) for name in ("auroc", "1e-2", "1e-3"))


def run(data: Path) -> None:
    train = deduplicate(events(data, "url-threat", "threat-train"), near=False).events
    other = events(data, "url-threat", "threat-2021")
    half = split_by_group(other, 0.5, seed=0)
    held_out = other.take(half.right)
    # Both sources in training: no group of the held-out half stands in either.
    both = Dataset.concat([train, deduplicate(other.take(half.left), near=False).events])
    both = both.take(unlike(both, held_out))
    test = events(data, "url-threat", "threat-test")
    cases = [
        ("threat-train, tested on threat-test", train, test),
        ("threat-train, tested on all of threat-2021", train, other),
        ("threat-train, tested on half of threat-2021", train, held_out),
        ("threat-train and the other half of threat-2021, tested on that half", both, held_out),
    ]
    rows = []
    fitted: dict[int, list[tuple[str, object]]] = {}
    for title, training, testing in cases:
        if id(training) not in fitted:
            texts = plain_texts(training)
            fitted[id(training)] = [
                ("Buckler", _student(training)),
                ("fastText", FastText().fit(texts, training.labels)),
                ("scikit-learn", ScikitLearn().fit(texts, training.labels)),
            ]
        for name, model in fitted[id(training)]:
            scores = (
                model.score(testing.raw).scores
                if name == "Buckler"
                else model.probabilities(plain_texts(testing), 2)[:, 1]
            )
            rows.append((title, name, *_figures(scores, testing)))
    table(("trained on", "model", "AUROC", "TPR at 1e-2", "TPR at 1e-3"), rows)
    print()
    _categories(data)


def _student(training: Dataset):
    import tempfile

    from buckler.training.cross_validation import StudentSpec
    from buckler.training.fit import fit_student
    from buckler.training.packaging import write_fitted

    path = Path(tempfile.mkdtemp()) / "a.buckler"
    write_fitted(path, fit_student(training, StudentSpec("ngram", {})))
    return load(path)


def _categories(data: Path) -> None:
    train = events(data, "url-category", "category-labelled")
    test = events(data, "url-category", "category-test")
    texts, test_texts = plain_texts(train), plain_texts(test)
    rows = []
    for bits in (18, 16, 14):
        model = scorer(data, "url-category", "category-labelled", table_bits=bits)
        got = model.score(test.raw).label_indices
        size = bundle(data, "url-category", "category-labelled", table_bits=bits).stat().st_size
        rows.append((f"Buckler, 2^{bits} rows, {size:,} bytes", *_accuracy(got, test)))
    for name, model in (
        ("fastText, 30 passes", FastText(epoch=30).fit(texts, train.labels)),
        ("scikit-learn", ScikitLearn().fit(texts, train.labels)),
    ):
        got = model.probabilities(test_texts, 29).argmax(axis=1)
        rows.append((name, *_accuracy(got, test)))
    table(("url-category from 8,695 labels", "accuracy", "macro-F1"), rows)


def _accuracy(predicted: np.ndarray, test: Dataset) -> tuple[str, str]:
    def measure(weights: np.ndarray | None) -> dict[str, float]:
        w = np.ones(len(test)) if weights is None else weights
        matrix = np.bincount(test.labels * 29 + predicted, weights=w, minlength=841).reshape(29, 29)
        hits, there = np.diag(matrix), matrix.sum(axis=1) > 0
        total = matrix.sum(axis=0) + matrix.sum(axis=1)
        return {
            "accuracy": hits.sum() / matrix.sum(),
            "f1": (2 * hits[there] / total[there]).mean(),
        }

    found = bootstrap(measure, test.group_codes(), RESAMPLES)
    return str(found["accuracy"]), str(found["f1"])


def run_curve(data: Path) -> None:
    """Print gain and cost of more n-gram orders and of more rows."""
    test, other = (events(data, "url-threat", name) for name in ("threat-test", "threat-2021"))
    column = events(data, "url-threat", "threat-train").raw.combine_chunks()
    shapes = [
        {"max_order": order, "table_bits": bits}
        for order, bits in (
            (3, 14),
            (3, 18),
            (4, 18),
            (5, 14),
            (5, 16),
            (5, 18),
            (5, 20),
            (6, 18),
            (6, 20),
            (8, 20),
        )
    ]
    shapes.append({"max_order": 5, "table_bits": 16, "hidden": 16, "learning_rate": 0.1})
    scorers = {
        str(i): scorer(data, "url-threat", "threat-train", **s) for i, s in enumerate(shapes)
    }
    seconds = in_turns({name: lambda s=s: s.score(column) for name, s in scorers.items()}, 5)
    rows = []
    for i, shape in enumerate(shapes):
        model = scorers[str(i)]
        roc = Ranking(model.score(test.raw).scores, test.labels == 1).roc()
        across = Ranking(model.score(other.raw).scores, other.labels == 1).roc()
        hidden = f", hidden {shape['hidden']}" if "hidden" in shape else ""
        rows.append(
            (
                f"orders 1 to {shape['max_order']}, 2^{shape['table_bits']} rows{hidden}",
                f"{len(column) / seconds[str(i)]:,.0f}",
                f"{bundle(data, 'url-threat', 'threat-train', **shape).stat().st_size:,}",
                f"{auroc(roc):.4f}",
                f"{tpr_at_fpr(roc, 0.01):.3f}",
                f"{tpr_at_fpr(roc, 0.001):.3f}",
                f"{auroc(across):.3f}",
            )
        )
    table(
        (
            "shape",
            "events/s",
            "bytes",
            "AUROC",
            "TPR at 1e-2",
            "TPR at 1e-3",
            "AUROC on threat-2021",
        ),
        rows,
    )
