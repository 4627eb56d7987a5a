"""Scores and explains with the `trees` student's kernel."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.bundle.archive import WEIGHTS, parse_tensors
from buckler.bundle.manifest import Manifest
from buckler.errors import BundleError, InputError
from buckler.normalize import NormalizedTexts
from buckler.runtime.model import MODELS, Form, NormalizedTextModel, Tensors, Weights

_TENSORS = {"roots": np.uint32, "nodes": np.uint32, "sets": np.uint32, "bias": np.float32}


@MODELS.add
class TreesModel(NormalizedTextModel):
    """Boosted trees over rows of features.

    Raises
    ------
    BundleError
        If the trees are not sound or do not fit the features.
    """

    name = "trees"

    def __init__(self, settings: Mapping[str, object], tensors: Tensors, form: Form) -> None:
        super().__init__(form)
        schema = form.normalizer.features
        if schema is None or settings.get("kernel_version") != _kernel.ABI_VERSION:
            raise BundleError("trees need features and the kernel version that they were made for")
        for name, kind in _TENSORS.items():
            if name not in tensors or tensors[name].dtype != kind:
                raise BundleError(f"weights: {name!r} is missing or not {np.dtype(kind)}")
        if tensors["bias"].shape != (form.n_outputs,) or not len(tensors["nodes"]):
            raise BundleError("weights do not fit the task")
        self._schema = schema
        try:
            self._kernel = _kernel.Trees(
                len(schema), *(np.ascontiguousarray(tensors[name]) for name in _TENSORS)
            )
        except (ValueError, OverflowError) as error:
            raise BundleError(f"student: {error}") from error

    @classmethod
    def load(cls, manifest: Manifest, weights: Mapping[str, bytes], form: Form) -> "TreesModel":
        """Return the trees of a bundle."""
        return cls(manifest.settings, parse_tensors(weights.get(WEIGHTS)), form)

    def logits(self, texts: NormalizedTexts) -> npt.NDArray[np.float32]:
        """Return float32 [n, outputs]."""
        out = np.empty((len(texts), self.n_outputs), np.float32)
        if (texts.lengths != 4 * len(self._schema)).any():
            raise InputError(f"a row must have {len(self._schema)} features")
        self._kernel.logits(np.ascontiguousarray(texts.data), out)
        return out

    def byte_weights(self, normalized: bytes, output: int) -> Weights:
        """Return what each feature adds: Shapley values (Lundberg et al. 2018)."""
        row = np.frombuffer(normalized, "<f4").reshape(1, len(self._schema))
        values = np.zeros(len(self._schema), np.float64)
        self._kernel.explain(row, output if self.n_outputs > 1 else 0, values)
        weights = np.zeros(4 * len(values))
        weights[::4] = values
        return weights
