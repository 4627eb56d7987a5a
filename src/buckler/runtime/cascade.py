"""Scorers in order of cost in one model: the uncertain go on to the next."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.bundle.manifest import Manifest
from buckler.bundle.reader import STAGES, Bundle, parse_bundle
from buckler.errors import BundleError
from buckler.normalize import NormalizedTexts
from buckler.runtime.model import Floats, Form, Model
from buckler.runtime.verdict import Contribution

# What the stages of a cascade must agree in.
SAME = ("classes", "positive", "normalizer", "max_bytes", "numbers", "categories")


@dataclass(frozen=True)
class Band:
    """Which rows of a stage go on.

    For two classes those whose probability lies in [low, high]; what the next stage says then moves
    them inside the band, so that no row passes one that was sure. For more classes, those whose
    likeliest class has a probability below `high`; the next stage's answer takes the place.
    """

    low: float
    high: float

    def uncertain(self, outputs: Floats) -> npt.NDArray[np.bool_]:
        """Tell which rows go on."""
        if outputs.ndim == 2:
            return np.asarray(outputs.max(axis=1) < np.float32(self.high))
        return (outputs >= np.float32(self.low)) & (outputs <= np.float32(self.high))

    def placed(self, outputs: Floats) -> Floats:
        """Return what the next stage says, as it counts here."""
        if outputs.ndim == 2:
            return outputs
        low, high = np.float32(self.low), np.float32(self.high)
        return np.asarray(low + (high - low) * outputs, np.float32)


def combine(first: Floats, band: Band, second: Callable[[npt.NDArray[np.intp]], Floats]) -> Floats:
    """Return the outputs of two stages; `second` is asked for the uncertain rows alone."""
    rows = np.flatnonzero(band.uncertain(first))
    if not len(rows):
        return first
    out = first.copy()
    out[rows] = band.placed(second(rows))
    return out


class CascadeModel(Model):
    """Several bundles as one.

    Raises
    ------
    BundleError
        If a stage is not sound, is a cascade itself, or decides something else.
    """

    def __init__(
        self,
        manifest: Manifest,
        weights: Mapping[str, bytes],
        form: Form,
        build: Callable[[Manifest, Mapping[str, bytes]], Model],
    ) -> None:
        self.n_outputs = form.n_outputs
        self._form = form
        self.bands = parse_bands(manifest.settings, form.n_outputs)
        self.stages: list[tuple[Model, tuple[npt.NDArray[np.float64], ...]]] = []
        for name in STAGES[: len(self.bands) + 1]:
            bundle = _stage(name, weights, manifest)
            model = build(bundle.manifest, bundle.weights)
            self.stages.append((model, curve_of(bundle.manifest)))
        if set(weights) != set(STAGES[: len(self.stages)]):
            raise BundleError("the cascade has more stages than bands")
        self.score_one = lambda text: self.score_list([text])[0]

    def score_list(self, texts: list[Any]) -> Floats:
        """Return outputs for a list of str, bytes or None; NaN for None."""
        outputs = self._calibrated(0, self.stages[0][0].score_list(texts))

        def normalized(rows: npt.NDArray[np.intp]) -> NormalizedTexts:
            kind, limit = self._form.normalizer.kind, self._form.max_bytes
            return NormalizedTexts.from_bytes(
                _kernel.normalize(kind, texts[i], limit) for i in rows
            )

        return self._finish(outputs, normalized)

    def score_column(self, schema: object, array: object, begin: int, end: int) -> Floats:
        """Return outputs for rows of an Arrow array; NaN for a null."""
        first = self.stages[0][0].score_column(schema, array, begin, end)
        outputs = self._calibrated(0, first)

        def normalized(rows: npt.NDArray[np.intp]) -> NormalizedTexts:
            offsets, data, _ = _kernel.normalize_column(
                self._form.normalizer.kind,
                schema,
                array,
                self._form.max_bytes,
                (rows + begin).astype(np.int64),
            )
            return NormalizedTexts.from_buffers(offsets, data)

        return self._finish(outputs, normalized)

    def score_normalized(self, texts: NormalizedTexts) -> Floats:
        """Return outputs for texts that are normalized already."""
        outputs = self._calibrated(0, self.stages[0][0].score_normalized(texts))
        return self._finish(outputs, texts.take)

    def explain(self, normalized: bytes, output: int, top: int) -> list[Contribution]:
        """Return what moved the logit of the stage that decided."""
        texts = NormalizedTexts.from_bytes([normalized])
        for index, (model, _) in enumerate(self.stages):
            scored = self._calibrated(index, model.score_normalized(texts))
            if index == len(self.bands) or not self.bands[index].uncertain(scored)[0]:
                break
        return model.explain(normalized, output, top)

    def stage_of(
        self, outputs: Floats, curve_points: Sequence[npt.NDArray[np.float64]] = ()
    ) -> npt.NDArray[np.int8]:
        """Return the index of the stage that decided each row, for two classes.

        It can be read off the output: whatever went on lies inside the band. `curve_points` are those of
        the calibration that the outputs went through.
        """
        stage = np.zeros(len(outputs), np.int8)
        low, high = np.float32(0), np.float32(1)
        for band in self.bands:
            inside = Band(float(low), float(high)).placed(np.array([band.low, band.high], "f4"))
            low, high = inside[0], inside[1]
            ends = recalibrated(inside, curve_points)
            stage += (outputs >= ends[0]) & (outputs <= ends[1])
        return stage

    def _finish(
        self, outputs: Floats, normalized: Callable[[npt.NDArray[np.intp]], NormalizedTexts]
    ) -> Floats:
        def later(index: int, texts: NormalizedTexts) -> Floats:
            scored = self._calibrated(index, self.stages[index][0].score_normalized(texts))
            if index == len(self.bands):
                return scored
            return combine(
                scored, self.bands[index], lambda rows: later(index + 1, texts.take(rows))
            )

        return combine(outputs, self.bands[0], lambda rows: later(1, normalized(rows)))

    def _calibrated(self, index: int, outputs: Floats) -> Floats:
        return recalibrated(outputs, self.stages[index][1])


def curve_of(manifest: Manifest) -> tuple[npt.NDArray[np.float64], ...]:
    """Return the calibration curve of a bundle's calibration, as the kernel wants it; empty for none."""
    return tuple(np.array(row, np.float64) for row in manifest.curve_points)


def recalibrated(outputs: Floats, curve_points: Sequence[npt.NDArray[np.float64]]) -> Floats:
    """Return the probabilities of the second of two classes after the calibration curve, if there is one."""
    if not curve_points:
        return outputs
    out = np.array(outputs, np.float32)
    _kernel.recalibrate(out, curve_points[0], curve_points[1])
    return out


def parse_bands(settings: Mapping[str, Any], n_outputs: int) -> list[Band]:
    """Read the bands of a cascade.

    Raises
    ------
    BundleError
        If they are not numbers from 0 to 1, or there are too few or too many.
    """
    raw = settings.get("bands")
    if not isinstance(raw, list) or not 1 <= len(raw) < len(STAGES):
        raise BundleError(f"a cascade has 2 to {len(STAGES)} stages")
    bands = []
    for entry in raw:
        if not isinstance(entry, list) or len(entry) != 2:
            raise BundleError("a band of the cascade is not a pair of numbers")
        for value in entry:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise BundleError("a band of the cascade is not a pair of numbers")
        low, high = float(entry[0]), float(entry[1])
        if not 0 <= low < high <= 1 or (n_outputs > 1 and low != 0):
            raise BundleError("a band of the cascade is out of range")
        bands.append(Band(low, high))
    return bands


def _stage(name: str, weights: Mapping[str, bytes], manifest: Manifest) -> Bundle:
    if name not in weights:
        raise BundleError(f"the cascade lacks {name}")
    try:
        bundle = parse_bundle(weights[name])
    except BundleError as error:
        raise BundleError(f"{name}: {error}") from error
    if bundle.manifest.family == "cascade":
        raise BundleError(f"{name} is a cascade itself")
    for what in SAME:
        if getattr(bundle.manifest, what) != getattr(manifest, what):
            raise BundleError(f"{name} differs from the cascade in its {what}")
    return bundle
