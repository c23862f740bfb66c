"""Assembly on the host: uint8 samples become rows of a batch."""

from __future__ import annotations

import threading

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpuio.errors import ArgumentError
from gpuio.execution.buffers import BufferPool, allocate
from gpuio.execution.output import OutputSpec
from gpuio.nd.types import DType, HostArray
from gpuio.planning.plan import NEAREST_INTEGER, UNROUNDED


class HostAssembler:
    """Writes samples into batches on the host; the twin of ``kernels/assemble.cu``.

    Without a color matrix and a mean image there are only 256 pixel values, so the formula is
    evaluated once for each and then looked up. OpenCV's look-up measures faster than NumPy's
    arithmetic (55 against 65 us for 224 x 224 x 3 to float32 NCHW, float16 66 against 334), and is
    exact by construction.

    Parameters
    ----------
    output : what the batches look like

    Attributes
    ----------
    tables : for each channel, the output for each pixel value, (1, 256), as stored; None: pixel
        values do not change, or not each in the same way everywhere
    """

    def __init__(self, output: OutputSpec) -> None:
        self.output = output
        self._pool = BufferPool()
        # OpenCV does not compute with float16; it moves the bits.
        self._storage = np.dtype(np.uint16) if output.dtype == np.float16 else output.dtype
        self._scratch = _Scratch(output, self._storage)
        self.tables: list[HostArray] | None = None
        if output.dtype != np.uint8 and output.offset_image is None:
            self.tables = self._make_tables(None)
        self._shapes: list[tuple[int, ...]] = [(output.height, output.width, output.channels)]
        if output.channels == 1:
            self._shapes.append((output.height, output.width))

    def empty(self, n: int) -> HostArray:
        """Allocate memory for a batch of n samples.

        Returns
        -------
        Array of shape ``output.shape(n)`` and dtype ``output.dtype``, on the host, contents
        undefined. It is the caller's; its memory is reused for another batch only when it and all
        its views are gone.
        """
        return self._pool.empty(self.output.shape(n), self.output.dtype)

    def write(
        self,
        batch: HostArray,
        row: int,
        pixels: NDArray[np.uint8],
        mirror: bool,
        matrix: NDArray[np.float32] | None,
        rounding: int = UNROUNDED,
        light: HostArray | None = None,
    ) -> None:
        """Write one sample of a batch. Several threads may write different rows at once.

        Parameters
        ----------
        batch : from `empty`
        row : which sample of it
        pixels : uint8 (height, width, channels), or (height, width) for one channel; may be a
            strided view
        mirror : flip left to right
        matrix : float32 (3, 4), a color matrix applied to (r, g, b, 1), or None
        rounding : of its result, see `Plan`
        light : (2,), gain and shift, see `Plan`, or None

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
                f"a color matrix must be (3, 4) and goes with 3 channels, not {matrix.shape} with "
                f"{output.channels}"
            )
        target = batch[row].view(self._storage)
        if mirror:
            pixels = cv2.flip(pixels, 1, dst=scratch.mirrored)  # type: ignore[assignment]
        plain = matrix is None and output.dtype == np.uint8
        if plain and output.layout == "NHWC":
            np.copyto(target, pixels.reshape(target.shape))
            return
        if output.channels == 1:
            sources = [pixels.reshape(output.height, output.width)]
        else:
            sources = scratch.sources
            cv2.split(pixels, sources)
        planes = self._planes(target)
        light = light if output.takes_light else None
        if matrix is not None:
            self._mix(planes, sources, matrix, rounding, light, mirror)
        elif plain:
            for plane, source in zip(planes, sources, strict=True):
                np.copyto(plane, source)
        elif self.tables is not None:
            tables = self.tables if light is None else self._make_tables(light)
            for plane, source, table in zip(planes, sources, tables, strict=True):
                cv2.LUT(source, table, dst=plane)
        else:
            for channel, (plane, source) in enumerate(zip(planes, sources, strict=True)):
                value = self._value_buffer(plane)
                np.copyto(value, source)
                self._finish(plane, value, channel, light, mirror)
        if planes is scratch.planes:
            cv2.merge(planes, dst=target)

    def close(self) -> None:
        """Release the memory kept for further batches. May be called twice."""
        self._pool.close()

    def _planes(self, target: HostArray) -> list[HostArray]:
        """Where each channel is written: into the sample, or to scratch memory if channels are
        interleaved.
        """
        output = self.output
        if output.channels == 1:
            return [target.reshape(output.height, output.width)]
        if output.layout == "NCHW":
            return list(target)
        return self._scratch.planes

    def _value_buffer(self, plane: HostArray) -> NDArray[np.float32]:
        """Where a plane is computed: itself if it is float32."""
        return plane if self.output.dtype == np.float32 else self._scratch.value

    def _mix(
        self,
        planes: list[HostArray],
        sources: list[NDArray[np.uint8]],
        matrix: NDArray[np.float32],
        rounding: int,
        light: HostArray | None,
        mirror: bool,
    ) -> None:
        scratch = self._scratch
        for values, source in zip(scratch.values, sources, strict=True):
            np.copyto(values, source)
        r, g, b = scratch.values
        product = scratch.product
        with np.errstate(all="ignore"):
            for channel, plane in enumerate(planes):
                m = matrix[channel].astype(np.float32, copy=False)
                value = self._value_buffer(plane)
                np.multiply(r, m[0], out=value)
                np.add(value, np.multiply(g, m[1], out=product), out=value)
                np.add(value, np.multiply(b, m[2], out=product), out=value)
                np.add(value, m[3], out=value)
                if rounding != UNROUNDED:
                    _saturate(value, np.uint8, rounding)
                self._finish(plane, value, channel, light, mirror)

    def _make_tables(self, light: HostArray | None) -> list[HostArray]:
        """For each channel, the output for each pixel value, (1, 256), as stored: one row, so that
        OpenCV sees 256 entries of one channel.
        """
        tables = []
        for channel in range(self.output.channels):
            value = np.arange(256, dtype=np.float32)[np.newaxis]
            table = np.empty(value.shape, self._storage)
            with np.errstate(all="ignore"):
                self._finish(table, value, channel, light, False)
                if self._storage == np.float32:
                    np.copyto(table, value)
            tables.append(table)
        return tables

    def _finish(
        self,
        plane: HostArray,
        value: NDArray[np.float32],
        channel: int,
        light: HostArray | None,
        mirror: bool,
    ) -> None:
        """Normalize and cast; `value` is overwritten."""
        output = self.output
        dtype, factor = output.dtype, output.factor[channel]
        if output.offset_image is None:
            np.subtract(value, output.offset[channel], out=value)
        else:
            offset = output.offset_image[channel]
            mirrored = mirror and output.mirror_mean
            np.subtract(value, offset[:, ::-1] if mirrored else offset, out=value)
        if light is None:
            np.multiply(value, factor, out=value)
        else:
            gain, shift = light.astype(np.float32) * factor
            np.multiply(value, gain, out=value)
            np.add(value, shift, out=value)
        if dtype == np.float16:
            np.copyto(plane.view(np.float16), value, casting="same_kind")
        elif dtype != np.float32:
            np.copyto(plane, _saturate(value, dtype), casting="unsafe")


def _saturate(
    value: NDArray[np.float32], dtype: DTypeLike, rounding: int = NEAREST_INTEGER
) -> NDArray[np.float32]:
    """Clip to the range of an integer dtype and round, in place."""
    limits = np.iinfo(dtype)
    # fmax turns a NaN into the lowest value, as the kernel does.
    np.fmax(value, np.float32(limits.min), out=value)
    np.fmin(value, np.float32(limits.max), out=value)
    return (np.rint if rounding == NEAREST_INTEGER else np.trunc)(value, out=value)


class _Scratch(threading.local):
    """Each thread's own intermediate planes. Memory that an output does not need is never touched.

    Attributes
    ----------
    mirrored : uint8 (height, width, channels), (height, width) for one channel
    sources : the sample's channels, uint8 (height, width)
    planes : the output's channels as stored, (height, width)
    values, product, value : float32 (height, width), for color matrices
    """

    def __init__(self, output: OutputSpec, storage: DType) -> None:
        size = (output.height, output.width)
        depth = () if output.channels == 1 else (output.channels,)
        channels = range(output.channels)
        self.mirrored = np.empty(size + depth, np.uint8)
        self.sources = [_misaligned(size, channel) for channel in channels]
        self.planes: list[HostArray] = [np.empty(size, storage) for _ in channels]
        self.values = [np.empty(size, np.float32) for _ in channels]
        self.product = np.empty(size, np.float32)
        self.value = np.empty(size, np.float32)


def _misaligned(size: tuple[int, int], residue: int) -> NDArray[np.uint8]:
    """A uint8 plane whose address leaves this residue modulo 64.

    If all planes have the same alignment, cv2.split bypasses the caches, and the next step has to
    read them from memory: 250 us a sample instead of 55.
    """
    height, width = size
    return allocate(height * width + residue)[residue:].reshape(size)
