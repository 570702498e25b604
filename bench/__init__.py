"""Measured figures of this lake, made by `make bench`: one module a benchmark, all with a `measure` that gives figures.

Belongs in here: benchmarks, and how they are measured and told. What does not: tests; no figure here turns a run red.
"""
