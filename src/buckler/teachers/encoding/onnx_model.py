"""From the fine-tuned network to ONNX with int8 weights, and fast labelling with it.

Measured on two cores, short texts (`python -m benchmarks encoder`): dynamic int8 is 2.5 to 3.5
times float32; the fused attention of ONNX Runtime's optimiser was slower than the plain graph.
"""

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler.errors import MissingExtraError
from buckler.teachers.encoding.fine_tune import import_torch
from buckler.teachers.encoding.tokens import Ids, bucketed

_BATCH_TOKENS = 4096
_OPSET = 17


def export(network: Any, float_path: Path, int8_path: Path) -> None:
    """Write the network as ONNX, once in float32 and once with int8 weights."""
    torch = import_torch()
    quantization = _import("onnxruntime.quantization")
    network = network.to("cpu").float().eval()
    example = (torch.ones((2, 8), dtype=torch.long), torch.ones((2, 8), dtype=torch.long))
    axes = {0: "rows", 1: "tokens"}
    partial = float_path.with_name(float_path.name + ".partial")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            example,
            str(partial),
            dynamo=False,  # the newer exporter's graph ran slower and needs onnxscript
            input_names=["ids", "mask"],
            output_names=["logits"],
            dynamic_axes={"ids": axes, "mask": axes},
            opset_version=_OPSET,
        )
    partial.replace(float_path)
    partial = int8_path.with_name(int8_path.name + ".partial")
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        quantization.quantize_dynamic(
            float_path,
            partial,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul"],
        )
    finally:
        logging.getLogger().setLevel(level)
    partial.replace(int8_path)


class OnnxClassifier:
    """Runs an exported network.

    Parameters
    ----------
    threads
        By default one for each core that this process may use.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        ort = _import("onnxruntime")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        options.log_severity_level = 3
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def logits(
        self,
        encoded: Sequence[Ids],
        on_rows: Callable[[int], None] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return float32 [n, classes]."""
        found: npt.NDArray[np.float32] | None = None
        for batch in bucketed(encoded, _BATCH_TOKENS):
            (logits,) = self._session.run(None, {"ids": batch.ids, "mask": batch.mask})
            if found is None:
                found = np.empty((len(encoded), logits.shape[1]), np.float32)
            found[batch.rows] = logits
            if on_rows is not None:
                on_rows(len(batch.rows))
        return found if found is not None else np.empty((0, 0), np.float32)


def _import(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError("the teacher 'encoder'", "torch,onnx") from None
