"""From a trained torch network to ONNX, in the smallest precision that is good enough."""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from buckler.errors import BucklerError
from buckler.extras import import_extra
from buckler.students.torch.training_loop import quiet_logging

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession
    from torch.nn import Module

Floats = npt.NDArray[np.float32]
Batches = Sequence[npt.NDArray[np.uint8]]
ALLOWED_LOSS_POINTS = 0.3
_OPSET = 17
_SLOPE, _SHIFT = "calibration.slope", "calibration.shift"
_EXACT = 1e-3  # float32 in torch and in ONNX Runtime
_CALIBRATION_ROWS = 1024
_FLOAT16_FROM = 256


class Precision(Enum):
    """Number format of the weights.

    INT8 computes in 8 bits, FLOAT16 stores weights in 16 and computes in 32.
    """

    INT8 = "int8"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


@dataclass(frozen=True)
class Network:
    """An exported network.

    Attributes
    ----------
    model
        The ONNX file.
    precision
        As chosen.
    points_lost
        Accuracy against float32 on the rows it was chosen on, in points; negative for a gain.
    tolerance
        By how much a probability may differ on another machine.
    session
        ONNX Runtime's.
    slope, shift
        The calibration behind the logits.
    """

    model: bytes
    precision: Precision
    points_lost: float
    tolerance: float
    session: "InferenceSession"
    slope: float = 1.0
    shift: float | Floats = 0.0

    def logits(self, padded: npt.NDArray[np.uint8]) -> Floats:
        """Return float32 [n, outputs]."""
        (logits,) = self.session.run(["logits"], {"bytes": padded})
        return np.asarray(logits, np.float32)

    def rescale(self, slope: float, shift: float | Floats) -> "Network":
        """Return the network with slope * z + shift behind its logits."""
        onnx = _import("onnx")
        model = onnx.load_from_string(self.model)
        both = self.slope * slope, self.shift * slope + shift
        new = dict(zip((_SLOPE, _SHIFT), both, strict=True))
        for tensor in model.graph.initializer:
            if tensor.name in new:
                value = onnx.numpy_helper.from_array(np.float32(new[tensor.name]), tensor.name)
                tensor.CopyFrom(value)
        data = model.SerializeToString()
        return replace(self, model=data, session=_session(data), slope=both[0], shift=both[1])


def export_network(
    torch: ModuleType, network: "Module", batches: Batches, targets: Floats, precision: str
) -> Network:
    """Export and check a network, and choose its precision.

    Parameters
    ----------
    batches
        Bytes of a sample of texts; int8 ranges and the loss of precision are measured on them.
    targets
        float32 [n, classes] of the same rows, in order.
    precision
        ``auto`` or a value of Precision.

    Raises
    ------
    BucklerError
        If ONNX Runtime computes something else than torch.
    """
    onnx = _import("onnx")
    network = deepcopy(network).to("cpu")
    exact = _with_calibration(onnx, _to_onnx(torch, network, batches))
    full = _candidate(exact.SerializeToString(), Precision.FLOAT32, _EXACT)
    with torch.inference_mode():
        expected = np.concatenate([network(torch.from_numpy(b)).numpy() for b in batches])
    reference = _all_logits(full, batches)
    worst = float(np.abs(expected - reference).max())
    if worst > _EXACT * max(1.0, float(np.abs(expected).max())):
        raise BucklerError(f"the exported network differs from the trained one by {worst:.3g}")
    tried: dict[Precision, Network] = {Precision.FLOAT32: full}
    for kind in (Precision.INT8, Precision.FLOAT16):
        if precision not in ("auto", kind.value):
            continue
        data = _int8(onnx, exact, batches) if kind is Precision.INT8 else _float16(onnx, exact)
        candidate = _candidate(data, kind, 0.02 if kind is Precision.INT8 else 0.002)
        lost = points_lost(reference, _all_logits(candidate, batches), targets)
        tried[kind] = replace(candidate, points_lost=lost)
        if precision == kind.value or lost < ALLOWED_LOSS_POINTS:
            return tried[kind]
    return tried[Precision.FLOAT32]


def points_lost(before: Floats, after: Floats, targets: Floats) -> float:
    """Return what a change of precision costs, in points: of accuracy, or of detection if more.

    For two classes, detection is the share of the second class above the threshold that a hundredth
    of the first exceeds.
    """

    def accuracy(z: Floats) -> float:
        guess = (z[:, 0] > 0).astype(int) if z.shape[1] == 1 else z.argmax(axis=1)
        return float((guess == targets.argmax(axis=1)).mean())

    def detection(z: Floats) -> float:
        positive = targets[:, 1] > 0.5
        if z.shape[1] > 1 or positive.all() or not positive.any():
            return 0.0
        return float((z[positive, 0] > np.quantile(z[~positive, 0], 0.99)).mean())

    return 100 * max(
        accuracy(before) - accuracy(after),
        detection(before) - detection(after),
    )


def _candidate(data: bytes, precision: Precision, tolerance: float) -> Network:
    return Network(data, precision, 0.0, tolerance, _session(data))


def _all_logits(network: Network, batches: Batches) -> Floats:
    return np.concatenate([network.logits(batch) for batch in batches])


def _session(data: bytes) -> "InferenceSession":
    ort = _import("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _to_onnx(torch: ModuleType, network: "Module", batches: Batches) -> "ModelProto":
    onnx = _import("onnx")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), quiet_logging():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            network,
            (torch.from_numpy(batches[0][:2]),),
            str(path),
            dynamo=False,  # the newer exporter's graph ran slower and needs onnxscript
            input_names=["bytes"],
            output_names=["raw"],
            dynamic_axes={"bytes": {0: "rows", 1: "length"}, "raw": {0: "rows"}},
            opset_version=_OPSET,
        )
        return onnx.load(path)


def _with_calibration(onnx: ModuleType, model: "ModelProto") -> "ModelProto":
    """Put a slope and a shift behind the logits, for the calibration that comes later."""
    graph = model.graph
    graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1), _SLOPE))
    graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0), _SHIFT))
    graph.node.append(onnx.helper.make_node("Mul", ["raw", _SLOPE], ["sloped"]))
    graph.node.append(onnx.helper.make_node("Add", ["sloped", _SHIFT], ["logits"]))
    graph.output[0].name = "logits"
    return model


def _int8(onnx: ModuleType, model: "ModelProto", batches: Batches) -> bytes:
    """Quantize weights and activations, their ranges from a sample (static quantization)."""
    quantization = _import("onnxruntime.quantization")

    class Sample(quantization.CalibrationDataReader):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.batches = _some_of_each(batches)

        def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"bytes": batch}

    with tempfile.TemporaryDirectory() as folder, quiet_logging():
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        quantization.quantize_static(
            source,
            target,
            Sample(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,  # 7 bits: else sums overflow on processors without VNNI
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"ActivationSymmetric": False},
        )
        return target.read_bytes()


def _some_of_each(batches: Batches) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield some rows of every length."""
    share = max(1, _CALIBRATION_ROWS // len(batches))
    for batch in batches:
        yield batch[:: max(1, len(batch) // share)][:share]


def _float16(onnx: ModuleType, model: "ModelProto") -> bytes:
    """Store large weights in 16 bits; ONNX Runtime widens them once, when it loads."""
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    casts = []
    for tensor in halved.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < _FLOAT16_FROM:
            continue
        name = tensor.name
        half = np.clip(value, -65504, 65504).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=1))
    for cast in reversed(casts):
        halved.graph.node.insert(0, cast)
    return bytes(halved.SerializeToString())


def _import(name: str) -> ModuleType:
    return import_extra(name, "a bytecnn student", "torch,onnx")
