"""Benchmarks; `python -m benchmarks` (or `make bench`) prints every figure, ratios of one run."""
