"""What follows the DALI graph on each kind of device: from its samples to the caller's batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.execution.assemble import CudaAssembler, HostAssembler, Output
from gpuio.execution.color import batch_matrices, jitter, paint
from gpuio.loading.in_flight import InFlightBatches
from gpuio.planning.plan import Plan


class HostPostprocess:
    """What follows the graph when it is built of CPU operators."""

    def __init__(self, output: Output) -> None:
        self._assembler = HostAssembler(output)
        self.stream = None

    def pixels(self, images: Any) -> NDArray[np.uint8]:
        """The graph's output as an array, not copied."""
        return np.asarray(images.as_tensor())

    def upload(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Samples that were decoded on the host, where the graph's output would be."""
        return pixels

    def assemble(
        self,
        pixels: NDArray[np.uint8],
        plan: Plan,
        rows: NDArray[np.intp] | None,
    ) -> NDArray[np.generic]:
        """The batch, on the host."""
        rows = np.arange(len(pixels)) if rows is None else rows
        batch = self._assembler.empty(len(rows))
        pixels = paint(np, jitter(np, pixels, plan), plan)
        colours = batch_matrices(plan, pixels)
        for row, source in enumerate(rows.tolist()):
            colour = None if colours is None else colours[source]
            self._assembler.write(batch, row, pixels[source], bool(plan.mirror[source]), colour)
        return batch

    def retain(self, batch: Any) -> None:
        """Nothing to do: nobody else writes to memory that is held."""


class CudaPostprocess:
    """What follows the graph on a GPU.

    Everything happens on one stream, and a batch is complete when it is handed out.
    """

    def __init__(self, output: Output, ctx: Context) -> None:
        import cupy

        self._cupy = cupy
        self._number = ctx.device_id
        self._assembler = CudaAssembler(output, ctx)
        with self._device():
            self.stream = cupy.cuda.Stream(non_blocking=True)
        self.retain = InFlightBatches(ctx).retain

    def _device(self) -> Any:
        """A new one each time: it remembers what it was entered from, and two threads are here."""
        return self._cupy.cuda.Device(self._number)

    def pixels(self, images: Any) -> Any:
        """The graph's output as a CuPy array on `stream`, not copied."""
        with self._device(), self.stream:
            return self._cupy.from_dlpack(images.as_tensor())

    def upload(self, pixels: NDArray[np.uint8]) -> Any:
        """Samples that were decoded on the host, as a CuPy array on `stream`."""
        with self._device(), self.stream:
            return self._cupy.asarray(pixels)

    def assemble(self, pixels: Any, plan: Plan, rows: NDArray[np.intp] | None) -> Any:
        """The batch on the device, complete: the calling thread waits for `stream`."""
        chosen = None if rows is None else rows.astype(np.int32)
        with self._device():
            with self.stream:
                pixels = paint(self._cupy, jitter(self._cupy, pixels, plan), plan)
                colours = batch_matrices(plan, pixels)
            batch = self._assembler(pixels, plan.mirror, colours, chosen, self.stream)
            self.stream.synchronize()
        return batch
