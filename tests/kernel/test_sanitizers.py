"""The kernel under AddressSanitizer and UndefinedBehaviorSanitizer, fed hostile bytes."""

import shutil
import subprocess
from pathlib import Path

import pytest

KERNEL = Path(__file__).resolve().parents[2] / "src" / "buckler" / "kernel"
FLAGS = ["-std=gnu11", "-O1", "-g", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
# What needs no Python: all that an embedder compiles.
PORTABLE = sorted(p for p in KERNEL.glob("*.c") if not p.name.startswith(("binding", "module")))
STRICT = ["-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
SANITIZERS = "-fsanitize=address,undefined"


def test_no_input_reads_or_writes_outside_its_buffers(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    program = tmp_path / "fuzz"
    sources = [Path(__file__).parent / "kernel_fuzz.c", *PORTABLE]
    built = subprocess.run(
        ["gcc", *FLAGS, SANITIZERS, "-fno-sanitize-recover=all", f"-I{KERNEL}"]  # noqa: RUF005
        + [*map(str, sources), "-o", str(program), "-lm"],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode and "asan" in built.stderr:
        pytest.skip("gcc has no sanitizers here")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([program, "400"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "400 rounds\n"


def test_the_kernel_compiles_without_a_warning_as_strict_c11(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    for source in PORTABLE:
        built = subprocess.run(
            [
                "gcc",
                "-std=c11",
                "-O3",
                *STRICT,
                "-c",
                str(source),
                "-o",
                str(tmp_path / "o"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stderr
