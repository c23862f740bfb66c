"""What follows the DALI graph on each kind of device: from its samples to the batch."""

from __future__ import annotations

import weakref

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context, on_device
from gpuio.execution.assemble_cuda import CudaAssembler
from gpuio.execution.assemble_host import HostAssembler
from gpuio.execution.color import batch_color_matrices, finish_pixels
from gpuio.execution.mixing import mix_batch
from gpuio.execution.operations import operate_batch
from gpuio.execution.output import OutputSpec
from gpuio.in_flight import keep_until, release_done, retire_stream
from gpuio.nd.device_memory import share
from gpuio.nd.types import Array, Untyped
from gpuio.planning.mixing import BatchMix
from gpuio.planning.plan import Plan


class HostPostprocess:
    """What follows a graph of CPU operators.

    Parameters
    ----------
    output : what the batches look like
    """

    def __init__(self, output: OutputSpec) -> None:
        self._assembler = HostAssembler(output)
        self.stream = None

    def pixels(self, tensors: Untyped) -> NDArray[np.uint8]:
        """The graph's output as an array, sharing memory."""
        return np.asarray(tensors.as_tensor())

    def upload(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Samples that were decoded on the host, where the graph's output would be."""
        return pixels

    def paste(self, pixels: Array, rows: list[int], samples: NDArray[np.uint8]) -> None:
        """Write samples that were decoded on the host into the graph's output.

        Parameters
        ----------
        pixels : uint8 (N, height, width, channels), from `pixels`
        rows : M of the N samples
        samples : uint8 (M, height, width, channels), on the host
        """
        pixels[rows] = samples

    def assemble(
        self,
        pixels: Untyped,
        plan: Plan,
        rows: NDArray[np.intp] | None,
        mix: BatchMix | None = None,
    ) -> NDArray[np.generic]:
        """Assemble the batch, on the host.

        Parameters
        ----------
        pixels : uint8 (M, height, width, channels)
        plan : of the M samples
        rows : the sample that each row of the batch shows; None: each its own
        mix : how the rows are mixed; None: not at all
        """
        rows = np.arange(len(pixels)) if rows is None else rows
        batch = self._assembler.empty(len(rows))
        pixels = operate_batch(finish_pixels(pixels, plan), plan.operations)
        matrices = batch_color_matrices(plan.color, pixels)
        for row, sample in enumerate(rows.tolist()):
            matrix = None if matrices is None else matrices[sample]
            light = None if plan.light is None else plan.light[sample]
            flip = bool(plan.flip[sample])
            self._assembler.write(batch, row, pixels[sample], flip, matrix, plan.rounding, light)
        if mix is not None:
            mix_batch(batch, mix, self._assembler.output)
        return batch

    def keep(self, tensors: Untyped) -> None:
        """Do nothing: all work on them is done."""


class CudaPostprocess:
    """What follows a graph on a GPU.

    All work is queued on one stream; nothing waits for it.

    Parameters
    ----------
    output : what the batches look like
    ctx : the GPU
    """

    def __init__(self, output: OutputSpec, ctx: Context) -> None:
        import cupy

        self._cupy = cupy
        self._ctx = ctx
        self._assembler = CudaAssembler(output, ctx)
        with on_device(self._ctx):
            self.stream = cupy.cuda.Stream(non_blocking=True)
        weakref.finalize(self, retire_stream, ctx.device_id, self.stream).atexit = False

    def pixels(self, tensors: Untyped) -> Array:
        """The graph's output as a CuPy array on `stream`, sharing memory."""
        with on_device(self._ctx), self.stream:
            pixels: Array = self._cupy.from_dlpack(tensors.as_tensor())
        return pixels

    def upload(self, pixels: NDArray[np.uint8]) -> Array:
        """Samples that were decoded on the host, as a CuPy array on `stream`."""
        with on_device(self._ctx), self.stream:
            uploaded: Array = self._cupy.asarray(pixels)
        return uploaded

    def paste(self, pixels: Array, rows: list[int], samples: NDArray[np.uint8]) -> None:
        """Write samples that were decoded on the host into the graph's output, on `stream`; see
        `HostPostprocess`.
        """
        uploaded = self.upload(samples)
        with on_device(self._ctx), self.stream:
            pixels[rows] = uploaded

    def assemble(
        self,
        pixels: Array,
        plan: Plan,
        rows: NDArray[np.intp] | None,
        mix: BatchMix | None = None,
    ) -> Array:
        """Assemble the batch on the GPU; see `HostPostprocess`. Returns once the work is queued.

        Returns
        -------
        A CuPy array with an owner, which knows when it is complete, see `gpuio.nd.device_memory`
        """
        selected = None if rows is None else rows.astype(np.int32)
        with on_device(self._ctx):
            batch = self._assembler(pixels, plan, selected, self.stream, mix)
            ready = self.stream.record(self._cupy.cuda.Event(disable_timing=True))
        return share(batch, ready)

    def keep(self, tensors: Untyped) -> None:
        """Keep the graph's output until the work on it that has been queued is done: DALI may reuse
        its memory as soon as nothing references it.
        """
        with on_device(self._ctx):
            done = self.stream.record(self._cupy.cuda.Event(disable_timing=True))
        keep_until(self._ctx.device_id, [done], tensors)
        release_done(self._ctx.device_id)
