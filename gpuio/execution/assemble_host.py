"""Assembly on the host: uint8 samples become rows of a batch."""

from __future__ import annotations

import threading

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.execution.buffers import BufferPool, allocate
from gpuio.execution.output import OutputSpec
from gpuio.nd.types import DType, HostArray


class HostAssembler:
    """Writes samples into batches on the host; the twin of ``kernels/assemble.cu``.

    Without a color matrix there are only 256 pixel values, so the formula is evaluated once for
    each and then looked up. OpenCV's look-up measures faster than NumPy's arithmetic (55 against 65
    us for 224 x 224 x 3 to float32 NCHW, float16 66 against 334), and is exact by construction.

    Parameters
    ----------
    output : what the batches look like
    """

    def __init__(self, output: OutputSpec) -> None:
        self.output = output
        self._pool = BufferPool()
        # OpenCV does not compute with float16; it moves the bits.
        self._storage = np.dtype(np.uint16) if output.dtype == np.float16 else output.dtype
        self._scratch = _Scratch(output, self._storage)
        # One row each, so that OpenCV sees 256 entries of one channel; None: pixel values do not
        # change.
        self._tables: list[HostArray] | None = None
        if output.dtype != np.uint8:
            self._tables = [self._table(channel) for channel in range(output.channels)]
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

    def _mix(
        self,
        planes: list[HostArray],
        sources: list[NDArray[np.uint8]],
        matrix: NDArray[np.float32],
    ) -> None:
        scratch = self._scratch
        for values, source in zip(scratch.values, sources, strict=True):
            np.copyto(values, source)
        r, g, b = scratch.values
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

    def _table(self, channel: int) -> HostArray:
        """The output for each pixel value of a channel, (1, 256), as stored."""
        value = np.arange(256, dtype=np.float32)[np.newaxis]
        table = np.empty(value.shape, self._storage)
        with np.errstate(all="ignore"):
            self._finish(table, value, channel)
            if self._storage == np.float32:
                np.copyto(table, value)
        return table

    def _finish(self, plane: HostArray, value: NDArray[np.float32], channel: int) -> None:
        """Subtract, multiply and cast; `value` is overwritten."""
        dtype = self.output.dtype
        np.subtract(value, self.output.offset[channel], out=value)
        np.multiply(value, self.output.factor[channel], out=value)
        if dtype == np.float16:
            np.copyto(plane.view(np.float16), value, casting="same_kind")
        elif dtype != np.float32:
            limits = np.iinfo(dtype)
            # fmax turns a NaN into the lowest value, as the kernel does.
            np.fmax(value, np.float32(limits.min), out=value)
            np.fmin(value, np.float32(limits.max), out=value)
            np.copyto(plane, np.rint(value, out=value), casting="unsafe")


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
