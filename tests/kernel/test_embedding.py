"""The kernel without Python: one C file, and WebAssembly in Node."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from buckler.bundle.archive import read_bundle
from buckler.bundle.flat import flat_model, flat_vectors
from buckler.errors import SettingsError
from buckler.kernel import amalgamate
from buckler.tasks import Task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.made_up import made_up_events

FLAGS = "-std=c11 -O3 -Wall -Wextra -Werror -ffp-contract=off -fno-math-errno -fno-trapping-math"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    folder = tmp_path_factory.mktemp("c")
    amalgamate.write(folder)
    sources = ["example.c", "buckler.c"]
    flags = FLAGS.replace("-O3", "-O1").split()  # with sanitizers, -O3 takes three times as long
    command = ["cc", *flags, "-fsanitize=address,undefined", "-o", "example", *sources, "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def bundles(url_bundle, tmp_path_factory) -> list[Path]:
    """Two classes, a hidden layer, five classes, segments, and one with a calibration curve."""
    folder = tmp_path_factory.mktemp("bundles")
    rng = np.random.default_rng(1)
    events = made_up_events(800, rng)
    hidden = {"table_bits": 8, "hidden": 16, "learning_rate": 0.1}
    write_fitted(
        folder / "hidden.buckler", fit_student(events, StudentSpec("ngram", hidden, folds=2))
    )
    labels = np.array([events.texts[i][0] % 5 for i in range(len(events))], np.int32)
    five = Task("t", dict.fromkeys("abcde", "x"), ("b", "d"), "text-v1", 512)
    classes = replace(events, task=five, labels=labels)
    fitted = fit_student(classes, StudentSpec("ngram", {"table_bits": 8}, folds=2))
    write_fitted(folder / "five.buckler", fitted)
    for segments in ("mean", "max", "soft"):
        spec = StudentSpec("ngram", {"table_bits": 8, "segments": segments}, folds=2)
        write_fitted(folder / f"five_{segments}.buckler", fit_student(classes, spec))
        write_fitted(folder / f"url_{segments}.buckler", fit_student(events, spec))
    from buckler.evaluation.calibration import CalibrationCurve

    fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 8}, folds=2))
    bent = CalibrationCurve("beta", (0.0, 0.2, 0.7, 1.0), (0.0, 0.05, 0.9, 1.0))
    write_fitted(folder / "calibration_curve.buckler", replace(fitted, curve=bent))
    return [url_bundle, *sorted(folder.iterdir())]


def flat(path: Path, folder: Path) -> tuple[Path, Path]:
    bundle = read_bundle(path)
    model, vectors = folder / f"{path.stem}.bkm", folder / f"{path.stem}.txt"
    model.write_bytes(flat_model(bundle))
    vectors.write_text(flat_vectors(bundle))
    return model, vectors


def example(built: Path, *arguments: object, text: str = "") -> subprocess.CompletedProcess:
    command = [str(built / "example"), *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def test_c_gives_every_bit_of_the_conformance_vectors(built, bundles, tmp_path):
    for path in bundles:
        model, vectors = flat(path, tmp_path)
        done = example(built, model, "--check", vectors)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "64 vectors, 0 outputs differ\n"


def test_the_example_scores_lines(built, url_bundle, url_scorer, tmp_path):
    model, _ = flat(url_bundle, tmp_path)
    urls = ["https://login-river7.example/verify.php?u=7", "http://www.news-shop1.example/music/2"]
    lines = example(built, model, text="\n".join(urls) + "\n").stdout.splitlines()
    for line, url in zip(lines, urls, strict=True):
        assert float(line.split()[0]) == pytest.approx(url_scorer.score_of(url), abs=1e-6)
        assert ("DETECTION" in line) == url_scorer.score_one(url).detected


def test_a_flat_model_that_was_damaged_is_refused_and_harms_nothing(built, url_bundle, tmp_path):
    model, _ = flat(url_bundle, tmp_path)
    sound = model.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [b"", sound[:40], sound[:-1], sound + b"x", b"PK" + sound[2:]]
    for _ in range(120):  # the header, bit by bit
        changed = bytearray(sound)
        changed[int(rng.integers(96))] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(changed))
    refused = 0
    for content in damaged:
        (tmp_path / "d.bkm").write_bytes(content)
        done = example(built, tmp_path / "d.bkm", text="http://a.example/\n")
        assert done.returncode in (0, 2), done.stderr
        refused += done.returncode == 2
    assert refused > 60


def test_what_needs_python_is_not_flattened(tmp_path):
    events = made_up_events(300, np.random.default_rng(0))
    task = Task("t", {"benign": "x", "phishing": "y"}, ("phishing",), "email-v1", 512)
    events = replace(events, task=task)
    fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 6}, folds=2))
    write_fitted(tmp_path / "mail.buckler", fitted)
    with pytest.raises(SettingsError, match="without Python"):
        flat_model(read_bundle(tmp_path / "mail.buckler"))


NODE = """
import { readFile } from "node:fs/promises";
import { load } from "./buckler.mjs";
const [model, vectors] = process.argv.slice(2);
const scorer = await load(await readFile("buckler.wasm"), await readFile(model));
let wrong = 0, lines = 0;
for (const line of (await readFile(vectors, "utf8")).trim().split("\\n")) {
  const [text, ...bits] = line.split(" ");
  const data = text === "-" ? new Uint8Array() : Uint8Array.from(Buffer.from(text, "hex"));
  const found = new Uint32Array(scorer.score(data).outputs.buffer);
  bits.forEach((b, i) => { wrong += found[i] !== parseInt(b, 16); });
  lines++;
}
console.log(`${lines} ${wrong}`);
try { await load(await readFile("buckler.wasm"), new Uint8Array(100)); }
catch (error) { console.log(error.message); }
"""


@pytest.mark.slow
def test_webassembly_gives_the_same_bits_in_node(bundles, tmp_path):
    pytest.importorskip("ziglang", reason="the compiler to WebAssembly (ziglang) is not installed")
    if shutil.which("node") is None:
        pytest.skip("no Node.js here")
    amalgamate.write(tmp_path)
    flags = [flag for flag in FLAGS.split() if flag != "-Werror"]
    target = ["--target=wasm32-wasi", "-mexec-model=reactor", "-s", "-o", "buckler.wasm"]
    command = [sys.executable, "-m", "ziglang", "cc", *target, *flags, "wasm.c", "buckler.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    (tmp_path / "check.mjs").write_text(NODE)
    for path in bundles:
        model, vectors = flat(path, tmp_path)
        done = subprocess.run(
            ["node", "check.mjs", model.name, vectors.name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines() == ["64 0", "not a flat model"]
