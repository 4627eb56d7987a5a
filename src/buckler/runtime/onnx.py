"""Scores the student `bytecnn` with ONNX Runtime, from bytes in one tensor."""

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from buckler.bundle.archive import ONNX
from buckler.bundle.manifest import Manifest
from buckler.bundle.onnx_check import check_onnx
from buckler.errors import BundleError
from buckler.extras import import_extra
from buckler.normalize import NormalizedTexts
from buckler.normalize.padding import MASK, padded_batches
from buckler.runtime.model import MODELS, Form, NormalizedTextModel, Weights, whole_number
from buckler.runtime.onnx_limits import ending_in_time, use_bounded_arena
from buckler.runtime.verdicts import Floats

_BATCH_BYTES = 1 << 15
_MAX_SPANS = 48
_WORD = re.compile(rb"[^\W_]+|[^\w\s\x1f]+|_+")


@MODELS.add
class OnnxModel(NormalizedTextModel):
    """A network as ONNX.

    Raises
    ------
    BundleError
        If the network is not one that a bundle may hold.
    MissingExtraError
        If ONNX Runtime is not installed.
    """

    name = "onnx"
    is_exact = False

    def __init__(self, settings: Mapping[str, object], model: bytes | None, form: Form) -> None:
        super().__init__(form)
        if model is None:
            raise BundleError("no model.onnx in it")
        self.max_length = whole_number(settings, "max_length", 1, 1 << 16)
        self.length_step = whole_number(settings, "length_step", 1, self.max_length)
        check_onnx(model)
        onnxruntime = import_extra("onnxruntime", "a bytecnn student", "onnx")
        self._failures = _failures()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.use_env_allocators", "1")
        self._run_options = onnxruntime.RunOptions
        try:
            use_bounded_arena(onnxruntime)
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            inputs = [(i.name, i.type) for i in self._session.get_inputs()]
            outputs = [o.name for o in self._session.get_outputs()]
        except self._failures as error:
            raise BundleError(f"the network cannot be loaded: {str(error)[:160]}") from error
        if inputs != [("bytes", "tensor(uint8)")] or outputs != ["logits"]:
            raise BundleError("the network does not turn `bytes` (uint8) into `logits`")

    @classmethod
    def load(cls, manifest: Manifest, weights: Mapping[str, bytes], form: Form) -> "OnnxModel":
        """Return the network of a bundle."""
        return cls(manifest.settings, weights.get(ONNX), form)

    def logits(self, texts: NormalizedTexts) -> Floats:
        """Return float32 [n, outputs]; texts of like length are scored together."""
        out = np.empty((len(texts), self.n_outputs), np.float32)
        for rows, padded in padded_batches(texts, self.max_length, self.length_step, _BATCH_BYTES):
            out[rows] = self._run(padded)
        return out

    def _run(self, padded: npt.NDArray[np.uint8]) -> Floats:
        options = self._run_options()
        options.log_severity_level = 4
        try:
            with ending_in_time(options):
                (logits,) = self._session.run(["logits"], {"bytes": padded}, options)
        except self._failures as error:
            raise BundleError(f"the network failed: {str(error)[:160]}") from error
        if logits.shape != (len(padded), self.n_outputs) or logits.dtype != np.float32:
            raise BundleError("the network's logits do not fit the task")
        return np.asarray(logits)

    def byte_weights(self, normalized: bytes, output: int) -> Weights:
        """Return what the logit loses when each word is hidden, shared by the bytes of the word.

        Occlusion (Zeiler and Fergus 2014), one batch for all words; the longest text costs as much
        as some fifty events.
        """
        text = NormalizedTexts.from_bytes([normalized]).without_features()[0]
        seen = text[: self.max_length]
        spans = [(m.start(), m.end()) for m in _WORD.finditer(seen)]
        while len(spans) > _MAX_SPANS:  # neighbors together, until they are few enough
            spans = [
                (spans[i][0], spans[min(i + 1, len(spans) - 1)][1]) for i in range(0, len(spans), 2)
            ]
        variants = [seen]
        for start, end in spans:
            variants.append(seen[:start] + bytes([MASK]) * (end - start) + seen[end:])
        logits = self.logits(NormalizedTexts.from_bytes(variants)).astype(np.float64)
        if self.n_outputs > 1:
            logits -= logits.mean(axis=1, keepdims=True)
        column = logits[:, output if self.n_outputs > 1 else 0]
        weights = np.zeros(len(normalized))
        for (start, end), lost in zip(spans, column[0] - column[1:], strict=True):
            weights[start:end] = lost / (end - start)
        return weights


def _failures() -> tuple[type[Exception], ...]:
    """Return the exceptions of ONNX Runtime, which have no base class of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [kind for kind in vars(state).values() if isinstance(kind, type)]
    return (
        *(kind for kind in own if issubclass(kind, Exception)),
        *(RuntimeError, ValueError, TypeError, MemoryError),
    )
