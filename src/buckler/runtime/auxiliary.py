"""Auxiliary classifiers: further questions about an event, such as which technique.

Each is a bundle inside a bundle. It is asked of every event, or of detections alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.bundle.archive import AUXILIARY, Bundle, parse_bundle
from buckler.bundle.manifest import Manifest
from buckler.errors import BundleError
from buckler.runtime.classifier import Classifier
from buckler.runtime.verdicts import AuxiliaryAnswers

_SAME = ("normalizer", "max_bytes", "numbers", "categories")


@dataclass(frozen=True)
class Auxiliary:
    """An auxiliary classifier at work.

    Attributes
    ----------
    name
        The question, such as ``technique``.
    asks_all
        True where it is asked of every event, False for detections alone.
    classifier
        Answers the question.
    """

    name: str
    asks_all: bool
    classifier: Classifier

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the possible answers."""
        return self.classifier.classes


def load_auxiliaries(bundle: Bundle) -> dict[str, Auxiliary]:
    """Return the auxiliary classifiers of a bundle by name, each checked against the manifest.

    Raises
    ------
    BundleError
        If one is missing, not sound, of another normalized text, or has auxiliary classifiers or
        stages itself.
    """
    manifest = bundle.manifest
    files = AUXILIARY[: len(manifest.auxiliary)]
    if set(bundle.auxiliary) != set(files):
        raise BundleError("its auxiliary classifiers are not those that the manifest lists")
    found = {}
    for entry, file in zip(manifest.auxiliary, files, strict=True):
        try:
            inner = parse_bundle(bundle.auxiliary[file])
            _check(inner.manifest, manifest)
            classifier = Classifier.from_bundle(inner)
        except BundleError as error:
            raise BundleError(f"{file}: {error}") from error
        found[entry.name] = Auxiliary(entry.name, entry.on == "all", classifier)
    return found


def ask(
    auxiliaries: Iterable[Auxiliary],
    main: Classifier,
    texts: object,
    there: npt.NDArray[np.bool_],
    detected: npt.NDArray[np.bool_],
) -> dict[str, AuxiliaryAnswers]:
    """Return the answers of auxiliary classifiers, about events that `main` has scored.

    Parameters
    ----------
    main
        Normalizes the texts, as all of them expect.
    texts
        The events, as `Scorer.score` takes them.
    there
        bool [n]: events that are not null.
    """
    answers = {}
    for auxiliary in auxiliaries:
        asked = there if auxiliary.asks_all else there & detected
        indices, probabilities = np.zeros(len(there), np.int32), np.zeros(len(there), np.float32)
        rows = np.flatnonzero(asked)
        if len(rows):
            outputs = auxiliary.classifier.outputs_of_normalized(main.normalize(texts, rows))
            if outputs.ndim == 1:
                outputs = np.stack([1 - outputs, outputs], axis=1)
            indices[rows], probabilities[rows] = outputs.argmax(axis=1), outputs.max(axis=1)
        answers[auxiliary.name] = AuxiliaryAnswers(auxiliary.classes, asked, indices, probabilities)
    return answers


def _check(inner: Manifest, outer: Manifest) -> None:
    if inner.auxiliary or inner.model == "cascade":
        raise BundleError("an auxiliary classifier has no others and no stages of its own")
    for field in _SAME:
        if getattr(inner, field) != getattr(outer, field):
            raise BundleError(f"it differs from the bundle in its {field}")
