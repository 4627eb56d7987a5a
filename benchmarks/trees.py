"""The same trees in our kernel, in LightGBM and in ONNX Runtime, at one row and at 1,024."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import lightgbm
import numpy as np
import onnx
import onnxruntime
from onnx import helper

from benchmarks.measure import in_turns, table
from buckler.dataset import read_dataset
from buckler.normalize import FeatureSchema, FeatureTable
from buckler.students import get_student
from buckler.tasks import get_task

TASK = Path(__file__).resolve().parents[1] / "examples" / "pe" / "task.toml"
EPOCHS = 12


def run(data: Path) -> None:
    task = get_task(TASK)
    events = read_dataset([data / "pe" / "clamp-train.parquet"], task)
    rows = events.features.values[:, :-1].copy()  # numbers
    student = get_student("trees", {"epochs": EPOCHS, "threads": 1})
    inputs = FeatureTable(FeatureSchema(task.numbers[: rows.shape[1]]), rows)
    student.fit(replace(events, inputs=inputs))
    parameters = student._parameters(2)
    booster = lightgbm.train(
        parameters, lightgbm.Dataset(rows, events.labels), num_boost_round=25 * EPOCHS
    )
    session = _session(student.tensors_, rows.shape[1])
    results = []
    for n in (1, 1024):
        batch = np.ascontiguousarray(rows[:n])
        out = np.empty((n, 1), np.float32)
        repeats = 2000 if n == 1 else 20
        ways = {
            "Buckler's kernel": partial(student.kernel_.logits, batch, out),
            "LightGBM": partial(booster.predict, batch, raw_score=True, num_threads=1),
            "ONNX Runtime": partial(session.run, None, {"rows": batch}),
        }
        found = in_turns({name: partial(_often, way, repeats) for name, way in ways.items()})
        exact = session.run(None, {"rows": batch})[0]
        assert np.allclose(exact, out, atol=1e-4)
        ours = found["Buckler's kernel"]
        results += [
            (name, n, f"{1e6 * s / repeats / n:,.2f}", f"{s / ours:.1f} x")
            for name, s in found.items()
        ]
    trees = len(student.tensors_["roots"])
    table((f"{trees} trees over 68 numbers", "rows", "us a row", "against ours"), results)
    explain = np.empty(rows.shape[1])
    seconds = in_turns(
        {
            "SHAP, kernel": lambda: [
                student.kernel_.explain(rows[i : i + 1], 0, explain) for i in range(50)
            ],
            "SHAP, LightGBM": lambda: [
                booster.predict(rows[i : i + 1], pred_contrib=True, num_threads=1)
                for i in range(50)
            ],
        },
        rounds=3,
    )
    print()
    table(("explanation", "us an event"), [(k, f"{1e6 * s / 50:,.0f}") for k, s in seconds.items()])


def _often(work: Callable[[], object], repeats: int) -> None:
    for _ in range(repeats):
        work()


def _session(tensors: dict[str, np.ndarray], n_features: int) -> onnxruntime.InferenceSession:
    nodes, roots = tensors["nodes"], tensors["roots"]
    ends = [*roots[1:].tolist(), len(nodes)]
    names = "treeids nodeids featureids values modes truenodeids falsenodeids missing"
    a: dict[str, list] = {name: [] for name in names.split()}
    leaves: dict[str, list] = {"treeids": [], "nodeids": [], "ids": [], "weights": []}
    for tree, (begin, end) in enumerate(zip(roots.tolist(), ends, strict=True)):
        for index in range(begin, end):
            bits, code, left, _ = nodes[index]
            value = float(np.uint32(bits).view(np.float32))
            leaf = bool(code >> 31)
            a["treeids"].append(tree)
            a["nodeids"].append(index - begin)
            a["featureids"].append(0 if leaf else int(code & 0x0FFFFFFF))
            a["values"].append(0.0 if leaf else value)
            a["modes"].append("LEAF" if leaf else "BRANCH_LEQ")
            a["truenodeids"].append(0 if leaf else int(left) - begin)
            a["falsenodeids"].append(0 if leaf else int(left) + 1 - begin)
            a["missing"].append(int(bool(code >> 28 & 1)))
            if leaf:
                leaves["treeids"].append(tree)
                leaves["nodeids"].append(index - begin)
                leaves["ids"].append(0)
                leaves["weights"].append(value)
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["rows"],
        ["out"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_missing_value_tracks_true=a.pop("missing"),
        **{f"nodes_{k}": v for k, v in a.items()},
        **{f"target_{k}": v for k, v in leaves.items()},
    )
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("rows", floats, [None, n_features])],
        [helper.make_tensor_value_info("out", floats, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)
