"""Benchmarks on the real public data: python -m benchmarks (all), or with the names of sections."""
