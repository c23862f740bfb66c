"""Decoding on the host.

JPEGs are decoded by libjpeg-turbo (through simplejpeg, into memory that each thread reuses: page
faults of new memory cost a tenth of the decoding), everything else by OpenCV. Both agree with
MXNet's pixels bit for bit. What is decoded has passed `limits.check_image`.
"""

from __future__ import annotations

import threading

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from gpuio.decoding.header import ImageHeader
from gpuio.decoding.limits import check_chunks
from gpuio.errors import DecodeError

# For each EXIF orientation, the OpenCV rotation and flip that make the image upright.
_FLIP_X, _FLIP_Y, _FLIP_BOTH = 1, 0, -1
_UPRIGHT = {
    2: (None, _FLIP_X),
    3: (None, _FLIP_BOTH),
    4: (None, _FLIP_Y),
    5: (cv2.ROTATE_90_COUNTERCLOCKWISE, _FLIP_Y),
    6: (cv2.ROTATE_90_CLOCKWISE, None),
    7: (cv2.ROTATE_90_CLOCKWISE, _FLIP_Y),
    8: (cv2.ROTATE_90_COUNTERCLOCKWISE, None),
}

_JPEG_COLORSPACES = {1: "GRAY", 3: "RGB"}
_OPENCV_FLAGS = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR, 4: cv2.IMREAD_UNCHANGED}
_OPENCV_TO_RGB = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}

# At the end of the buffer before decoding. libjpeg-turbo reports an error that made it give up like
# a mere warning if there was a warning before it, and leaves the rest of the buffer as it was: with
# pixels of other images.
_UNWRITTEN = np.array([0, 255, 3, 250, 0, 247, 11, 255, 1, 128, 254, 2, 255, 0, 64, 191], np.uint8)

# Pixels for which a thread keeps memory, in bytes: 22 megapixels of RGB. It keeps what the largest
# of its last images needed, once that many in a row have needed less than a quarter of it.
KEPT, LOOK_BACK = 1 << 26, 128


class _PixelMemory(threading.local):
    """The memory of each thread for the pixels of a JPEG."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)
        self._small = self._largest = 0  # images that needed little in a row, and what they needed

    def take(self, size: int) -> NDArray[np.uint8]:
        """Memory of `size` bytes, the thread's until it takes some again; beyond KEPT, a new array
        that is the caller's.
        """
        if size > KEPT:
            return np.empty(size, np.uint8)
        if size > self._memory.size // 4:
            self._small = self._largest = 0
            if size > self._memory.size:
                self._memory = np.empty(size, np.uint8)
            return self._memory[:size]
        self._small, self._largest = self._small + 1, max(self._largest, size)
        if self._small == LOOK_BACK:
            self._memory = np.empty(self._largest, np.uint8)
            self._small = self._largest = 0
        return self._memory[:size]


_pixel_memory = _PixelMemory()


def decode(
    data: NDArray[np.uint8], header: ImageHeader, channels: int, *, own: bool = False
) -> NDArray[np.uint8]:
    """Decode an image and make it upright.

    Parameters
    ----------
    data : uint8 (bytes,), the image file's content
    header : its header, from `read_header`
    channels : 1 gray, 3 RGB, or 4 RGBA, which the image must have
    own : return a new array in any case

    Returns
    -------
    uint8 (height, width, channels), on the host. A JPEG's pixels may be in memory of the calling
    thread and valid until that thread decodes again. A truncated JPEG is decoded as far as
    possible, as in MXNet.

    Raises
    ------
    DecodeError : the image cannot be decoded, or lacks the requested channels.
    MemoryError : memory is too short for it.
    """
    try:
        image = _decode_upright(data, header, channels, own)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(f"decoding a {header.format} image: {error.err}") from error
        raise DecodeError(f"the {header.format} image cannot be decoded: {error.err}") from error
    if image.shape[:2] != (header.height, header.width):
        raise DecodeError(
            f"the image decodes to {image.shape[1]} x {image.shape[0]} pixels, "
            f"its header says {header.width} x {header.height}"
        )
    return image


def _decode_upright(
    data: NDArray[np.uint8], header: ImageHeader, channels: int, own: bool
) -> NDArray[np.uint8]:
    if header.format == "jpeg" and header.channels in (1, 3) and channels in _JPEG_COLORSPACES:
        image = _decode_jpeg(data, header, channels, own)
    else:
        image = _decode_other(data, header, channels)
    if header.orientation != 1:
        rotation, flip = _UPRIGHT[header.orientation]
        if rotation is not None:
            image = cv2.rotate(image, rotation)  # type: ignore[assignment]
        if flip is not None:
            image = cv2.flip(image, flip)  # type: ignore[assignment]
    return image.reshape(*image.shape[:2], channels)


def _decode_jpeg(
    data: NDArray[np.uint8], header: ImageHeader, channels: int, own: bool
) -> NDArray[np.uint8]:
    needed = header.width * header.height * channels
    buffer = np.empty(needed, np.uint8) if own else _pixel_memory.take(needed)
    last = buffer[-len(_UNWRITTEN) :]
    for unwritten in (_UNWRITTEN[: len(last)], ~_UNWRITTEN[: len(last)]):
        last[:] = unwritten
        try:
            image: NDArray[np.uint8] = simplejpeg.decode_jpeg(
                data, _JPEG_COLORSPACES[channels], buffer=buffer, strict=False
            )
        except ValueError as error:
            if "memory" in str(error):
                raise MemoryError(f"decoding a JPEG: {error}") from error
            return _decode_refused_jpeg(data, header, channels, error)
        if image.size != needed or last.tobytes() != unwritten.tobytes():
            return image
    raise DecodeError("the JPEG cannot be decoded: libjpeg gave up before its end")


def _decode_refused_jpeg(
    data: NDArray[np.uint8], header: ImageHeader, channels: int, error: ValueError
) -> NDArray[np.uint8]:
    """Decode by OpenCV: simplejpeg takes warnings about the header for errors."""
    try:
        return _decode_other(data, header, channels)
    except DecodeError:
        raise DecodeError(f"the JPEG cannot be decoded: {error}") from error


def jpeg_warning(data: NDArray[np.uint8]) -> str | None:
    """libjpeg-turbo's warning about a JPEG that `decode` accepts, such as a premature end; None if
    there is none.
    """
    try:
        simplejpeg.decode_jpeg(data, "GRAY", strict=True)
    except ValueError as error:
        return f"the JPEG decodes in part, or with warnings: {error}"
    return None


def _decode_other(data: NDArray[np.uint8], header: ImageHeader, channels: int) -> NDArray[np.uint8]:
    if header.format == "png":
        check_chunks(data)
    flags = _OPENCV_FLAGS[channels] | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(data, flags)
    if image is None:
        raise DecodeError(f"the {header.format} image cannot be decoded")
    stored = 1 if image.ndim == 2 else image.shape[2]
    if stored != channels:
        raise DecodeError(f"the image has {stored} channels, data_shape asks for {channels}")
    if image.dtype == np.uint16:  # IMREAD_UNCHANGED preserves 16 bits
        image = np.right_shift(image, 8, out=image).astype(np.uint8)
    if channels in _OPENCV_TO_RGB:
        image = cv2.cvtColor(image, _OPENCV_TO_RGB[channels])
    return image  # type: ignore[return-value]
