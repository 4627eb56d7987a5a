"""Networks that would take all memory, or compute for minutes: refused before, or ended."""

import json
import subprocess
import sys

import numpy as np
import pytest

from buckler.bundle.onnx_check import check_onnx
from buckler.errors import BundleError
from buckler.normalize import NormalizedTexts, get_normalizer
from buckler.runtime import onnx_limits
from buckler.runtime.model import Form

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from buckler.runtime.onnx import OnnxModel  # noqa: E402

SETTINGS = {"max_length": 64, "length_step": 16}
FORM = Form(get_normalizer("text-v1"), 64, 1)
CAST = helper.make_node("Cast", ["bytes"], ["x"], to=TensorProto.FLOAT)


def network(nodes, constants=()):
    """A network whose `sum` joins the logits."""
    ends = [
        helper.make_node("ReduceSum", ["sum"], ["one"], keepdims=0),
        helper.make_node("ReduceSum", ["x", "axis"], ["row"], keepdims=1),
        helper.make_node("Add", ["row", "one"], ["logits"]),
    ]
    graph = helper.make_graph(
        [CAST, *nodes, *ends],
        "g",
        [helper.make_tensor_value_info("bytes", TensorProto.UINT8, ["rows", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 1])],
        [numpy_helper.from_array(np.array([1], np.int64), "axis"), *constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return model.SerializeToString()


def constant(value, name, field=None):
    """A tensor; with `field` its numbers stand in that field and not in the raw bytes."""
    if field is None:
        return numpy_helper.from_array(np.array(value), name)
    return helper.make_tensor(name, TensorProto.INT64, [len(value)], value)


HUGE = [1 << 15, 1 << 15]
SHAPE = helper.make_node("ConstantOfShape", ["shape"], ["sum"])
DOUBLED = [helper.make_node("Concat", [f"c{k}", f"c{k}"], [f"c{k + 1}"], axis=0) for k in range(40)]
REFUSED = {
    "a shape in int64_data": ([SHAPE], [constant(HUGE, "shape", "int64_data")]),
    "a shape that is cast": (
        [helper.make_node("Cast", ["small"], ["shape"], to=TensorProto.INT64), SHAPE],
        [constant(np.array(HUGE, np.int32), "small")],
    ),
    "a shape joined from parts": (
        [helper.make_node("Concat", ["a", "a"], ["shape"], axis=0), SHAPE],
        [constant(np.array([1 << 15]), "a")],
    ),
    "a constant joined with itself": (
        [*DOUBLED, helper.make_node("Identity", ["c40"], ["sum"])],
        [constant(np.ones(4, np.float32), "c0")],
    ),
    "a product of constants": (
        [helper.make_node("MatMul", ["a", "a"], ["sum"])],
        [constant(np.ones((4, 4), np.float32), "a")],
    ),
    "a constant spread over another": (
        [helper.make_node("Add", ["a", "b"], ["sum"])],
        [constant(np.ones((4, 1), np.float32), "a"), constant(np.ones((1, 4), np.float32), "b")],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_computed_from_constants_is_bounded(name):
    with pytest.raises(BundleError, match="the network"):
        check_onnx(network(*REFUSED[name]))
    small = network([helper.make_node("Identity", ["x"], ["sum"])])
    check_onnx(small)
    texts = NormalizedTexts.from_bytes([b"ab", b""])
    assert OnnxModel(SETTINGS, small, FORM).logits(texts).shape == (2, 1)


def test_memory_that_only_the_run_shows_is_bounded():
    code = """
from tests.bundle.test_network_limits import *
from tests.support.memory import peak_memory_kib
nodes = [helper.make_node("Identity", ["x"], ["c0"]), *DOUBLED[:24]]
nodes.append(helper.make_node("Identity", ["c24"], ["sum"]))
model = OnnxModel(SETTINGS, network(nodes), FORM)
try:
    model.logits(NormalizedTexts.from_bytes([b"x" * 64] * 100))
except BundleError as error:
    print(json.dumps([str(error), peak_memory_kib()]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message, peak_kib = json.loads(done.stdout)
    assert "the network failed" in message
    assert peak_kib < 1.6 * (1 << 20)


def test_a_run_without_end_is_ended(monkeypatch):
    monkeypatch.setattr(onnx_limits, "LOAD_S", 0.3)
    nodes = [helper.make_node("Identity", ["x"], ["c0"]), *DOUBLED[:16]]
    nodes += [helper.make_node("Sqrt", [f"c{k}"], [f"c{k + 1}"]) for k in range(16, 1500)]
    nodes.append(helper.make_node("Identity", ["c1500"], ["sum"]))
    model = OnnxModel(SETTINGS, network(nodes), FORM)
    # Without an end, this takes many minutes.
    with onnx_limits.loading(), pytest.raises(BundleError, match="the network failed"):
        model.logits(NormalizedTexts.from_bytes([b"x" * 64] * 4))
