"""fastText and scikit-learn, on the same normalized texts."""

import tempfile
from pathlib import Path

import fasttext
import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier

from buckler.dataset import Dataset

FASTTEXT = {"dim": 16, "minn": 1, "maxn": 5, "bucket": 1 << 20, "lr": 0.5, "epoch": 5}


def plain_texts(events: Dataset) -> list[str]:
    return [
        events.texts[i].decode("utf-8", "replace").replace("\x1f", " ").replace("\n", " ")
        for i in range(len(events))
    ]


class FastText:
    """Character n-grams of the same orders, and as many buckets as the largest table here."""

    name = "fastText"

    def __init__(self, **changes: object) -> None:
        self.settings = FASTTEXT | changes

    def fit(self, texts: list[str], labels: np.ndarray) -> "FastText":
        with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
            for text, label in zip(texts, labels, strict=True):
                file.write(f"__label__{label} {text}\n")
        self.train_file(Path(file.name))
        Path(file.name).unlink()
        return self

    def train_file(self, path: Path) -> None:
        self.model = fasttext.train_supervised(str(path), thread=1, verbose=0, **self.settings)

    def size_bytes(self) -> int:
        with tempfile.NamedTemporaryFile(suffix=".bin") as file:
            self.model.save_model(file.name)
            return Path(file.name).stat().st_size

    def probabilities(self, texts: list[str], n_classes: int) -> np.ndarray:
        out = np.zeros((len(texts), n_classes))
        labels, values = self.model.predict(texts, k=n_classes)
        for row, (names, ps) in enumerate(zip(labels, values, strict=True)):
            for name, p in zip(names, ps, strict=True):
                out[row, int(name.removeprefix("__label__"))] = p
        return out


class ScikitLearn:
    """HashingVectorizer and a linear model by stochastic gradient descent."""

    name = "scikit-learn"

    def __init__(self) -> None:
        self.vectorizer = HashingVectorizer(
            analyzer="char", ngram_range=(1, 5), n_features=1 << 20, alternate_sign=False
        )
        self.model = SGDClassifier(
            loss="log_loss", alpha=1e-6, max_iter=10, tol=None, random_state=0
        )

    def fit(self, texts: list[str], labels: np.ndarray) -> "ScikitLearn":
        self.model.fit(self.vectorizer.transform(texts), labels)
        return self

    def size_bytes(self) -> int:
        return self.model.coef_.nbytes

    def probabilities(self, texts: list[str], n_classes: int) -> np.ndarray:
        found = self.model.predict_proba(self.vectorizer.transform(texts))
        assert found.shape[1] == n_classes
        return found
