"""Loads a bundle and scores with it: no network, no temporary files, no training code."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from buckler.bundle.archive import Bundle, read_bundle
from buckler.bundle.manifest import Manifest
from buckler.errors import BundleError, InputError
from buckler.files import read_bytes
from buckler.normalize import FeatureSchema
from buckler.operating_point import DEFAULT_THRESHOLD, OperatingPoint
from buckler.runtime.auxiliary import Auxiliary, ask, load_auxiliaries
from buckler.runtime.classifier import Classifier
from buckler.runtime.explanation import Explanation, summarize
from buckler.runtime.verdicts import Rules, Verdict, Verdicts, check_error_rate

if TYPE_CHECKING:
    from pathlib import Path  # see errors.py

TRUSTED_KEY_VARIABLE = "BUCKLER_TRUSTED_KEY"


def load(path: str | Path, *, trusted_key: str | Path | None = None) -> Scorer:
    """Load a bundle: sizes, digests and conformance vectors are verified before it is used.

    Parameters
    ----------
    path
        A .buckler file, or the name of a ready-made bundle.
    trusted_key
        A public key (PEM file): the bundle must be signed by its owner, which is checked before
        anything in it is used. Needs the extra `trust`. Without it, the environment variable
        ``BUCKLER_TRUSTED_KEY`` names the key.

    Raises
    ------
    BundleError
        If the bundle is damaged, altered, too new, or not signed by the trusted key, or would
        score differently here.
    """
    return load_with_content(path, trusted_key=trusted_key)[0]


def load_with_content(
    path: str | Path, *, trusted_key: str | Path | None = None
) -> tuple[Scorer, Bundle]:
    """Load a bundle as `load` does, and return its content too.

    The file is opened once: whoever passes the content on passes on what was verified.
    """
    bundle = read_bundle(path)
    key = _read_trusted_key(trusted_key)
    try:
        if key is not None:
            from buckler.bundle.signature import check_signature

            check_signature(bundle, key)
        return Scorer(bundle), bundle
    except BundleError as error:
        raise BundleError(f"{path}: {error}", path=path) from error


def _read_trusted_key(path: str | Path | None) -> bytes | None:
    from pathlib import Path

    if path is None and (path := os.environ.get(TRUSTED_KEY_VARIABLE)) is None:
        return None
    if not str(path):  # of a variable that is set, but not to a key
        raise BundleError(f"{TRUSTED_KEY_VARIABLE} is empty: name a key, or unset it")
    return read_bytes(Path(path), BundleError)


class Scorer:
    """A bundle at work. Safe to use from many threads.

    Attributes
    ----------
    manifest
        Description of the bundle.
    sha256
        Digest that names this very bundle.
    classes
        Class names, in order.
    positive
        Indices of the classes that count as detections.
    auxiliary
        Name -> auxiliary classifier, such as which technique.
    score_of
        The fastest way for one text: `str` or `bytes` in, its score out (a float).
    """

    def __init__(self, bundle: Bundle) -> None:
        self.manifest: Manifest = bundle.manifest
        self.sha256 = bundle.sha256
        self._classifier = Classifier.from_bundle(bundle)
        self.classes = self._classifier.classes
        self.positive = tuple(self.classes.index(name) for name in self.manifest.positive)
        self.auxiliary: dict[str, Auxiliary] = {}
        if bundle.auxiliary or self.manifest.auxiliary:
            self.auxiliary = load_auxiliaries(bundle)
        self._rules = self._make_rules()
        self.score_of: Callable[[str | bytes], float] = self._score_of
        plain = not self.parses_texts and not self._classifier.curve
        if plain and len(self.classes) == 2 and self.positive == (1,):
            self.score_of = self._classifier.model.score_one  # type: ignore[assignment]

    @property
    def parses_texts(self) -> bool:
        """True where texts are parsed first, as mail is: any bytes will do, and they may be
        long.
        """
        return self._classifier.parses_texts

    @property
    def features(self) -> FeatureSchema | None:
        """Names of the features, where events are rows of a table; None where they are texts."""
        return self._classifier.normalizer.features

    @property
    def threshold(self) -> float | None:
        """Score from which an event is a detection; None where no class is positive.

        A bundle whose held-out events were too few to choose one decides at one half.
        """
        if not self.positive:
            return None
        chosen = self.manifest.threshold
        return DEFAULT_THRESHOLD if chosen is None else chosen

    def with_operating_point(self, point: OperatingPoint | None) -> Scorer:
        """Return the scorer with another threshold; itself where none is asked for.

        Raises
        ------
        SettingsError
            If the bundle's held-out events are too few for the wish.
        """
        if point is None:
            return self
        scorer = copy(self)
        scorer.manifest = replace(
            self.manifest, threshold=self.manifest.find_threshold(point), operating_point=point
        )
        return scorer

    def with_error_rate(self, error_rate: float) -> Scorer:
        """Return the scorer whose uncertain events are those of another error rate.

        Raises
        ------
        SettingsError
            If the bundle has no prediction sets for it.
        """
        check_error_rate(self.manifest.conformal, error_rate)
        scorer = copy(self)
        scorer._rules = replace(self._rules, error_rate=error_rate)
        return scorer

    def score(self, texts: object, *, threads: int = 1) -> Verdicts:
        """Score a batch and decide.

        A null gets NaN scores and no detection.

        Parameters
        ----------
        texts
            A list of str or bytes, or any Arrow column (pyarrow, polars, …) of strings or bytes.
            Rows of features: JSON objects, a `FeatureTable`, or a column of fixed-size lists.
        threads
            Number of threads for an Arrow column; the scores are the same.
        """
        outputs = self._classifier.outputs(texts, threads)
        if not self.auxiliary:
            return Verdicts(outputs, self._rules, self.threshold)
        answers = partial(ask, self.auxiliary.values(), self._classifier, texts)
        return Verdicts(outputs, self._rules, self.threshold, answers)

    def score_one(self, text: str | bytes, *, top: int = 0) -> Verdict:
        """Score one event and decide; `top` pieces say why.

        Raises
        ------
        InputError
            If there is no event, but None.
        """
        verdict = self.score([text])[0]
        if verdict.label is None:
            raise InputError("there is no event to score, but None")
        if not top:
            return verdict
        label = self.label_to_explain(verdict.label, detected=verdict.detected, text=text)
        return replace(verdict, explanation=self.explain(text, label=label, top=top))

    def explain(self, text: str | bytes, *, label: str | None = None, top: int = 10) -> Explanation:
        """Return the pieces that count most for or against a class (default: the likeliest).

        Positions are characters of the event as it was given.
        """
        if label is None:
            label = self.classes[int(self.score([text]).label_indices[0])]
        pieces = self._classifier.explain(text, self.classes.index(label))
        return summarize(pieces, label, top)

    def label_to_explain(self, label: str, *, detected: bool, text: str | bytes) -> str:
        """Return the class that an explanation is about.

        It is the likeliest one, or the likeliest positive one of a detection.
        """
        positive = self.manifest.positive
        if not detected or label in positive:
            return label
        if len(positive) == 1:
            return positive[0]
        probabilities = self.score([text])[0].probabilities
        return max(positive, key=lambda name: probabilities[name])

    def _score_of(self, text: str | bytes) -> float:
        return float(self.score([text]).scores[0])

    def _make_rules(self) -> Rules:
        model = self._classifier.model
        find_stages = partial(model.find_stages, curve=self._classifier.curve)
        return Rules(
            classes=self.classes,
            positive=self.positive,
            conformal=self.manifest.conformal,
            review=model.review,
            find_stages=find_stages if model.has_stages else None,
        )
