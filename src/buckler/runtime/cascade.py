"""Scorers in order of cost in one model: the uncertain go on to the next."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.bundle.archive import STAGES, Bundle, parse_bundle
from buckler.bundle.manifest import Manifest
from buckler.errors import BundleError
from buckler.normalize import NormalizedTexts
from buckler.runtime.model import (
    MODELS,
    Curve,
    Form,
    Model,
    Texts,
    Weights,
    build_model,
    calibration_curve,
    recalibrate,
)
from buckler.runtime.verdicts import Floats

# Manifest fields in which the stages of a cascade must agree.
SAME = ("classes", "positive", "normalizer", "max_bytes", "numbers", "categories")


@dataclass(frozen=True)
class Band:
    """Range of outputs in which a stage is uncertain, so that the next stage decides.

    For two classes, rows whose probability lies in [low, high] go on; the answer of the next stage
    moves them inside the band, so that no row passes one that was sure. For more classes, rows
    whose likeliest class has a probability below `high` go on; the next stage's answer takes its
    place.
    """

    low: float
    high: float

    def uncertain(self, outputs: Floats) -> npt.NDArray[np.bool_]:
        """Return bool [n]: rows that go on."""
        if outputs.ndim == 2:
            return np.asarray(outputs.max(axis=1) < np.float32(self.high))
        return (outputs >= np.float32(self.low)) & (outputs <= np.float32(self.high))

    def squeeze(self, outputs: Floats) -> Floats:
        """Return outputs of the next stage, moved inside the band."""
        if outputs.ndim == 2:
            return outputs
        low, high = np.float32(self.low), np.float32(self.high)
        # Rounding may carry low + (high - low) * 1 over high.
        return np.asarray(np.minimum(low + (high - low) * outputs, high), np.float32)


def combine(first: Floats, band: Band, second: Callable[[npt.NDArray[np.intp]], Floats]) -> Floats:
    """Return the outputs of two stages; `second` is asked for the uncertain rows alone."""
    rows = np.flatnonzero(band.uncertain(first))
    if not len(rows):
        return first
    out = first.copy()
    out[rows] = band.squeeze(second(rows))
    return out


@MODELS.add
class CascadeModel(Model):
    """Several bundles as one: each stage with its calibration curve, and the bands between them."""

    name = "cascade"
    has_stages = True

    def __init__(
        self, stages: Sequence[tuple[Model, Curve]], bands: list[Band], form: Form
    ) -> None:
        self.stages = stages
        self.bands = bands
        self.n_outputs = form.n_outputs
        self.is_exact = all(model.is_exact for model, _ in stages)
        self._form = form
        self.score_one = lambda text: float(self.score_list([text])[0])

    @classmethod
    def load(cls, manifest: Manifest, weights: Mapping[str, bytes], form: Form) -> "CascadeModel":
        """Return the cascade of a bundle.

        Raises
        ------
        BundleError
            If a stage is not sound, is a cascade itself, or decides something else.
        """
        bands = parse_bands(manifest.settings, form.n_outputs)
        files = STAGES[: len(bands) + 1]
        bundles = [_stage(name, weights, manifest) for name in files]
        if set(weights) != set(files):
            raise BundleError("the cascade has more stages than bands")
        stages = [
            (build_model(b.manifest, b.weights), calibration_curve(b.manifest)) for b in bundles
        ]
        cascade = cls(stages, bands, form)
        cascade.review = _review_interval(manifest)
        return cascade

    def score_list(self, texts: Texts) -> Floats:
        """Return outputs for a list of str, bytes or None; NaN for None."""
        outputs = self._recalibrate(0, self.stages[0][0].score_list(texts))

        def normalize(rows: npt.NDArray[np.intp]) -> NormalizedTexts:
            kind, limit = self._form.normalizer.kind, self._form.max_bytes
            return NormalizedTexts.from_bytes(
                _kernel.normalize(kind, text, limit) for i in rows if (text := texts[i]) is not None
            )

        return self._finish(outputs, normalize)

    def score_column(self, schema: object, array: object, begin: int, end: int) -> Floats:
        """Return outputs for rows of an Arrow array; NaN for a null."""
        first = self.stages[0][0].score_column(schema, array, begin, end)
        outputs = self._recalibrate(0, first)

        def normalize(rows: npt.NDArray[np.intp]) -> NormalizedTexts:
            offsets, data, _ = _kernel.normalize_column(
                self._form.normalizer.kind,
                schema,
                array,
                self._form.max_bytes,
                (rows + begin).astype(np.int64),
            )
            return NormalizedTexts.from_buffers(offsets, data)

        return self._finish(outputs, normalize)

    def score_normalized(self, texts: NormalizedTexts) -> Floats:
        """Return outputs for texts that are normalized already."""
        outputs = self._recalibrate(0, self.stages[0][0].score_normalized(texts))
        return self._finish(outputs, texts.take)

    def byte_weights(self, normalized: bytes, output: int) -> Weights:
        """Return what each byte adds to the logit of the stage that decided."""
        texts = NormalizedTexts.from_bytes([normalized])
        for index, (model, _) in enumerate(self.stages):
            scored = self._recalibrate(index, model.score_normalized(texts))
            if index == len(self.bands) or not self.bands[index].uncertain(scored)[0]:
                break
        return model.byte_weights(normalized, output)

    def find_stages(self, outputs: Floats, curve: Curve) -> npt.NDArray[np.int8] | None:
        """Return the stage that decided each row, from 1; None for more than two classes.

        It can be read off the output: a row that went on lies inside the band.
        """
        if self.n_outputs > 1:
            return None
        stage = np.ones(len(outputs), np.int8)
        low, high = np.float32(0), np.float32(1)
        for band in self.bands:
            inside = Band(float(low), float(high)).squeeze(np.array([band.low, band.high], "f4"))
            low, high = inside[0], inside[1]
            ends = recalibrate(inside, curve)
            stage += (outputs >= ends[0]) & (outputs <= ends[1])
        return stage

    def _finish(
        self, outputs: Floats, normalize: Callable[[npt.NDArray[np.intp]], NormalizedTexts]
    ) -> Floats:
        def later(index: int, texts: NormalizedTexts) -> Floats:
            scored = self._recalibrate(index, self.stages[index][0].score_normalized(texts))
            if index == len(self.bands):
                return scored
            return combine(
                scored, self.bands[index], lambda rows: later(index + 1, texts.take(rows))
            )

        return combine(outputs, self.bands[0], lambda rows: later(1, normalize(rows)))

    def _recalibrate(self, index: int, outputs: Floats) -> Floats:
        return recalibrate(outputs, self.stages[index][1])


def parse_bands(settings: Mapping[str, object], n_outputs: int) -> list[Band]:
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
        low, high = (float(min(max(value, -1), 2)) for value in entry)  # an int may be too large
        if not 0 <= low < high <= 1 or (n_outputs > 1 and low != 0):
            raise BundleError("a band of the cascade is out of range")
        bands.append(Band(low, high))
    return bands


def _review_interval(manifest: Manifest) -> tuple[float, float] | None:
    """Return the lowest and highest score that is for a person; None for none."""
    raw = manifest.settings.get("review")
    if raw is None:
        return None
    if not isinstance(raw, list) or [type(v) for v in raw] != [float, float]:
        raise BundleError("the cascade's interval for review is not a pair of numbers")
    return raw[0], raw[1]


def _stage(name: str, weights: Mapping[str, bytes], manifest: Manifest) -> Bundle:
    if name not in weights:
        raise BundleError(f"the cascade lacks {name}")
    try:
        bundle = parse_bundle(weights[name])
    except BundleError as error:
        raise BundleError(f"{name}: {error}") from error
    if bundle.manifest.model == CascadeModel.name:
        raise BundleError(f"{name} is a cascade itself")
    for what in SAME:
        if getattr(bundle.manifest, what) != getattr(manifest, what):
            raise BundleError(f"{name} differs from the cascade in its {what}")
    return bundle
