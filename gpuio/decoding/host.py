"""Decoding on the host: an encoded image to an upright picture.

JPEG goes to libjpeg-turbo (through simplejpeg, into a buffer that each thread keeps: page faults of
a fresh one cost a tenth of the decoding), everything else to OpenCV. Both give MXNet's pixels bit
for bit.
"""

from __future__ import annotations

import threading

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from gpuio.decoding.header import ImageInfo
from gpuio.errors import DecodeError

# Steps that bring a picture stored with an EXIF orientation upright, as flips and turns of OpenCV.
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

_JPEG_COLOURS = {1: "GRAY", 3: "RGB"}
_OPENCV_FLAGS = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR, 4: cv2.IMREAD_UNCHANGED}
_OPENCV_TO_RGB = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}

_kept = threading.local()


def decode(data: NDArray[np.uint8], info: ImageInfo, channels: int) -> NDArray[np.uint8]:
    """Decode an image to an upright picture.

    Parameters
    ----------
    data : uint8 (bytes,), the image file's content
    info : what `probe` said of it
    channels : 1 gray, 3 RGB, or 4: RGBA as stored, where anything else is an error

    Returns
    -------
    uint8 (height, width, channels), on the host. A JPEG's pixels live in a buffer of the calling
    thread: they are good until that thread decodes again. A truncated JPEG gives what could be
    decoded, as in MXNet.

    Raises
    ------
    DecodeError : the content cannot be decoded, or has not the channels asked for.
    """
    if info.format == "jpeg" and info.channels in (1, 3) and channels in _JPEG_COLOURS:
        picture = _decode_jpeg(data, info, channels)
    else:
        picture = _decode_other(data, info, channels)
    if info.orientation != 1:
        turn, flip = _UPRIGHT[info.orientation]
        if turn is not None:
            picture = cv2.rotate(picture, turn)  # type: ignore[assignment]
        if flip is not None:
            picture = cv2.flip(picture, flip)  # type: ignore[assignment]
    picture = picture.reshape(*picture.shape[:2], channels)
    if picture.shape[:2] != (info.height, info.width):
        raise DecodeError(
            f"the image decodes to {picture.shape[1]} x {picture.shape[0]} pixels, "
            f"its header says {info.width} x {info.height}"
        )
    return picture


def _decode_jpeg(data: NDArray[np.uint8], info: ImageInfo, channels: int) -> NDArray[np.uint8]:
    needed = info.width * info.height * channels
    buffer = getattr(_kept, "buffer", None)
    if buffer is None or buffer.size < needed:
        buffer = _kept.buffer = np.empty(needed, np.uint8)
    try:
        picture: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, _JPEG_COLOURS[channels], buffer=buffer[:needed], strict=False
        )
    except ValueError as error:
        raise DecodeError(f"the JPEG cannot be decoded: {error}") from error
    return picture


def jpeg_warning(data: NDArray[np.uint8]) -> str | None:
    """What libjpeg-turbo finds odd about a JPEG that `decode` decodes, such as an early end; None
    where it is sound.
    """
    try:
        simplejpeg.decode_jpeg(data, "GRAY", strict=True)
    except ValueError as error:
        return f"the JPEG decodes in part, or with warnings: {error}"
    return None


def _decode_other(data: NDArray[np.uint8], info: ImageInfo, channels: int) -> NDArray[np.uint8]:
    flags = _OPENCV_FLAGS[channels] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise DecodeError(f"the {info.format} image cannot be decoded: {error.err}") from error
    if picture is None:
        raise DecodeError(f"the {info.format} image cannot be decoded")
    stored = 1 if picture.ndim == 2 else picture.shape[2]
    if stored != channels:
        raise DecodeError(f"the image has {stored} channels, data_shape asks for {channels}")
    if picture.dtype == np.uint16:  # IMREAD_UNCHANGED keeps 16 bits
        picture = np.right_shift(picture, 8).astype(np.uint8)
    if channels in _OPENCV_TO_RGB:
        picture = cv2.cvtColor(picture, _OPENCV_TO_RGB[channels])
    return picture  # type: ignore[return-value]
