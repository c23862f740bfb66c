"""Benchmark loading a record file on this machine, and find the bottleneck."""

from gpuio.tools.commands.bench.benchmark import Bench, Stage, bench
from gpuio.tools.commands.bench.command import add_command

__all__ = ["Bench", "Stage", "add_command", "bench"]
