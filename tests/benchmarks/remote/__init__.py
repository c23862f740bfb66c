"""The benchmark of remote files: ``python -m tests.benchmarks.remote``."""
