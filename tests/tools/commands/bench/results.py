"""Results of benchmarks that were not run."""

from typing import Any

from gpuio.tools import Bench, Stage
from gpuio.tools.commands.bench.benchmark import DECODING, READING

ITERATOR = "ImageRecordIter"


def result(**changes: Any) -> Bench:
    """Results of a loader on 2 CPUs that decoding keeps busy."""
    stages = {ITERATOR: (1000, 1.9), READING: (50_000, 0.02), DECODING: (1300, 1.5)}
    stages.update(changes.pop("stages", {}))
    values: dict[str, Any] = dict(
        rec="x.rec", images=10, device="cpu(0)", cpus=2, threads=2, batch_size=100,
        stages=[Stage(name, speed, cpu, cpu, cpu) for name, (speed, cpu) in stages.items()],
        left_out={}, cached=None, limit="", step=None, needed=None,
    )  # fmt: skip
    return Bench(**{**values, **changes})
