"""The last step: uint8 samples become the batch that the caller receives.

An `Output` describes the batch. Two assemblers write it, with the same float32 operations in the
same order, so that their batches are equal bit for bit: `HostAssembler` a sample at a time with
NumPy and OpenCV, `CudaAssembler` a batch at a time with ``kernels/assemble.cu``. For each pixel and
channel c::

    v[c] = pixel[c]                                                (without a colour matrix)
    v[c] = ((m[c, 0] * r + m[c, 1] * g) + m[c, 2] * b) + m[c, 3]   (with one; RGB only)
    out[c] = cast((v[c] - offset[c]) * factor[c])

That is MXNet's ``(px - mean) * (scale / std)``. The cast to float16 rounds to nearest even, without
saturation; the casts to integers round half to even and saturate.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.execution import kernels
from gpuio.execution.buffers import ALIGNMENT, BufferPool

if TYPE_CHECKING:
    from gpuio.context import Context

DTYPES = ("float32", "float16", "uint8", "int8")
LAYOUTS = ("NCHW", "NHWC")

# Pixels made by one block of threads, and the most blocks that CUDA launches along y.
THREADS = 256
MOST_BLOCKS_Y = 65535

# `Levels` in assemble.cu, passed by value.
LEVELS = np.dtype([("offset", np.float32, 4), ("factor", np.float32, 4)])


@dataclass(frozen=True)
class Output:
    """What a batch looks like.

    Attributes
    ----------
    channels : 1 (gray), 3 (RGB) or 4 (RGBA)
    height, width : pixels
    dtype : float32, float16, uint8 or int8
    layout : "NCHW" or "NHWC"
    mean, std : for R, G, B and A (gray uses R's), in levels 0 to 255
    scale : multiplies what is left after the mean

    MXNet's rules for integers hold: uint8 ignores mean, std and scale; int8 subtracts the mean
    rounded half away from zero and ignores std and scale.

    Raises
    ------
    ArgumentError : a value is out of range.
    """

    channels: int
    height: int
    width: int
    dtype: np.dtype[Any]
    layout: str
    mean: tuple[float, ...] = (0.0,) * 4
    std: tuple[float, ...] = (1.0,) * 4
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.channels not in (1, 3, 4):
            raise ArgumentError(f"an image has 1, 3 or 4 channels, not {self.channels}")
        if self.height < 1 or self.width < 1:
            raise ArgumentError(
                f"the output must have at least one pixel, not {self.width} x {self.height}"
            )
        if self.height * self.width >= 2**31:
            raise ArgumentError(
                f"a sample must have fewer than 2**31 pixels, not {self.width} x {self.height}"
            )
        try:
            dtype = np.dtype(self.dtype)
        except TypeError:
            dtype = None
        if dtype not in [np.dtype(name) for name in DTYPES]:
            raise ArgumentError(f"dtype must be one of {', '.join(DTYPES)}, not {self.dtype!r}")
        object.__setattr__(self, "dtype", dtype)  # the caller may have given its name
        if self.layout not in LAYOUTS:
            raise ArgumentError(f"layout must be one of {', '.join(LAYOUTS)}, not {self.layout!r}")
        self._check_levels()

    def _check_levels(self) -> None:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) < self.channels:
                raise ArgumentError(
                    f"{name} needs a value for each of {self.channels} channels, not {values}"
                )
        if not all(math.isfinite(value) for value in (*self.mean, *self.std, self.scale)):
            raise ArgumentError(
                f"mean, std and scale must be finite, not {self.mean}, {self.std} and {self.scale}"
            )
        if not np.all(np.array(self.std[: self.channels], np.float32)):
            raise ArgumentError(
                f"std must not be 0, because pixels are divided by it, but it is {self.std}; "
                "use 1 to leave a channel as it is"
            )
        if not (np.isfinite(self.offset).all() and np.isfinite(self.factor).all()):
            raise ArgumentError(
                f"mean {self.mean} or scale / std = {self.scale} / {self.std} is too large "
                "for float32"
            )

    def shape(self, n: int) -> tuple[int, int, int, int]:
        """The shape of a batch of n samples."""
        if self.layout == "NCHW":
            return n, self.channels, self.height, self.width
        return n, self.height, self.width, self.channels

    @cached_property
    def offset(self) -> NDArray[np.float32]:
        """float32 (channels,), what is subtracted from the pixels."""
        offset = np.zeros(self.channels)
        if self.dtype != np.uint8:
            offset[:] = self.mean[: self.channels]
        if self.dtype == np.int8:
            # C's round(); np.rint would take halves to even.
            offset = np.copysign(np.floor(np.abs(offset) + 0.5), offset)
        return _to_float32(offset)

    @cached_property
    def factor(self) -> NDArray[np.float32]:
        """float32 (channels,), what the differences are multiplied with."""
        if self.dtype in (np.uint8, np.int8):
            return _to_float32(np.ones(self.channels))
        std = _to_float32(np.array(self.std[: self.channels]))
        with np.errstate(over="ignore"):
            return _to_float32(np.float32(self.scale) / std)


def _to_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # an infinity is refused later, with the arguments' names
        result = values.astype(np.float32)
    result.flags.writeable = False
    return result


class HostAssembler:
    """Writes samples into batches on the host; the twin of ``kernels/assemble.cu``.

    Without a colour matrix a level can take only 256 values, so the formula is evaluated once for
    each and then looked up. OpenCV's look-up measures faster than NumPy's arithmetic (55 against 65
    us for 224 x 224 x 3 to float32 NCHW, float16 66 against 334), and it is exact by construction.

    Parameters
    ----------
    output : the batches to make
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self._pool = BufferPool()
        self._scratch = _Scratch(output)
        # OpenCV knows no float16 worth the name; it moves the bits.
        self._storage = np.dtype(np.uint16) if output.dtype == np.float16 else output.dtype
        # One row each, so that OpenCV sees 256 entries of one channel; None where pixels stay as
        # they are.
        self._tables: list[NDArray[Any]] | None = None
        if output.dtype != np.uint8:
            self._tables = [self._table(channel) for channel in range(output.channels)]
        self._shapes: list[tuple[int, ...]] = [(output.height, output.width, output.channels)]
        if output.channels == 1:
            self._shapes.append((output.height, output.width))

    def empty(self, n: int) -> NDArray[Any]:
        """Lend memory for a batch of n samples.

        Returns
        -------
        array of shape ``output.shape(n)`` and dtype ``output.dtype``, on the host, contents
        undefined. It is the caller's; its memory is used for another batch only when it and all its
        views are gone.
        """
        return self._pool.empty(self.output.shape(n), self.output.dtype)

    def write(
        self,
        batch: NDArray[Any],
        row: int,
        pixels: NDArray[np.uint8],
        mirror: bool,
        matrix: NDArray[np.float32] | None,
    ) -> None:
        """Make one sample of a batch. Several threads may write different rows at once.

        Parameters
        ----------
        batch : from `empty`
        row : which sample of it
        pixels : uint8 (height, width, channels), or (height, width) for one channel; may be a
            strided view
        mirror : flip left to right
        matrix : float32 (3, 4), a colour matrix applied to (r, g, b, 1), or None

        Raises
        ------
        ArgumentError : pixels or matrix are not of that shape or dtype.
        """
        output, scratch = self.output, self._scratch
        if pixels.shape not in self._shapes or pixels.dtype != np.uint8:
            raise ArgumentError(
                f"pixels must be uint8 {self._shapes[0]}, not {pixels.dtype} {pixels.shape}"
            )
        if matrix is not None and (output.channels != 3 or matrix.shape != (3, 4)):
            raise ArgumentError(
                f"a colour matrix must be (3, 4) and goes with 3 channels, not {matrix.shape} with "
                f"{output.channels}"
            )
        target = batch[row].view(self._storage)
        if mirror:
            pixels = cv2.flip(pixels, 1, dst=scratch.mirrored)  # type: ignore[assignment]
        if matrix is None and self._tables is None and output.layout == "NHWC":
            np.copyto(target, pixels.reshape(target.shape))
            return
        if output.channels == 1:
            sources = [pixels.reshape(output.height, output.width)]
        else:
            sources = scratch.sources
            cv2.split(pixels, sources)
        planes = self._planes(target)
        if matrix is not None:
            self._mix(planes, sources, matrix)
        elif self._tables is None:
            for plane, source in zip(planes, sources, strict=True):
                np.copyto(plane, source)
        else:
            for plane, source, table in zip(planes, sources, self._tables, strict=True):
                cv2.LUT(source, table, dst=plane)
        if planes is scratch.planes:
            cv2.merge(planes, dst=target)

    def close(self) -> None:
        """Let go of the memory kept for further batches. May be called twice."""
        self._pool.close()

    def _planes(self, target: NDArray[Any]) -> list[NDArray[Any]]:
        """Where each channel goes: into the sample, or beside it where channels interleave."""
        output = self.output
        if output.channels == 1:
            return [target.reshape(output.height, output.width)]
        if output.layout == "NCHW":
            return list(target)
        return self._scratch.planes

    def _mix(
        self,
        planes: list[NDArray[Any]],
        sources: list[NDArray[np.uint8]],
        matrix: NDArray[np.float32],
    ) -> None:
        scratch = self._scratch
        for level, source in zip(scratch.levels, sources, strict=True):
            np.copyto(level, source)
        r, g, b = scratch.levels
        product = scratch.product
        with np.errstate(all="ignore"):
            for channel, plane in enumerate(planes):
                m = matrix[channel].astype(np.float32, copy=False)
                value = plane if self.output.dtype == np.float32 else scratch.value
                np.multiply(r, m[0], out=value)
                np.add(value, np.multiply(g, m[1], out=product), out=value)
                np.add(value, np.multiply(b, m[2], out=product), out=value)
                np.add(value, m[3], out=value)
                self._finish(plane, value, channel)

    def _table(self, channel: int) -> NDArray[Any]:
        """The output of each level of a channel, (1, 256), as stored."""
        value = np.arange(256, dtype=np.float32)[np.newaxis]
        table = np.empty(value.shape, self._storage)
        with np.errstate(all="ignore"):
            self._finish(table, value, channel)
            if self._storage == np.float32:
                np.copyto(table, value)
        return table

    def _finish(self, plane: NDArray[Any], value: NDArray[np.float32], channel: int) -> None:
        """Subtract, multiply and cast; `value` is overwritten."""
        dtype = self.output.dtype
        np.subtract(value, self.output.offset[channel], out=value)
        np.multiply(value, self.output.factor[channel], out=value)
        if dtype == np.float16:
            np.copyto(plane.view(np.float16), value, casting="same_kind")
        elif dtype != np.float32:
            limits = np.iinfo(dtype)
            # fmax takes a NaN to the lowest value, as the kernel does.
            np.fmax(value, np.float32(limits.min), out=value)
            np.fmin(value, np.float32(limits.max), out=value)
            np.copyto(plane, np.rint(value, out=value), casting="unsafe")


class _Scratch(threading.local):
    """Each thread's own planes for the steps between. They are touched only by the outputs that
    need them.

    Attributes
    ----------
    mirrored : uint8 (height, width, channels), (height, width) for one channel
    sources : the sample's channels, uint8 (height, width)
    planes : the output's channels as stored, (height, width)
    levels, product, value : float32 (height, width), for colour matrices
    """

    def __init__(self, output: Output) -> None:
        size = (output.height, output.width)
        depth = () if output.channels == 1 else (output.channels,)
        channels = range(output.channels)
        storage = np.uint16 if output.dtype == np.float16 else output.dtype
        self.mirrored = np.empty(size + depth, np.uint8)
        self.sources = [_misaligned(size, channel) for channel in channels]
        self.planes: list[NDArray[Any]] = [np.empty(size, storage) for _ in channels]
        self.levels = [np.empty(size, np.float32) for _ in channels]
        self.product = np.empty(size, np.float32)
        self.value = np.empty(size, np.float32)


def _misaligned(size: tuple[int, int], residue: int) -> NDArray[np.uint8]:
    """A uint8 plane whose address leaves this residue by 64.

    Where all its planes are aligned alike, cv2.split writes them past the caches, and the next step
    has to fetch them from memory: 250 us a sample instead of 55.
    """
    height, width = size
    memory = np.empty(height * width + 2 * ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT + residue
    return memory[start : start + height * width].reshape(size)


class CudaAssembler:
    """Makes batches on a GPU with ``kernels/assemble.cu``, compiled for it at the first call.

    Parameters
    ----------
    output : the batches to make
    ctx : the GPU
    """

    def __init__(self, output: Output, ctx: Context) -> None:
        self.output = output
        self._device_id = int(ctx.device_id)
        self._levels = np.zeros((), LEVELS)
        self._levels["offset"][: output.channels] = output.offset
        self._levels["factor"][: output.channels] = output.factor
        self._name = f"assemble_{output.dtype.name}_{output.layout.lower()}"

    def __call__(
        self,
        pixels: Any,
        mirror: NDArray[np.bool_] | None,
        matrix: NDArray[np.float32] | None,
        rows: NDArray[np.int32] | None,
        stream: Any,
    ) -> Any:
        """Make one batch. Returns once the work is queued on `stream`, not when it is done.

        Parameters
        ----------
        pixels : cupy uint8 (M, height, width, channels), dense, on this GPU, ready in the order of
            `stream`. The caller keeps it, unchanged, until an event recorded on `stream` after this
            call has passed.
        mirror : bool (M,) on the host: samples to flip left to right, or None
        matrix : float32 (M, 3, 4) on the host: colour matrices applied to (r, g, b, 1), or None
        rows : int32 (N,) on the host: output sample n is made from sample ``rows[n]``; None: all M
            in order
        stream : the cupy stream to work on

        Returns
        -------
        cupy array of shape ``output.shape(N)`` and dtype ``output.dtype``, newly allocated in the
        order of `stream` and the caller's own. Before it is read on another stream, that one must
        wait for `stream`. When it is freed, CuPy may lend its memory to later work on `stream` at
        once: a caller that reads it on another stream lets `stream` wait for that reading before
        the next call.

        mirror, matrix and rows may be changed or freed as soon as the call returns: they are packed
        into one array here, which CuPy copies to pinned memory and keeps until the transfer's event
        has passed. The device's copy is freed in the order of `stream`, hence after the kernel has
        read it.

        Raises
        ------
        ArgumentError : a shape, dtype or row is not as said above.
        ContextError : CuPy or NVRTC is missing.
        Error : the kernel does not compile.
        """
        output = self.output
        count, parameters = self._check(pixels, mirror, matrix, rows)
        cupy = kernels.require_cupy()
        with cupy.cuda.Device(self._device_id), stream:
            batch = cupy.empty(output.shape(count), output.dtype)
            if count == 0:
                return batch
            pointers: list[Any] = [None, None, None]
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
            matrix_on_device, rows_on_device, mirror_on_device = pointers
            kernel = kernels.load("assemble", self._name, self._device_id)
            blocks = -(-output.height * output.width // THREADS)
            kernel(
                (blocks, min(count, MOST_BLOCKS_Y)),
                (THREADS,),
                (
                    batch,
                    pixels,
                    mirror_on_device,
                    matrix_on_device,
                    rows_on_device,
                    np.int64(count),
                    np.int32(output.height),
                    np.int32(output.width),
                    np.int32(output.channels),
                    self._levels,
                ),
            )
        return batch

    def _check(
        self,
        pixels: Any,
        mirror: NDArray[np.bool_] | None,
        matrix: NDArray[np.float32] | None,
        rows: NDArray[np.int32] | None,
    ) -> tuple[int, tuple[NDArray[Any] | None, ...]]:
        """Refuse what would make the kernel read foreign memory.

        Returns
        -------
        N, and (matrix, rows, mirror) in the kernel's types, the widest first so that packing aligns
        them
        """
        output = self.output
        shape = (output.height, output.width, output.channels)
        if pixels.ndim != 4 or pixels.shape[1:] != shape or pixels.dtype != np.uint8:
            raise ArgumentError(
                f"pixels must be uint8 (M, {', '.join(map(str, shape))}), "
                f"not {pixels.dtype} {pixels.shape}"
            )
        if not pixels.flags.c_contiguous:
            raise ArgumentError("pixels must be dense; use cupy.ascontiguousarray")
        samples = len(pixels)
        if mirror is not None:
            mirror = _as(mirror, np.bool_, (samples,), "mirror")
        if matrix is not None:
            if output.channels != 3:
                raise ArgumentError(f"a colour matrix goes with 3 channels, not {output.channels}")
            matrix = _as(matrix, np.float32, (samples, 3, 4), "matrix")
        count = samples
        if rows is not None:
            count = len(rows)
            rows = _as(rows, np.int32, (count,), "rows")
            if count and not 0 <= rows.min() <= rows.max() < samples:
                raise ArgumentError(
                    f"rows must lie in 0 to {samples - 1}, but they reach from {rows.min()} "
                    f"to {rows.max()}"
                )
        return count, (matrix, rows, mirror)


def _as(values: NDArray[Any], dtype: type[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    if values.shape != shape or values.dtype != dtype:
        raise ArgumentError(
            f"{name} must be {np.dtype(dtype).name} {shape}, not {values.dtype} {values.shape}"
        )
    return np.ascontiguousarray(values)
