"""Compiles the C kernel; everything else about the package is in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

KERNEL = Path("src/buckler/kernel")

setup(
    ext_modules=[
        Extension(
            "buckler._kernel",
            sources=sorted(map(str, KERNEL.glob("*.c"))),
            depends=sorted(map(str, KERNEL.glob("*.h"))),
            libraries=["m"],
            # No contraction: the same bits on every machine. No errno or traps: loops vectorize.
            extra_compile_args=[
                "-std=c11",
                "-O3",
                "-Wall",
                "-Wextra",
                "-fvisibility=hidden",
                "-ffp-contract=off",
                "-fno-math-errno",
                "-fno-trapping-math",
            ],
            define_macros=[("NDEBUG", "1")],
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
