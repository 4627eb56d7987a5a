"""Loads a bundle and scores with it: no network, no temporary files, no training code."""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.bundle.manifest import Manifest
from buckler.bundle.reader import VECTORS, Bundle, read_bundle
from buckler.errors import BundleError, SettingsError
from buckler.normalize import FeatureSchema, Normalizer, arrow_columns
from buckler.runtime.auxiliary import Head, head_bundles
from buckler.runtime.cascade import CascadeModel, curve_of, recalibrated
from buckler.runtime.families import build_model, normalizer_of
from buckler.runtime.verdict import Contribution, HeadVerdict, Scores, Verdict

Floats = npt.NDArray[np.float32]

_ROWS_A_TASK = 1 << 15
_MAX_TOLERANCE = 0.05


def load(path: str | Path, *, trusted_key: str | Path | None = None) -> "Scorer":
    """Load a bundle: sizes, digests and conformance vectors are verified before it is used.

    Parameters
    ----------
    path
        A .buckler file.
    trusted_key
        A public key (PEM file): the bundle must be signed by its owner, which is checked before
        anything in it is used. Needs the extra `trust`.

    Raises
    ------
    BundleError
        If the bundle is damaged, altered, too new, or not signed by the trusted key, or would
        score differently here.
    """
    bundle = read_bundle(path)
    if trusted_key is not None:
        from buckler.bundle.signature import check_signature

        try:
            check_signature(bundle, Path(trusted_key).read_bytes())
        except OSError as error:
            raise BundleError(f"{trusted_key}: cannot be read ({error.strerror})") from error
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from error
    try:
        return Scorer(bundle)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


class Scorer:
    """A bundle at work. Safe to use from many threads.

    Attributes
    ----------
    manifest
        What the bundle says of itself.
    heads
        Name -> a further question, such as which technique.
    score_of
        The fastest way for one text: `str` or `bytes` in, its score out (a float).
    """

    def __init__(self, bundle: Bundle) -> None:
        self.manifest: Manifest = bundle.manifest
        self.sha256 = bundle.sha256
        self.classes = tuple(self.manifest.classes)
        self.positive = tuple(self.classes.index(name) for name in self.manifest.positive)
        self._normalizer = normalizer_of(self.manifest)
        self._curve_points = curve_of(self.manifest)
        self._sets = self.manifest.conformal
        self._model = build_model(self.manifest, bundle.weights)
        self._review = _interval(self.manifest)
        self._check_vectors(bundle.entries.get(VECTORS, b""))
        asked = {head.name: head.on == "all" for head in self.manifest.heads}
        self.heads: dict[str, Head] = {
            name: Head(asked[name], Scorer(inner)) for name, inner in head_bundles(bundle).items()
        }
        self.score_of: Callable[[str | bytes], Any] = self._score_of
        plain = not self.parses_texts and not self._curve_points
        if plain and len(self.classes) == 2 and self.positive == (1,):
            self.score_of = self._model.score_one

    @property
    def parses_texts(self) -> bool:
        """Whether texts are parsed first, as mail is: any bytes will do, and they may be long."""
        return self._normalizer.prepare is not None

    @property
    def features(self) -> FeatureSchema | None:
        """Names of the features, where events are rows of a table; None where they are texts."""
        return self._normalizer.features

    def score(self, texts: object, *, threads: int = 1) -> Scores:
        """Score a batch.

        Parameters
        ----------
        texts
            A list of str or bytes, or any Arrow column (pyarrow, polars, …) of strings or bytes.
        threads
            How many to use for an Arrow column; the scores are the same.
        """
        return Scores(self._outputs(texts, threads), self.classes, self.positive, self._sets)

    def score_one(self, text: str | bytes, *, target_fpr: float | None = None) -> Verdict:
        """Score one event and decide at the deployed threshold, or at that of `target_fpr`."""
        scores = self.score([text])
        index, score = int(scores.label_indices[0]), float(scores.score[0])
        threshold = self.threshold(target_fpr)
        detected = bool(self.detections(scores, target_fpr)[0])
        label = self.classes[index]
        return Verdict(
            label,
            float(scores.probabilities[0, index]),
            score,
            threshold,
            detected,
            {n: float(p) for n, p in zip(self.classes, scores.probabilities[0], strict=True)},
            bool(self.review(scores)[0]),
            None if (stages := self.stages(scores)) is None else int(stages[0]) + 1,
            {
                name: head.scorer._head_verdict(text)
                for name, head in self.heads.items()
                if head.every or detected
            },
        )

    def detections(self, scores: Scores, target_fpr: float | None = None) -> npt.NDArray[np.bool_]:
        """Return bool [n]: where a detection is raised, at the threshold or by the likeliest class.

        Raises
        ------
        SettingsError
            If the bundle has no threshold for this rate.
        """
        threshold = self.threshold(target_fpr)
        if threshold is None:
            return np.isin(scores.label_indices, self.positive)
        return np.asarray(scores.score >= np.float32(threshold))

    def _head_verdict(self, text: str | bytes) -> HeadVerdict:
        probabilities = self.score([text]).probabilities[0]
        index = int(probabilities.argmax())
        return HeadVerdict(self.classes[index], float(probabilities[index]))

    def review(self, scores: Scores) -> npt.NDArray[np.bool_]:
        """Return bool [n]: which a cascade marks for a person."""
        if self._review is None:
            return np.zeros(len(scores), bool)
        low, high = (np.float32(value) for value in self._review)
        return np.asarray((scores.score >= low) & (scores.score <= high))

    def stages(self, scores: Scores) -> npt.NDArray[np.int8] | None:
        """Return which stage of a cascade of two classes decided each row, from 0; else None."""
        if not isinstance(self._model, CascadeModel) or scores.outputs.ndim > 1:
            return None
        return self._model.stage_of(scores.outputs, self._curve_points)

    def threshold(self, target_fpr: float | None = None) -> float | None:
        """Return the score from which a detection is raised; None where the bundle has none.

        Raises
        ------
        SettingsError
            If the bundle has no threshold for this rate.
        """
        thresholds = self.manifest.thresholds
        if target_fpr is None:
            target_fpr = self.manifest.deployed_fpr
            if target_fpr is None:
                return None
        for known, value in thresholds.items():
            if abs(known - target_fpr) < 1e-12:
                return value
        there = ", ".join(f"{fpr:g}" for fpr in thresholds) or "none"
        raise SettingsError(
            f"the bundle has no threshold for a false-positive rate of {target_fpr:g} "
            f"(it has: {there}); its validation data were too few for more"
        )

    def explain(
        self, text: str | bytes, *, label: str | None = None, top: int = 10
    ) -> list[Contribution]:
        """Return the pieces that spoke most for or against a class (default: the likeliest)."""
        if label is None:
            label = self.classes[int(self.score([text]).label_indices[0])]
        index = self.classes.index(label)
        if self._normalizer.features is not None:
            normalized = self._normalizer.features.normalize(text)
        else:
            normalized = self._normalizer.normalize(text, self.manifest.max_bytes)
        found = self._model.explain(normalized, index, top)
        if len(self.classes) == 2 and index == 0:  # the one output speaks for the second class
            found = [Contribution(c.text, c.start, c.end, -c.weight) for c in found]
        return found

    def _score_of(self, text: str | bytes) -> float:
        return float(self.score([text]).score[0])

    def _outputs(self, texts: object, threads: int) -> Floats:
        return recalibrated(self._model_outputs(texts, threads), self._curve_points)

    def _model_outputs(self, texts: object, threads: int) -> Floats:
        if self.parses_texts:
            values = texts if isinstance(texts, list) else texts.to_pylist()  # type: ignore[attr-defined]
            return self._model.score_list(_prepared(self._normalizer, values))
        if isinstance(texts, list):
            return self._model.score_list(texts)
        parts = []
        for schema, array in arrow_columns(texts):
            length = _kernel.column_length(array)
            step = _ROWS_A_TASK if threads > 1 else max(1, length)
            parts += [
                (schema, array, begin, min(begin + step, length))
                for begin in range(0, length, step)
            ]
        if threads == 1:
            outputs = [self._model.score_column(*part) for part in parts]
        else:
            with ThreadPoolExecutor(threads) as pool:
                outputs = list(pool.map(lambda part: self._model.score_column(*part), parts))
        if len(outputs) == 1:
            return outputs[0]
        return np.concatenate(outputs) if outputs else self._model.score_list([])

    def _check_vectors(self, data: bytes) -> None:
        """Score the bundle's own examples: every bit must be as when it was made."""
        try:
            document = json.loads(data)
            vectors = document["vectors"]
            tolerance = float(document.get("tolerance", 0.0))
            texts = [b64decode(v["text"], validate=True) for v in vectors]
            expected = np.array(
                [[float.fromhex(p) for p in v["outputs"]] for v in vectors], np.float32
            )
        except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
            raise BundleError("its conformance vectors are missing or not sound") from error
        got = self._outputs(texts, 1).reshape(len(texts), -1)
        same = got.shape == expected.shape and bool(
            np.array_equal(got, expected)
            or np.less_equal(np.abs(got - expected), min(tolerance, _MAX_TOLERANCE)).all()
        )
        if not len(texts) or not same:
            raise BundleError(
                "it scores its conformance vectors differently here than where it was made; "
                "do not use it with this build"
            )


def conformance_outputs(
    manifest: Manifest, weights: Mapping[str, bytes], texts: list[bytes]
) -> Floats:
    """Return the outputs that a bundle records for its conformance vectors."""
    ready = _prepared(normalizer_of(manifest), texts)
    outputs = build_model(manifest, weights).score_list(ready)
    return recalibrated(outputs, curve_of(manifest))


def _interval(manifest: Manifest) -> tuple[float, float] | None:
    raw = manifest.settings.get("review") if manifest.family == "cascade" else None
    if raw is None:
        return None
    if not isinstance(raw, list) or [type(v) for v in raw] != [float, float]:
        raise BundleError("the cascade's interval for review is not a pair of numbers")
    return raw[0], raw[1]


def _prepared(normalizer: Normalizer, texts: Sequence[Any]) -> list[Any]:
    """What the kernel gets of texts that Python parses first; None stays None."""
    prepare = normalizer.prepare
    if prepare is None:
        return list(texts)
    return [None if text is None else prepare(text) for text in texts]
