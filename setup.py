"""Compiles the C kernel; everything else about the package is in pyproject.toml."""

from setuptools import Extension, setup

KERNEL = "src/buckler/kernel"

setup(
    ext_modules=[
        Extension(
            "buckler._kernel",
            sources=[f"{KERNEL}/{name}.c" for name in ("module", "ngram", "normalise")],
            depends=[
                f"{KERNEL}/{name}.h"
                for name in ("arrow_c", "buckler", "fields", "fold_table", "ngram_path")
            ],
            libraries=["m"],
            # No contraction: the same bits on every machine. No errno or traps: loops vectorise.
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
