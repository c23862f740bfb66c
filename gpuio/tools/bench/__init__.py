"""How fast record files load on this machine, and what limits that."""

from gpuio.tools.bench.command import add_command
from gpuio.tools.bench.contest import Bench, Stage, bench

__all__ = ["Bench", "Stage", "add_command", "bench"]
