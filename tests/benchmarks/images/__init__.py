"""The benchmark of image loaders on the CPU: ``python -m tests.benchmarks.images``.

Each contestant is a module in `contestants` with one function, `batches`, and runs in a process of
its own, `worker`. `workloads` makes the data, `check` compares what the contestants give before
they are measured, `run` measures them in turns, `bars` and `report` present the figures.

`worker`, `job` and `contestants.record_iter` also run under Python 3.8, which MXNet 1.9.1 needs.
"""
