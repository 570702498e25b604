"""A lake in a folder, without AWS or an emulator of it: the jobs run for real on it, for tests and benchmarks.

Belongs in here: what a test or a benchmark of a job would otherwise repeat. What does not: assertions, measurements.
"""
