"""Builds the model of a bundle, by the family of its student."""

from collections.abc import Callable, Mapping

from buckler.bundle.manifest import Manifest
from buckler.bundle.reader import ONNX, WEIGHTS, parse_tensors
from buckler.errors import BundleError, SettingsError
from buckler.normalize import FeatureSchema, Normalizer, get_normalizer
from buckler.runtime.cascade import CascadeModel
from buckler.runtime.model import Form, Model
from buckler.runtime.neural import NeuralModel
from buckler.runtime.ngram import NgramModel
from buckler.runtime.trees import TreesModel

Weights = Mapping[str, bytes]


def _ngram(manifest: Manifest, weights: Weights, form: Form) -> Model:
    return NgramModel(manifest.settings, parse_tensors(weights.get(WEIGHTS)), form)


def _trees(manifest: Manifest, weights: Weights, form: Form) -> Model:
    return TreesModel(manifest.settings, parse_tensors(weights.get(WEIGHTS)), form)


def _neural(manifest: Manifest, weights: Weights, form: Form) -> Model:
    return NeuralModel(manifest.settings, weights.get(ONNX), form)


def _cascade(manifest: Manifest, weights: Weights, form: Form) -> Model:
    return CascadeModel(manifest, weights, form, build_model)


# A further family adds a line here.
_FAMILIES: dict[str, Callable[[Manifest, Weights, Form], Model]] = {
    "ngram": _ngram,
    "trees": _trees,
    "bytecnn": _neural,
    "minibert": _neural,
    "cascade": _cascade,
}


def build_model(manifest: Manifest, weights: Weights) -> Model:
    """Return the model of a bundle, its settings and weights checked.

    Raises
    ------
    BundleError
        If the family is unknown, or settings and weights do not fit the task.
    """
    build = _FAMILIES.get(manifest.family)
    if build is None:
        raise BundleError(f"unknown student family {manifest.family[:40]!r}; upgrade Buckler")
    n_outputs = 1 if len(manifest.classes) == 2 else len(manifest.classes)
    return build(manifest, weights, Form(normalizer_of(manifest), manifest.max_bytes, n_outputs))


def normalizer_of(manifest: Manifest) -> Normalizer:
    """Return the normalizer that a bundle names.

    Raises
    ------
    BundleError
        If this version does not know it, or it does not fit.
    """
    features = FeatureSchema(manifest.numbers, manifest.categories)
    try:
        normalizer = get_normalizer(manifest.normalizer, features if features else None)
    except SettingsError as error:
        raise BundleError(f"{error}; upgrade Buckler") from error
    if not 1 <= manifest.max_bytes <= 1 << 20:
        raise BundleError("manifest: max_bytes must be 1 to 1048576")
    if features and manifest.max_bytes != 4 * len(features):
        raise BundleError("manifest: max_bytes does not fit the features")
    return normalizer
