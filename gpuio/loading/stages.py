"""How long the stages of making batches take, and NVTX ranges for NVIDIA's profilers."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import Any

from gpuio.context import Context, require_cupy

# The stages: reading records; headers and plans; decoding, resampling and all else that makes
# pixels; what is done once for a whole batch after that.
READ, PLAN, DECODE, FINISH = range(4)
STAGES = ("read", "plan", "decode", "finish")

# The environment variable that, set to 1, asks for NVTX ranges.
NVTX_VARIABLE = "GPUIO_NVTX"


class StageTimes:
    """Seconds that each stage has taken, of all threads together.

    Each thread adds to numbers of its own: none waits for another, and nothing is locked where a
    signal handler or a fork interrupts it.

    Parameters
    ----------
    nvtx : CuPy's module of NVTX, to mark the stages in profiles; None: do not
    """

    def __init__(self, nvtx: Any = None) -> None:
        self._nvtx = nvtx
        self._of_threads: dict[int, list[float]] = {}

    def measure(self, stage: int) -> Measurement:
        """A context manager whose duration counts for a stage, one of the constants above."""
        return Measurement(self, stage, self._nvtx)

    def add(self, stage: int, seconds: float) -> None:
        """Add to a stage's time."""
        thread = threading.get_ident()
        own = self._of_threads.get(thread)
        if own is None:
            own = self._of_threads[thread] = [0.0] * len(STAGES)
        own[stage] += seconds

    def totals(self) -> dict[str, float]:
        """Seconds by the name of the stage."""
        found = [sum(each) for each in zip(*list(self._of_threads.values()), strict=True)]
        return dict(zip(STAGES, found or [0.0] * len(STAGES), strict=True))


class Measurement:
    """Measures one stage, once; see `StageTimes.measure`."""

    __slots__ = ("_begun", "_nvtx", "_stage", "_times")

    def __init__(self, times: StageTimes, stage: int, nvtx: Any) -> None:
        self._times = times
        self._stage = stage
        self._nvtx = nvtx

    def __enter__(self) -> None:
        if self._nvtx is not None:
            self._nvtx.RangePush(f"gpuio {STAGES[self._stage]}")
        self._begun = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._times.add(self._stage, time.perf_counter() - self._begun)
        if self._nvtx is not None:
            self._nvtx.RangePop()


def nvtx_for(ctx: Context) -> Any:
    """CuPy's module of NVTX, if the environment variable asks for ranges and batches are made on a
    GPU; otherwise None.
    """
    if os.environ.get(NVTX_VARIABLE) != "1" or ctx.device_type != "gpu":
        return None
    return require_cupy().cuda.nvtx
