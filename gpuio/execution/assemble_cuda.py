"""Assembly on a GPU: a batch of uint8 samples becomes the batch that the caller receives."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpuio.context import Context, require_cupy
from gpuio.errors import ArgumentError
from gpuio.execution import kernels
from gpuio.execution.output import OutputSpec
from gpuio.nd.types import Array, HostArray, Untyped
from gpuio.planning.plan import UNROUNDED

# Pixels written by one block of threads, and the most blocks that CUDA launches along y.
THREADS = 256
MAX_BLOCKS_Y = 65535

# `Scaling` in assemble.cu, passed by value.
SCALING = np.dtype([("offset", np.float32, 4), ("factor", np.float32, 4)])


class CudaAssembler:
    """Makes batches on a GPU with ``kernels/assemble.cu``, compiled for it at the first call.

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
        self._mean_image: Array | None = None

    def __call__(
        self,
        pixels: Array,
        mirror: NDArray[np.bool_] | None,
        matrix: NDArray[np.float32] | None,
        rows: NDArray[np.int32] | None,
        stream: Untyped,
        rounding: int = UNROUNDED,
        light: HostArray | None = None,
    ) -> Array:
        """Assemble one batch. Returns once the work is queued on `stream`, not when it is done.

        Parameters
        ----------
        pixels : cupy uint8 (M, height, width, channels), contiguous, on this GPU, ready in the
            order of `stream`. The caller keeps it, unchanged, until an event recorded on `stream`
            after this call is done.
        mirror : bool (M,) on the host: samples to flip left to right, or None
        matrix : float32 (M, 3, 4) on the host: color matrices applied to (r, g, b, 1), or None
        rows : int32 (N,) on the host: output sample n shows sample ``rows[n]``; None: all M
            in order
        stream : the cupy stream to work on, the same in each call
        rounding : of the matrices' results, see `Plan`
        light : (M, 2) on the host: gain and shift, see `Plan`, or None

        Returns
        -------
        CuPy array of shape ``output.shape(N)`` and dtype ``output.dtype``, newly allocated in the
        order of `stream` and the caller's own. Before it is read on another stream, that one must
        wait for `stream`. When it is freed, CuPy may reuse its memory for later work on `stream` at
        once: a caller that reads it on another stream lets `stream` wait for that reading before
        the next call.

        `mirror`, `matrix`, `rows` and `light` may be changed or freed as soon as the call returns:
        they are packed into one array here, which CuPy copies to pinned memory and keeps until the
        transfer is done. The device's copy is freed in the order of `stream`, hence after the
        kernel has read it.

        Raises
        ------
        ArgumentError : a shape, dtype or row is not as described above.
        ContextError : CuPy or NVRTC is missing.
        Error : the kernel does not compile.
        """
        output = self.output
        count, parameters = self._check(pixels, mirror, matrix, rows, light)
        cupy = require_cupy()
        with cupy.cuda.Device(self._device_id), stream:
            batch: Array = cupy.empty(output.shape(count), output.dtype)
            if count == 0:
                return batch
            if output.offset_image is not None and self._mean_image is None:
                self._mean_image = cupy.asarray(output.offset_image)
            pointers: list[Array | None] = [None] * len(parameters)
            sizes = [0 if values is None else values.nbytes for values in parameters]
            if any(sizes):
                packed = np.concatenate(
                    [
                        values.reshape(-1).view(np.uint8)
                        for values in parameters
                        if values is not None
                    ]
                )
                staged = cupy.asarray(packed)
                ends = np.cumsum(sizes).tolist()
                for place, (size, end) in enumerate(zip(sizes, ends, strict=True)):
                    pointers[place] = staged[end - size : end] if size else None
            matrix_on_device, light_on_device, rows_on_device, mirror_on_device = pointers
            kernel = kernels.load("assemble", self._name, self._device_id)
            blocks = -(-output.height * output.width // THREADS)
            kernel(
                (blocks, min(count, MAX_BLOCKS_Y)),
                (THREADS,),
                (
                    batch,
                    pixels,
                    mirror_on_device,
                    matrix_on_device,
                    light_on_device,
                    rows_on_device,
                    self._mean_image,
                    np.int64(count),
                    np.int32(output.height),
                    np.int32(output.width),
                    np.int32(output.channels),
                    np.int32(rounding),
                    np.int32(output.mirror_mean),
                    self._scaling,
                ),
            )
        return batch

    def _check(
        self,
        pixels: Array,
        mirror: NDArray[np.bool_] | None,
        matrix: NDArray[np.float32] | None,
        rows: NDArray[np.int32] | None,
        light: HostArray | None,
    ) -> tuple[int, tuple[HostArray | None, ...]]:
        """Check what would make the kernel read outside its arrays.

        Returns
        -------
        N, and (matrix, light, rows, mirror) in the kernel's types, the widest first so that packing
        aligns them
        """
        output = self.output
        shape = (output.height, output.width, output.channels)
        if pixels.ndim != 4 or pixels.shape[1:] != shape or pixels.dtype != np.uint8:
            raise ArgumentError(
                f"pixels must be uint8 (M, {', '.join(map(str, shape))}), "
                f"not {pixels.dtype} {pixels.shape}"
            )
        if not pixels.flags.c_contiguous:
            raise ArgumentError("pixels must be contiguous; use cupy.ascontiguousarray")
        samples = len(pixels)
        if mirror is not None:
            mirror = _as(mirror, np.bool_, (samples,), "mirror")
        if matrix is not None:
            if output.channels != 3:
                raise ArgumentError(f"a color matrix goes with 3 channels, not {output.channels}")
            matrix = _as(matrix, np.float32, (samples, 3, 4), "matrix")
        if light is not None:
            light = _as(light.astype(np.float32), np.float32, (samples, 2), "light")
            light = light if output.takes_light else None
        count = samples
        if rows is not None:
            count = len(rows)
            rows = _as(rows, np.int32, (count,), "rows")
            if count and not 0 <= rows.min() <= rows.max() < samples:
                raise ArgumentError(
                    f"rows must be in 0 to {samples - 1}, but they are from {rows.min()} to "
                    f"{rows.max()}"
                )
        return count, (matrix, light, rows, mirror)


def _as(values: HostArray, dtype: DTypeLike, shape: tuple[int, ...], name: str) -> HostArray:
    if values.shape != shape or values.dtype != dtype:
        raise ArgumentError(
            f"{name} must be {np.dtype(dtype).name} {shape}, not {values.dtype} {values.shape}"
        )
    return np.ascontiguousarray(values)
