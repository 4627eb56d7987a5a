"""Checkers that others trained, for scale: `fraudurl` for URLs, `magika` for file types."""

import numpy as np


def fraudurl_scores(urls: list[str]) -> np.ndarray:
    """Return its raw scores, finer than its rounded probability; the lowest if it gives up."""
    from fraudurl.cli import MODEL_SAFE
    from fraudurl.lexical import extract
    from fraudurl.model import Model

    if not hasattr(fraudurl_scores, "model"):
        fraudurl_scores.model = Model(MODEL_SAFE)
    scores = np.full(len(urls), -20.0)
    for i, url in enumerate(urls):
        features = extract(url)
        if not features.get("parse_error"):
            scores[i] = fraudurl_scores.model.predict(features, want_reasons=False)[0]
    return scores


def magika_once(data: bytes) -> None:
    from magika import Magika

    if not hasattr(magika_once, "model"):
        magika_once.model = Magika()
    magika_once.model.identify_bytes(data)
