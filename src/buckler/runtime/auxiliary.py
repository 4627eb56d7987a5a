"""Further questions about an event, such as which technique: bundles inside a bundle."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from buckler.bundle.manifest import Manifest
from buckler.bundle.reader import HEADS, Bundle, parse_bundle
from buckler.errors import BundleError

if TYPE_CHECKING:
    from buckler.runtime.scorer import Scorer

_SAME = ("normalizer", "max_bytes", "numbers", "categories")


@dataclass(frozen=True)
class Head:
    """One question.

    Attributes
    ----------
    every
        Whether it is asked of every event, or of detections alone.
    scorer
        Who answers.
    """

    every: bool
    scorer: "Scorer"

    def rows(self, detections: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """Return the events that it is asked of."""
        return np.arange(len(detections)) if self.every else np.flatnonzero(detections)


def head_bundles(bundle: Bundle) -> dict[str, Bundle]:
    """Return the bundle of each head by its name, checked against what the outer one says.

    Raises
    ------
    BundleError
        If one is missing, not sound, of another normalized text, or has heads or stages itself.
    """
    manifest = bundle.manifest
    names = HEADS[: len(manifest.heads)]
    if set(bundle.heads) != set(names):
        raise BundleError("its heads are not those that the manifest lists")
    found = {}
    for head, name in zip(manifest.heads, names, strict=True):
        try:
            found[head.name] = parse_bundle(bundle.heads[name])
            _check(found[head.name].manifest, manifest)
        except BundleError as error:
            raise BundleError(f"{name}: {error}") from error
    return found


def _check(inner: Manifest, outer: Manifest) -> None:
    if inner.heads or inner.family == "cascade":
        raise BundleError("a head has no heads or stages of its own")
    for what in _SAME:
        if getattr(inner, what) != getattr(outer, what):
            raise BundleError(f"it differs from the bundle in its {what}")
