"""Assembly on a GPU: a batch of uint8 samples becomes the batch that the caller receives.

That takes one kernel, with jitter or borders two, and others for operations, for colors that depend
on their sample's mean, and for mixing. What a plan says about the samples is copied to the GPU
in one transfer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context, require_cupy
from gpuio.errors import ArgumentError
from gpuio.execution import kernels
from gpuio.execution.augment_cuda import CudaAugmenter, operation_parameters
from gpuio.execution.finish_cuda import CudaFinisher, finish_parameters
from gpuio.execution.mix_cuda import mix_on_gpu, mix_parameters
from gpuio.execution.output import OutputSpec
from gpuio.execution.packing import check_array, send_packed
from gpuio.nd.types import Array, HostArray, Untyped
from gpuio.planning.mixing import BatchMix
from gpuio.planning.plan import Plan

# Pixels written by one block of threads, and the most blocks that CUDA launches along y.
THREADS = 256
MAX_BLOCKS_Y = 65535

# `Scaling` in assemble.cu, passed by value.
SCALING = np.dtype([("offset", np.float32, 4), ("factor", np.float32, 4)])


class CudaAssembler:
    """Makes batches on a GPU with ``kernels/finish.cu``, ``kernels/augment.cu``,
    ``kernels/assemble.cu`` and ``kernels/mix.cu``, which are compiled for it when first used.

    Parameters
    ----------
    output : what the batches look like
    ctx : the GPU
    """

    def __init__(self, output: OutputSpec, ctx: Context) -> None:
        self.output = output
        self._device_id = int(ctx.device_id)
        self._scaling = np.zeros((), SCALING)
        self._scaling["offset"][: output.channels] = output.offset
        self._scaling["factor"][: output.channels] = output.factor
        self._name = f"assemble_{output.dtype.name}_{output.layout.lower()}"
        self._finish = CudaFinisher(output, self._device_id)
        self._augment = CudaAugmenter(output, self._device_id)
        self._mean_image: Array | None = None

    def __call__(
        self,
        pixels: Array,
        plan: Plan,
        rows: NDArray[np.int32] | None,
        stream: Untyped,
        mix: BatchMix | None = None,
    ) -> Array:
        """Finish and assemble one batch. Returns once the work is queued on `stream`, not when it
        is done.

        Parameters
        ----------
        pixels : cupy uint8 (M, height, width, channels), contiguous, on this GPU, ready in the
            order of `stream`. The caller keeps it, unchanged, until an event recorded on `stream`
            after this call is done.
        plan : of the M samples: its jitter, borders, operations, flips, color and light
        rows : int32 (N,) on the host: output sample n shows sample ``rows[n]``; None: all M
            in order
        stream : the cupy stream to work on, the same in each call
        mix : how the N output samples are mixed; None: not at all

        Returns
        -------
        CuPy array of shape ``output.shape(N)`` and dtype ``output.dtype``, newly allocated in the
        order of `stream` and the caller's own. Before it is read on another stream, that one must
        wait for `stream`. When it is freed, CuPy may reuse its memory for later work on `stream` at
        once: a caller that reads it on another stream lets `stream` wait for that reading before
        the next call.

        The plan and `rows` may be changed or freed as soon as the call returns, see `send_packed`.
        What the call allocates besides is freed in the order of `stream`, hence after the kernels
        have used it.

        Raises
        ------
        ArgumentError : a shape, dtype or row is not as described above.
        ContextError : CuPy or NVRTC is missing.
        Error : a kernel does not compile.
        """
        output = self.output
        self._check_pixels(pixels)
        count, parameters = self._parameters(len(pixels), plan, rows)
        parameters.update(mix_parameters(mix, count))
        cupy = require_cupy()
        with cupy.cuda.Device(self._device_id), stream:
            batch: Array = cupy.empty(output.shape(count), output.dtype)
            if count == 0:
                return batch
            if output.offset_image is not None and self._mean_image is None:
                self._mean_image = cupy.asarray(output.offset_image)
            on_device = send_packed(parameters)
            finished = self._finished(pixels, on_device)
            kernel = kernels.load("assemble", self._name, self._device_id)
            blocks = -(-output.height * output.width // THREADS)
            kernel(
                (blocks, min(count, MAX_BLOCKS_Y)),
                (THREADS,),
                (
                    batch,
                    finished,
                    on_device.get("flip"),
                    on_device.get("plan.matrix"),
                    on_device.get("light"),
                    on_device.get("rows"),
                    self._mean_image,
                    np.int64(count),
                    np.int32(output.height),
                    np.int32(output.width),
                    np.int32(output.channels),
                    np.int32(plan.rounding),
                    np.int32(output.mirror_mean),
                    self._scaling,
                ),
            )
            if mix is not None:
                mix_on_gpu(batch, on_device, output, self._device_id)
        return batch

    def _finished(self, pixels: Array, on_device: dict[str, Array]) -> Array:
        """The samples after their jitters, borders and operations; a matrix that depends on means
        is written where the parameters have it.
        """
        operations = on_device.get("operations")
        if operations is None:
            return self._finish(pixels, on_device)
        before = {name: each for name, each in on_device.items() if not name.startswith("plan.")}
        augmented = self._augment(self._finish(pixels, before), operations)
        after = {name: each for name, each in on_device.items() if name.startswith("plan.")}
        return self._finish(augmented, after)

    def _check_pixels(self, pixels: Array) -> None:
        shape = (self.output.height, self.output.width, self.output.channels)
        if pixels.ndim != 4 or pixels.shape[1:] != shape or pixels.dtype != np.uint8:
            raise ArgumentError(
                f"pixels must be uint8 (M, {', '.join(map(str, shape))}), "
                f"not {pixels.dtype} {pixels.shape}"
            )
        if not pixels.flags.c_contiguous:
            raise ArgumentError("pixels must be contiguous; use cupy.ascontiguousarray")

    def _parameters(
        self, samples: int, plan: Plan, rows: NDArray[np.int32] | None
    ) -> tuple[int, dict[str, HostArray]]:
        """N, and what the kernels need to know of the plan and the rows, in their types."""
        parameters = finish_parameters(plan, self.output, samples)
        parameters.update(operation_parameters(plan, self.output, samples))
        flip = check_array(plan.flip, np.bool_, (samples,), "flip")
        if flip.any():
            parameters["flip"] = flip
        if plan.light is not None:
            light = check_array(plan.light, np.float64, (samples, 2), "light")
            if self.output.takes_light:
                parameters["light"] = light.astype(np.float32)
        if rows is None:
            return samples, parameters
        count = len(rows)
        parameters["rows"] = check_array(rows, np.int32, (count,), "rows")
        if count and not 0 <= rows.min() <= rows.max() < samples:
            raise ArgumentError(
                f"rows must be in 0 to {samples - 1}, but they are from {rows.min()} to "
                f"{rows.max()}"
            )
        return count, parameters
