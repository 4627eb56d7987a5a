"""Labeling with the encoder on a CPU: rows a second before and after each step, and accuracy."""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import table, use_all_cores
from benchmarks.models import events
from buckler.tasks import get_task
from buckler.teachers.encoder import EncoderSettings, EncoderTeacher, fine_tune
from buckler.teachers.encoder.onnx_model import OnnxClassifier, export
from buckler.teachers.encoder.tokens import Tokens, batches_by_length, pad_batch

REPEATS = 3


def run(data: Path) -> None:
    import torch

    use_all_cores()
    torch.set_num_threads(2)
    task = get_task("url-category")
    test = events(data, "url-category", "category-test")
    with tempfile.TemporaryDirectory() as name:
        settings = EncoderSettings(
            train=[data / "url" / "category-labelled.parquet"],
            work=Path(name),
            epochs=4,
            learning_rate=2e-4,
        )
        teacher = EncoderTeacher(settings, task)
        started, cpu_started = time.perf_counter(), time.process_time()
        network = _train(teacher)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        print(f"fine-tuned in {seconds:.0f} s, {cpu:.0f} s of CPU\n", flush=True)
        folder = Path(name)
        export(network, folder / "float32.onnx", folder / "int8.onnx")
        tokens = Tokens(teacher.model_folder, settings.max_tokens)
        texts = [task.readable(raw) for raw in test.raw_texts]
        encoded = tokens.encode(texts)
        in_order = [
            pad_batch(encoded, np.arange(i, min(i + 32, len(encoded))))
            for i in range(0, len(encoded), 32)
        ]
        full = [_to_length(batch, settings.max_tokens) for batch in in_order]
        short = list(batches_by_length(encoded, 4096))
        exact = OnnxClassifier(folder / "float32.onnx", threads=2)
        small = OnnxClassifier(folder / "int8.onnx", threads=2)
        steps = [
            (
                "PyTorch, float32, padded to 128",
                lambda: _torch(network, full[:20], mixed=False),
                640,
            ),
            ("padded to the longest of 32", lambda: _torch(network, in_order, mixed=False), None),
            ("batches of similar length", lambda: _torch(network, short, mixed=False), None),
            ("bfloat16", lambda: _torch(network, short, mixed=True), None),
            ("ONNX Runtime, float32", lambda: exact.logits(encoded), None),
            ("ONNX Runtime, 8-bit weights in blocks", lambda: small.logits(encoded), None),
        ]
        rows = []
        for title, work, n in steps:
            n = n or len(encoded)
            best, logits = np.inf, None
            for _ in range(REPEATS):
                started = time.perf_counter()
                logits = work()
                best = min(best, time.perf_counter() - started)
            accuracy = (logits.argmax(axis=1) == test.labels[: len(logits)]).mean()
            of = "" if n == len(encoded) else f" (first {n})"
            rows.append((title, f"{n / best:,.0f}", f"{accuracy:.4f}{of}"))
        table(("category-test, 2 cores", "rows/s", "accuracy"), rows)


def _train(teacher: EncoderTeacher) -> object:
    """Train as the teacher does, and load the network that it exported."""
    kept = {}
    fit = fine_tune.fit

    def keep(*arguments: object) -> object:
        kept["fitted"] = fit(*arguments)
        return kept["fitted"]

    fine_tune.fit = keep
    try:
        teacher.prepare()
    finally:
        fine_tune.fit = fit
    return kept["fitted"].network


def _torch(network: object, batches: list, *, mixed: bool) -> np.ndarray:
    import torch

    n = sum(len(batch.rows) for batch in batches)
    found = None
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        for batch in batches:
            logits = network(torch.from_numpy(batch.ids), torch.from_numpy(batch.mask))
            if found is None:
                found = np.empty((n, logits.shape[1]), np.float32)
            found[batch.rows] = logits.float().numpy()
    return found


def _to_length(batch: object, length: int) -> object:
    width = ((0, 0), (0, length - batch.ids.shape[1]))
    return type(batch)(batch.rows, np.pad(batch.ids, width), np.pad(batch.mask, width))
